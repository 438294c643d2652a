package safetensors

import "fmt"

// DType is the type of a tensor's elements. Its zero value is none.
type DType uint8

// The types of the format, in ascending rank.
const (
	BOOL        DType = iota + 1 // one byte, 0 or 1
	F4                           // OCP microscaling E2M1, two to a byte
	F6_E2M3                      // OCP microscaling, four to three bytes
	F6_E3M2                      // OCP microscaling, four to three bytes
	U8                           // uint8
	I8                           // int8
	F8_E5M2                      // 8 bits, arXiv 2209.05433
	F8_E4M3                      // 8 bits, arXiv 2209.05433
	F8_E8M0                      // OCP microscaling scale
	F8_E4M3FNUZ                  // 8 bits without infinities and negative zero
	F8_E5M2FNUZ                  // 8 bits without infinities and negative zero
	I16                          // int16
	U16                          // uint16
	F16                          // IEEE 754 half precision
	BF16                         // bfloat16: the upper half of a float32
	I32                          // int32
	U32                          // uint32
	F32                          // float32
	C64                          // complex64
	F64                          // float64
	I64                          // int64
	U64                          // uint64
)

var dtypes = [...]struct {
	name string
	bits int
	as   DType // the type with a Go type that holds its elements; 0 if there is none
}{
	BOOL:        {"BOOL", 8, U8},
	F4:          {"F4", 4, 0},
	F6_E2M3:     {"F6_E2M3", 6, 0},
	F6_E3M2:     {"F6_E3M2", 6, 0},
	U8:          {"U8", 8, U8},
	I8:          {"I8", 8, I8},
	F8_E5M2:     {"F8_E5M2", 8, U8},
	F8_E4M3:     {"F8_E4M3", 8, U8},
	F8_E8M0:     {"F8_E8M0", 8, U8},
	F8_E4M3FNUZ: {"F8_E4M3FNUZ", 8, U8},
	F8_E5M2FNUZ: {"F8_E5M2FNUZ", 8, U8},
	I16:         {"I16", 16, I16},
	U16:         {"U16", 16, U16},
	F16:         {"F16", 16, U16},
	BF16:        {"BF16", 16, U16},
	I32:         {"I32", 32, I32},
	U32:         {"U32", 32, U32},
	F32:         {"F32", 32, F32},
	C64:         {"C64", 64, 0},
	F64:         {"F64", 64, F64},
	I64:         {"I64", 64, I64},
	U64:         {"U64", 64, U64},
}

func (d DType) known() bool { return d > 0 && int(d) < len(dtypes) }

// String returns the name that the format has for d.
func (d DType) String() string {
	if d.known() {
		return dtypes[d].name
	}
	return fmt.Sprintf("DType(%d)", uint8(d))
}

// Bits returns the size of an element in bits, 0 if d is no type of the format.
func (d DType) Bits() int {
	if d.known() {
		return dtypes[d].bits
	}
	return 0
}

// ParseDType returns the type with the given name.
func ParseDType(name string) (DType, error) {
	for d := BOOL; d.known(); d++ {
		if dtypes[d].name == name {
			return d, nil
		}
	}
	return 0, fmt.Errorf("safetensors: unknown type %s", quote(name))
}

// An Element is the Go type of a tensor's elements.
type Element interface {
	uint8 | int8 | uint16 | int16 | uint32 | int32 | float32 | uint64 | int64 | float64
}

// dtypeOf returns the type of the format that is T.
func dtypeOf[T Element]() DType {
	switch any(*new(T)).(type) {
	case uint8:
		return U8
	case int8:
		return I8
	case uint16:
		return U16
	case int16:
		return I16
	case uint32:
		return U32
	case int32:
		return I32
	case float32:
		return F32
	case uint64:
		return U64
	case int64:
		return I64
	}
	return F64
}
