// Package safetensors reads and writes the safetensors format, in which Python
// libraries exchange the weights of models. It needs nothing but the standard
// library.
//
// # Reading
//
// [Open], [NewFile] and [Parse] check a file whole before they return: sizes,
// names, types, shapes, and that the tensors cover the data exactly once. What
// doesn't hold is an error that says which tensor and which field it is about.
// A hostile file leads to no panic, and to the allocation of no more than twenty
// times the header that it holds, which the format limits to 100 MB.
//
// The data of a tensor is read when it is asked for: by [Read] as it is, by
// [ReadFloat32] converted from half precision, bfloat16 or float64, by [View] in
// place where the file is in memory. Values are not checked: a NaN is returned as
// it was stored.
//
// # Writing
//
// [Write] takes tensors made by [New], [NewRaw] or [NewFunc], or tensors of
// another file, and streams them: it makes no copy of the data. [WriteFile]
// writes a file that appears under its name only when it is complete.
//
// # Format
//
//	8 bytes   length N of the header, little-endian, at most 100,000,000
//	N bytes   header, a JSON object in UTF-8 that begins with '{' and may end
//	          in white space
//	the rest  data of the tensors, row-major, little-endian
//
// The header has one member for each tensor:
//
//	"0.weight": {"dtype": "F32", "shape": [10, 64], "data_offsets": [0, 2560]}
//
// and may have a member "__metadata__", an object of strings. Offsets count from
// the end of the header. In the order of their offsets the tensors cover the data
// without gap and without overlap. A shape may be empty (a scalar) and may have
// a 0 in it (no data). These are the rules of the reference implementation,
// https://github.com/huggingface/safetensors. Where it is lenient, this package
// follows the text of the format: it refuses names that occur twice, a header
// that begins with white space, and members that the format doesn't know. It
// also refuses shapes whose non-zero sizes multiply to more than an int.
//
// The writer gives the bytes of the reference implementation: tensors by
// descending rank of their type (U64, I64, F64, C64, F32, ..), then by name;
// metadata by name; the header filled up with spaces to a multiple of 8, so
// that all tensors are aligned.
package safetensors
