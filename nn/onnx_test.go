package nn_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
)

// A fields is a decoded message of protocol buffers: what each field has, in order.
type fields map[int][]field

// A field is a number or the bytes of a string or a message.
type field struct {
	number uint64
	bytes  []byte
}

func decode(t testing.TB, b []byte) fields {
	all := make(fields)
	uvarint := func() uint64 {
		v, n := binary.Uvarint(b)
		require.Positive(t, n)
		b = b[n:]
		return v
	}
	for len(b) > 0 {
		key := uvarint()
		var f field
		switch key & 7 {
		case 0:
			f.number = uvarint()
		case 2:
			n := uvarint()
			require.LessOrEqual(t, n, uint64(len(b)))
			f.bytes, b = b[:n], b[n:]
		case 5:
			f.number, b = uint64(binary.LittleEndian.Uint32(b)), b[4:]
		default:
			require.Fail(t, "unknown type of field", "%d", key)
		}
		all[int(key>>3)] = append(all[int(key>>3)], f)
	}
	return all
}

func (f fields) number(field int) int {
	if len(f[field]) == 0 {
		return 0
	}
	return int(f[field][0].number)
}

func (f fields) text(field int) string {
	if len(f[field]) == 0 {
		return ""
	}
	return string(f[field][0].bytes)
}

func (f fields) texts(field int) (all []string) {
	for _, x := range f[field] {
		all = append(all, string(x.bytes))
	}
	return all
}

func (f fields) numbers(field int) (all []int) {
	for _, x := range f[field] {
		all = append(all, int(int64(x.number)))
	}
	return all
}

func (f fields) messages(t testing.TB, field int) (all []fields) {
	for _, x := range f[field] {
		all = append(all, decode(t, x.bytes))
	}
	return all
}

// onnxFile is a decoded file.
type onnxFile struct {
	initializers    []onnxTensor
	nodes           []onnxNode
	inputs, outputs []onnxTensor
}

type onnxTensor struct {
	name  string
	kind  int // 1 is float32, 7 int64
	shape []int
	data  []byte
}

type onnxNode struct {
	name, operator  string
	inputs, outputs []string
	attributes      map[string]any // an int, a list of them, or a float32
	names           []string       // of the attributes, in order
}

// batchSize stands for the batch in shapes: no layer here has it.
const batchSize = 1009

func readONNX(t testing.TB, m *nn.Model) onnxFile {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, m.WriteONNX(&b))
	file := decode(t, b.Bytes())
	require.Equal(t, 8, file.number(1))
	require.Equal(t, "adafisher", file.text(2))
	opset := file.messages(t, 8)
	require.Len(t, opset, 1)
	require.Equal(t, "", opset[0].text(1))
	require.Equal(t, 17, opset[0].number(2))
	graph := file.messages(t, 7)
	require.Len(t, graph, 1)
	require.NotEmpty(t, graph[0].text(2))
	var f onnxFile
	for _, x := range graph[0].messages(t, 5) {
		v := onnxTensor{x.text(8), x.number(2), x.numbers(1), x[9][0].bytes}
		n := map[int]int{1: 4, 7: 8}[v.kind]
		for _, d := range v.shape {
			n *= d
		}
		require.Len(t, v.data, n, v.name)
		f.initializers = append(f.initializers, v)
	}
	for _, x := range graph[0].messages(t, 1) {
		n := onnxNode{x.text(3), x.text(4), x.texts(1), x.texts(2), make(map[string]any), nil}
		for _, a := range x.messages(t, 5) {
			name := a.text(1)
			n.names = append(n.names, name)
			switch a.number(20) {
			case 1:
				n.attributes[name] = math.Float32frombits(uint32(a.number(2)))
			case 2:
				n.attributes[name] = a.numbers(3)[0]
			case 7:
				n.attributes[name] = a.numbers(8)
			default:
				require.Fail(t, "unknown type of attribute", "%d", a.number(20))
			}
		}
		f.nodes = append(f.nodes, n)
	}
	values := func(number int) (all []onnxTensor) {
		for _, x := range graph[0].messages(t, number) {
			tensor := x.messages(t, 2)[0].messages(t, 1)[0]
			v := onnxTensor{name: x.text(1), kind: tensor.number(1)}
			for i, d := range tensor.messages(t, 2)[0].messages(t, 1) {
				size := d.number(1)
				if i == 0 {
					require.Equal(t, "batch", d.text(2))
					size = batchSize
				}
				require.Positive(t, size)
				v.shape = append(v.shape, size)
			}
			all = append(all, v)
		}
		return all
	}
	f.inputs, f.outputs = values(11), values(12)
	return f
}

// String writes what a reader wants to see.
func (f onnxFile) String() string {
	var s strings.Builder
	write := func(what string, v onnxTensor) {
		shape := strings.ReplaceAll(fmt.Sprint(v.shape), fmt.Sprint(batchSize), "batch")
		fmt.Fprintf(&s, "%s %s %s %s\n", what, v.name, map[int]string{1: "float32", 7: "int64"}[v.kind], shape)
	}
	for _, v := range f.inputs {
		write("input", v)
	}
	for _, v := range f.initializers {
		write("tensor", v)
	}
	for _, n := range f.nodes {
		fmt.Fprintf(&s, "%s = %s(%s)", strings.Join(n.outputs, ", "), n.operator, strings.Join(n.inputs, ", "))
		for _, name := range n.names {
			fmt.Fprintf(&s, " %s=%v", name, n.attributes[name])
		}
		s.WriteString("\n")
	}
	for _, v := range f.outputs {
		write("output", v)
	}
	return s.String()
}

// check requires what the format asks of a graph: each name is given once and
// before it is used, each tensor and value has a use, and each node gets shapes
// that its operator takes, up to the output's.
func (f onnxFile) check(t testing.TB, m *nn.Model) {
	t.Helper()
	values, nodes := make(map[string][]int), make(map[string]bool)
	constants := make(map[string][]int) // elements of whole numbers
	unused := make(map[string]bool)
	give := func(name string, shape []int) {
		require.NotContains(t, values, name, "given twice")
		values[name], unused[name] = shape, true
	}
	require.Len(t, f.inputs, 1)
	require.Equal(t, "input", f.inputs[0].name)
	require.Equal(t, append([]int{batchSize}, m.InputShape()...), f.inputs[0].shape)
	give("input", f.inputs[0].shape)
	for _, v := range f.initializers {
		give(v.name, v.shape)
		if v.kind == 7 {
			for b := v.data; len(b) > 0; b = b[8:] {
				constants[v.name] = append(constants[v.name], int(binary.LittleEndian.Uint64(b)))
			}
		}
	}
	for _, n := range f.nodes {
		require.NotEmpty(t, n.name)
		require.False(t, nodes[n.name], "two nodes are named %s", n.name)
		nodes[n.name] = true
		var in [][]int
		for _, name := range n.inputs {
			require.Contains(t, values, name, "%s takes what isn't there", n.name)
			delete(unused, name)
			in = append(in, values[name])
		}
		require.Len(t, n.outputs, 1)
		shape := n.shape(t, in, constants)
		if !slices.Contains([]string{"Transpose", "Identity"}, n.operator) || slices.Contains(shape, batchSize) {
			require.Equal(t, batchSize, shape[0], "%s loses the batch: %v", n.name, shape)
		}
		give(n.outputs[0], shape)
	}
	require.Len(t, f.outputs, 1)
	require.Equal(t, "output", f.outputs[0].name)
	require.Equal(t, append([]int{batchSize}, m.OutputShape()...), f.outputs[0].shape)
	require.Equal(t, f.outputs[0].shape, values["output"])
	require.Equal(t, map[string]bool{"output": true}, unused)
}

// shape is that of a node's output.
func (n onnxNode) shape(t testing.TB, in [][]int, constants map[string][]int) []int {
	ints := func(name string) []int { return n.attributes[name].([]int) }
	window := func(channels int) []int {
		require.Len(t, in[0], 4)
		out := []int{in[0][0], channels}
		for i := range 2 {
			dilation := 1
			if d, ok := n.attributes["dilations"]; ok {
				dilation = d.([]int)[i]
			}
			size := in[0][2+i] + ints("pads")[i] + ints("pads")[2+i] - dilation*(ints("kernel_shape")[i]-1) - 1
			out = append(out, size/ints("strides")[i]+1)
		}
		return out
	}
	perFeature := func(features int, shapes ...[]int) {
		for _, s := range shapes {
			require.Equal(t, []int{features}, s, n.name)
		}
	}
	switch n.operator {
	case "Relu", "Tanh", "Sigmoid", "Erf", "Identity", "Softmax":
		return in[0]
	case "Add", "Mul", "Div": // the smaller one is at the right of the larger
		long, short := in[0], in[1]
		if len(short) > len(long) {
			long, short = short, long
		}
		for i := range short {
			require.Equal(t, long[len(long)-1-i], short[len(short)-1-i], "%s: %v", n.name, in)
		}
		return long
	case "Gemm":
		require.Equal(t, 1, n.attributes["transB"])
		require.Len(t, in[0], 2)
		require.Equal(t, in[0][1], in[1][1])
		perFeature(in[1][0], in[2:]...)
		return []int{in[0][0], in[1][0]}
	case "MatMul":
		a, b := in[0], in[1]
		require.Equal(t, a[len(a)-1], b[len(b)-2], "%s: %v", n.name, in)
		if len(b) > 2 {
			require.Equal(t, a[:len(a)-2], b[:len(b)-2])
		}
		return append(slices.Clone(a[:len(a)-1]), b[len(b)-1])
	case "Transpose":
		perm := ints("perm")
		require.Len(t, perm, len(in[0]))
		sorted := slices.Sorted(slices.Values(perm))
		var out []int
		for i, d := range perm {
			require.Equal(t, i, sorted[i])
			out = append(out, in[0][d])
		}
		return out
	case "Reshape":
		out := slices.Clone(constants[n.inputs[1]])
		require.Equal(t, in[1], []int{len(out)})
		require.Equal(t, 0, out[0])
		out[0] = in[0][0]
		require.Equal(t, nn.Shape(in[0]).Size(), nn.Shape(out).Size(), "%s: %v to %v", n.name, in[0], out)
		return out
	case "Flatten":
		require.Equal(t, 1, n.attributes["axis"])
		return []int{in[0][0], nn.Shape(in[0][1:]).Size()}
	case "Conv":
		require.Equal(t, in[1][2:], ints("kernel_shape"))
		require.Equal(t, in[0][1], in[1][1]*n.attributes["group"].(int))
		perFeature(in[1][0], in[2:]...)
		return window(in[1][0])
	case "MaxPool", "AveragePool":
		require.Equal(t, n.operator == "AveragePool", n.attributes["count_include_pad"] == 1)
		return window(in[0][1])
	case "BatchNormalization":
		require.Len(t, in, 5)
		perFeature(in[0][1], in[1:]...)
		return in[0]
	case "LayerNormalization":
		require.Len(t, in, 3)
		require.Equal(t, -1, n.attributes["axis"])
		perFeature(in[0][len(in[0])-1], in[1:]...)
		return in[0]
	case "Gather":
		require.Equal(t, 0, n.attributes["axis"])
		return append(slices.Clone(in[1]), in[0][1])
	case "ReduceMean":
		require.Equal(t, 0, n.attributes["keepdims"])
		var out []int
		for i, d := range in[0] {
			if !slices.Contains(ints("axes"), i) {
				out = append(out, d)
			}
		}
		return out
	}
	require.Fail(t, "unknown operator", n.operator)
	return nil
}

func onnxModels(t testing.TB) map[string]*nn.Model {
	conv := nn.Conv2d(4, 6, nn.Conv{Kernel: [2]int{3, 2}, Stride: [2]int{1, 2}, Padding: [2]int{2, 1}, Dilation: [2]int{2, 1}, Groups: 2})
	same := nn.Conv2d(6, 6, nn.Conv{Kernel: nn.Square(3), Padding: nn.Square(1), Groups: 6, NoBias: true})
	block := nn.Shared(nn.Sequential(
		nn.Residual(nn.LayerNorm(), nn.SelfAttention(nn.Attention{Heads: 2, Inner: 12, Causal: true, NoKeyBias: true})),
		nn.Residual(nn.Linear(8, 24), nn.GELU(), nn.LinearNoBias(24, 8))))
	shared := nn.Shared(nn.Linear(7, 7))
	return map[string]*nn.Model{
		"nothing":  model(t, nn.Shape{2, 3, 4}, nn.Dropout(0.5)),
		"the same": model(t, nn.Shape{5}, nn.Mean(), nn.Flatten(), nn.Residual(nn.Dropout(0.1))),
		"rows": sequential(t, shared, nn.BatchNorm(), nn.Tanh(), nn.Sigmoid(), nn.Residual(shared, nn.LayerNorm()), nn.Scale(),
			nn.Named("", nn.ReLU()), nn.Positions(), nn.Named("", nn.ReLU()), nn.LinearNoBias(7, 3)),
		"images": model(t, nn.Shape{13, 11, 4}, nn.SiLU(), nn.Scale(), conv, nn.BatchNorm(), nn.GELU(),
			nn.Residual(same, nn.LayerNorm(), nn.Linear(6, 12), nn.GELUTanh(), nn.Linear(12, 6), nn.Scale()),
			nn.ResidualVia(nn.Linear(6, 6), same),
			nn.MaxPool2d(nn.Pooling{Kernel: [2]int{3, 2}, Stride: [2]int{2, 1}, Padding: [2]int{1, 1}}), nn.ReLU(),
			nn.AvgPool2d(nn.Pooling{Kernel: nn.Square(3), Stride: [2]int{1, 2}, Padding: nn.Square(1)}),
			nn.AvgPool2d(nn.Pooling{Kernel: nn.Square(2)}), nn.Positions(), nn.Flatten(), nn.Linear(36, 5)),
		"image to image":  model(t, nn.Shape{5, 4, 6}, nn.Residual(same), nn.LayerNorm(), nn.ResidualVia(same, nn.BatchNorm(), nn.Linear(6, 6))),
		"image to tokens": model(t, nn.Shape{13, 11, 4}, conv, nn.Tokens(), nn.BatchNorm(), nn.SelfAttention(nn.Attention{}), nn.Mean()),
		"image as tokens": model(t, nn.Shape{5, 4, 6}, nn.Tokens(), nn.Flatten(), nn.Linear(120, 2)),
		"image mean":      model(t, nn.Shape{13, 11, 4}, conv, nn.Mean()),
		"tokens":          model(t, nn.Shape{9}, nn.Embedding(31, 8), nn.Positions(), block, block, nn.Named("", nn.BatchNorm()), nn.Flatten(), nn.Linear(72, 3)),
	}
}

// TestONNXGraphs: graphs are well formed, and the tensors that layers own are those
// of the state dictionary.
func TestONNXGraphs(t *testing.T) {
	for name, m := range onnxModels(t) {
		t.Run(name, func(t *testing.T) {
			m.Init(3)
			f := readONNX(t, m)
			f.check(t, m)
			kind := 1
			if name == "tokens" {
				kind = 7
			}
			require.Equal(t, kind, f.inputs[0].kind)
			require.Equal(t, 1, f.outputs[0].kind)
			state := m.StateDict()
			for i, s := range state {
				v := f.initializers[i]
				require.Equal(t, s.Name, v.name)
				require.Equal(t, s.Shape, v.shape)
				require.Equal(t, 1, v.kind)
				data := make([]float32, len(s.Data))
				_, err := binary.Decode(v.data, binary.LittleEndian, data)
				require.NoError(t, err)
				require.Equal(t, bits(s.Data), bits(data), v.name)
			}
			for _, v := range f.initializers[len(state):] {
				require.False(t, strings.HasSuffix(v.name, "weight"), v.name)
			}
		})
	}
}

// TestONNXText: two convolutions share one transposition, and what a later layer
// wants last is transposed once more; a shared layer has one weight.
func TestONNXText(t *testing.T) {
	same := nn.Conv{Kernel: nn.Square(3), Padding: nn.Square(1)}
	m := model(t, nn.Shape{8, 6, 3},
		nn.Named("block", nn.ResidualVia(nn.Conv2d(3, 4, nn.Conv{Kernel: nn.Square(1), NoBias: true}), nn.Named("conv", nn.Conv2d(3, 4, same)), nn.BatchNorm(), nn.ReLU())),
		nn.MaxPool2d(nn.Pooling{Kernel: nn.Square(2)}), nn.Dropout(0.5), nn.Tokens(), nn.Named("mix", nn.LinearNoBias(4, 4)), nn.Mean(), nn.Named("head", nn.Linear(4, 2)))
	require.Equal(t, `input input float32 [batch 8 6 3]
tensor block.conv.weight float32 [4 3 3 3]
tensor block.conv.bias float32 [4]
tensor block.1.weight float32 [4]
tensor block.1.bias float32 [4]
tensor block.downsample.weight float32 [4 3 1 1]
tensor mix.weight float32 [4 4]
tensor head.weight float32 [2 4]
tensor head.bias float32 [2]
tensor block.1.running_mean float32 [4]
tensor block.1.running_var float32 [4]
tensor shape_4_12 int64 [3]
block.conv/Transpose = Transpose(input) perm=[0 3 1 2]
block.conv/Conv = Conv(block.conv/Transpose, block.conv.weight, block.conv.bias) kernel_shape=[3 3] strides=[1 1] pads=[1 1 1 1] dilations=[1 1] group=1
block.1/BatchNormalization = BatchNormalization(block.conv/Conv, block.1.weight, block.1.bias, block.1.running_mean, block.1.running_var) epsilon=1e-05
block.2/Relu = Relu(block.1/BatchNormalization)
block.downsample/Conv = Conv(block.conv/Transpose, block.downsample.weight) kernel_shape=[1 1] strides=[1 1] pads=[0 0 0 0] dilations=[1 1] group=1
block/Add = Add(block.downsample/Conv, block.2/Relu)
1/MaxPool = MaxPool(block/Add) kernel_shape=[2 2] strides=[2 2] pads=[0 0 0 0]
3/Reshape = Reshape(1/MaxPool, shape_4_12)
mix/Transpose = Transpose(3/Reshape) perm=[0 2 1]
mix/Transpose_1 = Transpose(mix.weight) perm=[1 0]
mix/MatMul = MatMul(mix/Transpose, mix/Transpose_1)
5/ReduceMean = ReduceMean(mix/MatMul) axes=[1] keepdims=0
output = Gemm(5/ReduceMean, head.weight, head.bias) transB=1
output output float32 [batch 2]
`, readONNX(t, m).String())

	twice := nn.Shared(nn.Linear(3, 3))
	m = sequential(t, nn.Named("a", twice), nn.Named("b", twice))
	require.Equal(t, `input input float32 [batch 3]
tensor a.weight float32 [3 3]
tensor a.bias float32 [3]
a/Gemm = Gemm(input, a.weight, a.bias) transB=1
output = Gemm(a/Gemm, a.weight, a.bias) transB=1
output output float32 [batch 3]
`, readONNX(t, m).String())
}

// A position sees none after it.
func TestONNXCausalMask(t *testing.T) {
	f := readONNX(t, model(t, nn.Shape{3, 2}, nn.SelfAttention(nn.Attention{Causal: true}), nn.SelfAttention(nn.Attention{Causal: true})))
	at := slices.IndexFunc(f.initializers, func(v onnxTensor) bool { return v.name == "causal_mask_3" })
	require.GreaterOrEqual(t, at, 0)
	require.Equal(t, []int{3, 3}, f.initializers[at].shape)
	var mask [9]float32
	_, err := binary.Decode(f.initializers[at].data, binary.LittleEndian, &mask)
	require.NoError(t, err)
	inf := float32(math.Inf(-1))
	require.Equal(t, [9]float32{0, inf, inf, 0, 0, inf, 0, 0, 0}, mask)
}

// Files are the same at each call, and names that nodes would have may be taken by
// layers.
func TestSaveONNX(t *testing.T) {
	m := sequential(t, nn.Named("input", nn.Linear(4, 3)), nn.Named("output", nn.ReLU()), nn.Named("Gemm", nn.Linear(3, 2)))
	readONNX(t, m).check(t, m)
	path := filepath.Join(t.TempDir(), "model.onnx")
	require.NoError(t, m.SaveONNX(path))
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, m.WriteONNX(&b))
	require.Equal(t, file, b.Bytes())
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1)

	bad := sequential(t, nn.Named("a\xff", nn.Linear(4, 3)))
	require.EqualError(t, bad.SaveONNX(path), `nn: SaveONNX: tensor "a\xff.weight": the name is not UTF-8`)
	again, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, file, again, "the file that was there stays")
	require.ErrorIs(t, m.SaveONNX(filepath.Join(filepath.Dir(path), "none", "x")), os.ErrNotExist)
}

func TestWriteONNXErrors(t *testing.T) {
	var b bytes.Buffer
	require.EqualError(t, new(nn.Model).WriteONNX(&b), "nn: WriteONNX: the model has no layers")
	bad := sequential(t, nn.Linear(4, 3), nn.Named("a\xff", nn.ReLU()), nn.Linear(3, 2))
	require.EqualError(t, bad.WriteONNX(&b), `nn: WriteONNX: node "a\xff/Relu": the name is not UTF-8`)
	require.Zero(t, b.Len(), "nothing is written")

	m := sequential(t, nn.Linear(100, 100))
	full := errors.New("full")
	for _, room := range []int{0, 10, 1000, 30000} {
		require.ErrorIs(t, m.WriteONNX(&limited{room, full}), full)
	}
}

// limited takes so many bytes.
type limited struct {
	room int
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.room {
		return 0, l.err
	}
	l.room -= len(p)
	return len(p), nil
}
