package nn_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/safetensors"
)

func stateModel(t *testing.T) *nn.Model {
	m, err := nn.New(nn.Shape{5, 4, 2},
		nn.Named("conv", nn.Conv2d(2, 6, nn.Conv{Kernel: [2]int{3, 2}, Groups: 2})),
		nn.Named("bn", nn.BatchNorm()), nn.Flatten(), nn.Linear(3*3*6, 3))
	require.NoError(t, err)
	return m
}

// Each element of the exported tensor is the one that PyTorch's index names.
func TestStateDictLayout(t *testing.T) {
	m := stateModel(t)
	state := m.StateDict()
	var names []string
	for _, s := range state {
		names = append(names, s.Name)
	}
	require.Equal(t, []string{"conv.weight", "conv.bias", "bn.weight", "bn.bias", "3.weight", "3.bias", "bn.running_mean", "bn.running_var"}, names)
	params := m.Params()

	require.Equal(t, []int{6, 1, 3, 2}, state[0].Shape)
	w := params[0].Value // [3, 2, 1, 6]
	for o := range 6 {
		for i := range 3 {
			for j := range 2 {
				require.Equal(t, w[(i*2+j)*6+o], state[0].Data[(o*3+i)*2+j])
			}
		}
	}
	require.Equal(t, []int{3, 54}, state[4].Shape)
	for o := range 3 {
		for i := range 54 {
			require.Equal(t, params[4].Value[i*3+o], state[4].Data[o*54+i])
		}
	}
	require.Equal(t, []float32{1, 1, 1, 1, 1, 1}, state[7].Data)
}

func TestLoadStateDict(t *testing.T) {
	from, to := stateModel(t), stateModel(t)
	from.Init(7)
	copy(from.Buffers()[0].Value, []float32{1, 2, 3, 4, 5, 6})
	state := from.StateDict()
	state = append(state, nn.Tensor{Name: "bn.num_batches_tracked", Data: []float32{3}})
	slices.Reverse(state)
	require.NoError(t, to.LoadStateDict(state))
	require.Equal(t, weights(from), weights(to))
	require.Equal(t, []float32{1, 2, 3, 4, 5, 6}, to.Buffers()[0].Value)

	before := weights(to)
	bad := slices.Clone(stateModel(t).StateDict())
	bad[0].Shape = []int{6, 1, 2, 3}
	bad[1].Data = bad[1].Data[:5]
	bad[2].Name = "bn.gamma"
	bad[7] = bad[6]
	bad = append(bad, nn.Tensor{Name: "conv.num_batches_tracked"})
	require.EqualError(t, to.LoadStateDict(bad), `nn: LoadStateDict: bn.running_mean is there twice
conv.weight has shape [6 1 2 3]: want [6 1 3 2]
conv.bias has 5 numbers: want 6, as its shape [6]
bn.weight of shape [6] is missing
bn.running_var of shape [6] is missing
bn.gamma is nothing in the model
conv.num_batches_tracked is nothing in the model`)
	require.Equal(t, before, weights(to), "nothing is loaded")
}

func TestSaveAndLoad(t *testing.T) {
	from, to := stateModel(t), stateModel(t)
	from.Init(7)
	copy(from.Buffers()[1].Value, []float32{1, 2, 3, 4, 5, 6})
	path := filepath.Join(t.TempDir(), "model.safetensors")
	require.NoError(t, from.Save(path))
	require.NoError(t, to.Load(path))
	require.Equal(t, from.StateDict(), to.StateDict())

	var b bytes.Buffer
	require.NoError(t, from.WriteSafetensors(&b))
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, file, b.Bytes())
	to.Init(1)
	require.NoError(t, to.ReadSafetensors(file))
	require.Equal(t, weights(from), weights(to))

	before := weights(to)
	require.ErrorContains(t, to.ReadSafetensors(file[:len(file)-1]), "nn: ReadSafetensors: ")
	require.ErrorIs(t, to.Load(path+"x"), os.ErrNotExist)
	other, err := nn.New(nn.Shape{5, 4, 2}, nn.Named("conv", nn.Conv2d(2, 6, nn.Conv{Kernel: [2]int{2, 3}, Groups: 2})))
	require.NoError(t, err)
	require.ErrorContains(t, other.Load(path), "conv.weight has shape [6 1 3 2]: want [6 1 2 3]\n3.bias is nothing in the model\n")
	require.Equal(t, before, weights(to))
}

// PyTorch writes half precision, and a counter beside each batch normalisation.
func TestLoadOtherTypes(t *testing.T) {
	from, to := stateModel(t), stateModel(t)
	for _, p := range from.Params() {
		for i := range p.Value {
			p.Value[i] = float32(i % 32)
		}
	}
	var tensors []safetensors.Tensor
	for i, s := range from.StateDict() {
		if i%2 == 0 {
			wide := make([]float64, len(s.Data))
			for k, v := range s.Data {
				wide[k] = float64(v)
			}
			tensors = append(tensors, safetensors.New(s.Name, wide, s.Shape...))
		} else {
			tensors = append(tensors, safetensors.New(s.Name, s.Data, s.Shape...))
		}
	}
	tensors = append(tensors, safetensors.New("bn.num_batches_tracked", []int64{5}))
	var b bytes.Buffer
	require.NoError(t, safetensors.Write(&b, tensors, nil))
	require.NoError(t, to.ReadSafetensors(b.Bytes()))
	require.Equal(t, weights(from), weights(to))
}

func FuzzReadSafetensors(f *testing.F) {
	model := func(t testing.TB) *nn.Model { return sequential(t, nn.Linear(2, 3), nn.ReLU(), nn.LinearNoBias(3, 1)) }
	m := model(f)
	var b bytes.Buffer
	require.NoError(f, m.WriteSafetensors(&b))
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:40])
	f.Fuzz(func(t *testing.T, file []byte) {
		m.Init(3)
		before := weights(m)
		if err := m.ReadSafetensors(file); err != nil {
			require.Equal(t, bits(before), bits(weights(m)), "a refused file changes nothing")
			return
		}
		var again bytes.Buffer
		require.NoError(t, m.WriteSafetensors(&again))
		require.NoError(t, model(t).ReadSafetensors(again.Bytes()))
	})
}
