package nn

import (
	"fmt"
	"io"

	"github.com/adafisher-go/adafisher/nn/safetensors"
)

// Save writes the parameters and buffers to a safetensors file, as PyTorch's
// state_dict has them: Python reads it with safetensors.torch.load_file. The file
// appears under its name when it is complete; until then, and after an error, one
// that was there before is as it was.
func (m *Model) Save(path string) error {
	if err := m.made("Save"); err != nil {
		return err
	}
	if err := safetensors.WriteFile(path, m.tensors(), savedMetadata); err != nil {
		return fmt.Errorf("nn: Save: %w", err)
	}
	return nil
}

// WriteSafetensors writes what [Model.Save] does to w. It makes no copy of the weights.
func (m *Model) WriteSafetensors(w io.Writer) error {
	if err := m.made("WriteSafetensors"); err != nil {
		return err
	}
	if err := safetensors.Write(w, m.tensors(), savedMetadata); err != nil {
		return fmt.Errorf("nn: WriteSafetensors: %w", err)
	}
	return nil
}

// savedMetadata is what Python's libraries look for.
var savedMetadata = map[string]string{"format": "pt"}

// tensors returns the state, to be written from where it is.
func (m *Model) tensors() []safetensors.Tensor {
	var all []safetensors.Tensor
	for _, e := range m.state() {
		all = append(all, safetensors.NewFunc(e.name, safetensors.F32, e.writeTo, e.theirs()...))
	}
	return all
}

// Load reads parameters and buffers from a safetensors file, which [Model.Save]
// or Python wrote, by name. Numbers may be float32, float16, bfloat16 or float64;
// the counter "num_batches_tracked" of a batch normalisation may be among them.
//
// It fails, and changes nothing, on a file that is not of the format, and as
// [Model.LoadStateDict] does, with a list of all that doesn't match.
func (m *Model) Load(path string) error {
	if err := m.made("Load"); err != nil {
		return err
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return fmt.Errorf("nn: Load: %w", err)
	}
	defer f.Close()
	if err := m.load(f); err != nil {
		return fmt.Errorf("nn: Load: %s: %w", path, err)
	}
	return nil
}

// ReadSafetensors does what [Model.Load] does from a file in memory, one that is
// embedded in the program for instance.
func (m *Model) ReadSafetensors(file []byte) error {
	if err := m.made("ReadSafetensors"); err != nil {
		return err
	}
	f, err := safetensors.Parse(file)
	if err == nil {
		err = m.load(f)
	}
	if err != nil {
		return fmt.Errorf("nn: ReadSafetensors: %w", err)
	}
	return nil
}

func (m *Model) load(f *safetensors.File) error {
	var all []outline
	for _, t := range f.Tensors() {
		all = append(all, outline{t.Name, t.Shape, t.Len()})
	}
	if err := m.match(all); err != nil {
		return err
	}
	state := m.state()
	values := make([][]float32, len(state))
	for i, e := range state {
		t, err := f.Tensor(e.name)
		if err != nil {
			return err
		}
		values[i] = make([]float32, len(e.value))
		if err := safetensors.ReadFloat32(t, values[i]); err != nil {
			return err
		}
	}
	for i, e := range state {
		e.load(values[i])
	}
	return nil
}
