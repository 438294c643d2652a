package checkpoint_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn/checkpoint"
	"github.com/adafisher-go/adafisher/nn/safetensors"
)

// sample is a content of its own for each n.
func sample(n int) *checkpoint.Content {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	weights := make([]float32, 1+r.IntN(20_000))
	for i := range weights {
		weights[i] = math.Float32frombits(r.Uint32()) // NaNs and infinities too
	}
	generator, _ := rand.NewPCG(uint64(n), 2).MarshalBinary()
	return &checkpoint.Content{
		Vectors:  map[string][]float32{"0.weight": weights, "0.bias": {float32(n)}, "none": {}},
		Floats:   map[string]float64{"lr": math.Float64frombits(r.Uint64()), "nan": math.Float64frombits(0x7ff8_1234_5678_9abc)},
		Ints:     map[string]int64{"n": int64(n), "0.weight/steps": math.MinInt64},
		Uints:    map[string]uint64{"seed": math.MaxUint64 - uint64(n)},
		Bytes:    map[string][]byte{"pcg": generator, "": {}},
		Strings:  map[string]string{"rule": "AdaFisher published", "0.weight": "same name, other map", "é\n/": "\x00"},
		Metadata: json.RawMessage(fmt.Sprintf(`{"epoch": %d, "note": "é"}`, n)),
	}
}

// small is a file of a few hundred bytes.
func small(n int) *checkpoint.Content {
	return &checkpoint.Content{
		Vectors: map[string][]float32{"w": {1, float32(n)}},
		Ints:    map[string]int64{"n": int64(n)},
	}
}

func encode(t testing.TB, c *checkpoint.Content) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, checkpoint.Encode(&b, c))
	return b.Bytes()
}

// requireSame compares bits: the encoding has them all.
func requireSame(t testing.TB, want, got *checkpoint.Content) {
	t.Helper()
	require.True(t, bytes.Equal(encode(t, want), encode(t, got)))
}

func load(t testing.TB, path string) *checkpoint.Loaded {
	t.Helper()
	l, err := checkpoint.Load(path)
	require.NoError(t, err)
	return l
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestSaveAndLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "run.ckpt")
	_, err := checkpoint.Load(path)
	require.ErrorIs(t, err, fs.ErrNotExist)

	for n := range 4 {
		require.NoError(t, checkpoint.Save(path, sample(n)))
		l := load(t, path)
		require.Equal(t, path, l.Path)
		require.NoError(t, l.Skipped)
		requireSame(t, sample(n), &l.Content)
		if n > 0 {
			l = load(t, path+".prev")
			requireSame(t, sample(n-1), &l.Content)
		}
	}
	require.Equal(t, []string{"run.ckpt", "run.ckpt.prev"}, names(t, dir))
}

// The values themselves, not their encoding.
func TestContent(t *testing.T) {
	want := sample(7)
	got, err := checkpoint.Decode(encode(t, want))
	require.NoError(t, err)
	require.Equal(t, want.Ints, got.Ints)
	require.Equal(t, want.Uints, got.Uints)
	require.Equal(t, want.Bytes, got.Bytes)
	require.Equal(t, want.Strings, got.Strings)
	require.Equal(t, want.Metadata, got.Metadata)
	require.Len(t, got.Floats, len(want.Floats))
	for name, x := range want.Floats {
		require.Equal(t, math.Float64bits(x), math.Float64bits(got.Floats[name]))
	}
	require.Len(t, got.Vectors, len(want.Vectors))
	for name, v := range want.Vectors {
		require.Len(t, got.Vectors[name], len(v))
		require.Equal(t, len(v), cap(got.Vectors[name]))
		for i := range v {
			require.Equal(t, math.Float32bits(v[i]), math.Float32bits(got.Vectors[name][i]))
		}
	}

	empty, err := checkpoint.Decode(encode(t, &checkpoint.Content{}))
	require.NoError(t, err)
	require.Equal(t, &checkpoint.Content{
		Vectors: map[string][]float32{}, Floats: map[string]float64{}, Ints: map[string]int64{},
		Uints: map[string]uint64{}, Bytes: map[string][]byte{}, Strings: map[string]string{},
	}, empty)
}

// Decode keeps nothing of its argument, and gives the same at any alignment.
func TestDecodeCopies(t *testing.T) {
	file := encode(t, sample(1))
	for off := range 8 {
		b := append(make([]byte, off), file...)[off:]
		c, err := checkpoint.Decode(b)
		require.NoError(t, err)
		clear(b)
		requireSame(t, sample(1), c)
	}
}

// The format is as documented, and the same content gives the same bytes.
func TestFormat(t *testing.T) {
	c := small(3)
	c.Strings = map[string]string{"rule": "SGD"}
	c.Bytes = map[string][]byte{"zz": {9}}
	c.Metadata = json.RawMessage(`[1]`)
	file := encode(t, c)
	require.Equal(t, file, encode(t, c))

	header := `{"__metadata__":{"format":"adafisher checkpoint","metadata":"[1]","strings/rule":"SGD","version":"1"},` +
		`"ints/n":{"dtype":"I64","shape":[],"data_offsets":[0,8]},` +
		`"vectors/w":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},` +
		`"bytes/zz":{"dtype":"U8","shape":[1],"data_offsets":[16,17]},` +
		`"sha256":{"dtype":"U8","shape":[32],"data_offsets":[17,49]}}`
	for len(header)%8 != 0 {
		header += " "
	}
	want := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	want = append(want, header...)
	want = append(want, "\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x3f\x00\x00\x40\x40\x09"...)
	sum := sha256.Sum256(want)
	require.Equal(t, string(append(want, sum[:]...)), string(file))
}

func TestEncodeRefuses(t *testing.T) {
	for _, c := range []struct {
		content *checkpoint.Content
		want    string
	}{
		{nil, "checkpoint: there is no content"},
		{&checkpoint.Content{Metadata: json.RawMessage("{")}, "checkpoint: metadata: it is not JSON in UTF-8"},
		{&checkpoint.Content{Metadata: json.RawMessage{}}, "checkpoint: metadata: it is not JSON in UTF-8"},
		{&checkpoint.Content{Metadata: json.RawMessage("\"\xff\"")}, "checkpoint: metadata: it is not JSON in UTF-8"},
		{&checkpoint.Content{Strings: map[string]string{"a": "\xff"}}, `checkpoint: safetensors: metadata "strings/a": it is not UTF-8`},
		{&checkpoint.Content{Ints: map[string]int64{"\xff": 1}}, `checkpoint: safetensors: tensor "ints/\xff": the name is not UTF-8`},
	} {
		var b bytes.Buffer
		require.EqualError(t, checkpoint.Encode(&b, c.content), c.want)
		require.Zero(t, b.Len())

		path := filepath.Join(t.TempDir(), "run.ckpt")
		require.NoError(t, checkpoint.Save(path, small(1)))
		require.ErrorContains(t, checkpoint.Save(path, c.content), c.want)
		require.Equal(t, []string{"run.ckpt"}, names(t, filepath.Dir(path)))
		requireSame(t, small(1), &load(t, path).Content)
	}
}

// A file that is cut off anywhere, has a bit flipped anywhere, or is longer than
// it was, is refused, and the previous one is taken.
func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.ckpt")
	require.NoError(t, checkpoint.Save(path, small(1)))
	require.NoError(t, checkpoint.Save(path, small(2)))
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	check := func(b []byte) {
		t.Helper()
		_, err := checkpoint.Decode(b)
		require.Error(t, err)
		require.NotErrorIs(t, err, fs.ErrNotExist)
		l := load(t, path)
		require.Equal(t, path+".prev", l.Path)
		require.ErrorContains(t, l.Skipped, path+": ")
		require.NotErrorIs(t, l.Skipped, fs.ErrNotExist)
		requireSame(t, small(1), &l.Content)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	for i := range 8 * len(file) {
		b := bytes.Clone(file)
		b[i/8] ^= 1 << (i % 8)
		_, err := f.WriteAt(b[i/8:i/8+1], int64(i/8))
		require.NoError(t, err)
		check(b)
		_, err = f.WriteAt(file[i/8:i/8+1], int64(i/8))
		require.NoError(t, err)
	}
	require.NoError(t, load(t, path).Skipped)
	require.NoError(t, f.Truncate(int64(len(file))+1))
	check(append(bytes.Clone(file), 0))
	for n := len(file) - 1; n >= 0; n-- {
		require.NoError(t, f.Truncate(int64(n)))
		check(file[:n])
	}
}

// A file that says that it is enormous is damaged, not a reason for memory.
func TestEnormousFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.ckpt")
	require.NoError(t, checkpoint.Save(path, small(1)))
	require.NoError(t, checkpoint.Save(path, small(2)))
	if err := os.Truncate(path, 1<<40); err != nil {
		t.Skipf("a file with a hole of a TiB: %v", err)
	}
	l := load(t, path)
	require.ErrorContains(t, l.Skipped, "the tensors end at ")
	requireSame(t, small(1), &l.Content)
	require.NoError(t, checkpoint.Save(path, small(3)))
	requireSame(t, small(1), &load(t, path+".prev").Content)
}

// The errors say what is wrong, and only the absence of both files is
// fs.ErrNotExist.
func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "run.ckpt")
	write := func(name string, b []byte) {
		if b == nil {
			require.NoError(t, os.RemoveAll(name))
		} else {
			require.NoError(t, os.WriteFile(name, b, 0o666))
		}
	}
	good := encode(t, small(1))
	bad := []byte("bad")
	for _, c := range []struct {
		current, previous []byte
		want              string // in the error, or in Skipped
	}{
		{good, nil, ""},
		{good, bad, ""},
		{nil, good, "no such file"},
		{bad, good, path + ": safetensors: it has 3 bytes"},
		{nil, nil, "checkpoint: load: stat " + path},
		{nil, bad, "checkpoint: load: " + path + " is missing, and the previous one can't be used: " + path + ".prev: safetensors: it has 3 bytes"},
		{bad, nil, "safetensors: it has 3 bytes: the length of the header alone needs 8, and there is no previous one"},
		{bad, bad, "alone needs 8, and " + path + ".prev: safetensors: it has 3 bytes"},
		{[]byte{}, good, path + ": safetensors: it has 0 bytes"},
		{reseal(good, func(b []byte) []byte { return bytes.Replace(b, []byte(`"version":"1"`), []byte(`"version":"2"`), 1) }), good,
			`checkpoint: load: ` + path + `: unknown version: it is of version "2", this program reads version "1"`},
	} {
		write(path, c.current)
		write(path+".prev", c.previous)
		l, err := checkpoint.Load(path)
		switch {
		case c.want == "":
			require.NoError(t, err)
			require.NoError(t, l.Skipped)
		case strings.HasPrefix(c.want, "checkpoint: ") || l == nil:
			require.ErrorContains(t, err, c.want)
			require.Equal(t, c.current == nil && c.previous == nil, errors.Is(err, fs.ErrNotExist), err)
		default:
			require.NoError(t, err)
			require.ErrorContains(t, l.Skipped, c.want)
			require.Equal(t, path+".prev", l.Path)
			requireSame(t, small(1), &l.Content)
		}
	}

	// A directory is no damage.
	write(path, nil)
	require.NoError(t, os.Mkdir(path, 0o777))
	write(path+".prev", good)
	_, err := checkpoint.Load(path)
	require.ErrorContains(t, err, "is not a regular file")
	require.ErrorContains(t, checkpoint.Save(path, small(1)), "is not a regular file")
}

// reseal changes the part before the checksum, which it then corrects.
func reseal(file []byte, change func([]byte) []byte) []byte {
	b := change(bytes.Clone(file[:len(file)-sha256.Size]))
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// Files with a right checksum and a wrong content.
func TestHostileFiles(t *testing.T) {
	file := func(metadata map[string]string, tensors ...safetensors.Tensor) []byte {
		all := map[string]string{"format": "adafisher checkpoint", "version": "1"}
		for k, v := range metadata {
			all[k] = v
		}
		var b bytes.Buffer
		tensors = append(tensors, safetensors.New("sha256", make([]uint8, 32), 32))
		require.NoError(t, safetensors.Write(&b, tensors, all))
		return reseal(b.Bytes(), func(b []byte) []byte { return b })
	}
	_, err := checkpoint.Decode(file(nil))
	require.NoError(t, err)
	for _, c := range []struct {
		file []byte
		want string
	}{
		{file(map[string]string{"format": "pt"}), `it is not a checkpoint: its format is "pt"`},
		{file(map[string]string{"version": ""}), `it is of version "", this program reads version "1"`},
		{file(map[string]string{"strings": ""}), `metadata member "strings" is not one of a checkpoint`},
		{file(map[string]string{"metadata": "{"}), `metadata: it is not JSON`},
		{file(map[string]string{"metadata": strings.Repeat("[", 100_000)}), `metadata: it is not JSON`},
		{file(nil, safetensors.New("x", []float32{1}, 1)), `tensor "x" is not one of a checkpoint`},
		{file(nil, safetensors.New("vectors", []float32{1}, 1)), `tensor "vectors" is not one of a checkpoint`},
		{file(nil, safetensors.New("vectors/x", []float32{1})), `tensor "vectors/x" has 0 dimensions: want 1`},
		{file(nil, safetensors.New("vectors/x", []float32{1}, 1, 1)), `tensor "vectors/x" has 2 dimensions: want 1`},
		{file(nil, safetensors.New("vectors/x", []float64{1}, 1)), `tensor "vectors/x" is of type F64: want F32`},
		{file(nil, safetensors.New("ints/x", []int64{1}, 1)), `tensor "ints/x" has 1 dimensions: want none`},
		{file(nil, safetensors.New("ints/x", []uint64{1})), `tensor "ints/x": it is of type U64: can't be read as int64`},
		{file(nil, safetensors.New("floats/x", []float32{1})), `it is of type F32: can't be read as float64`},
		{file(nil, safetensors.New("uints/x", []int64{1})), `it is of type I64: can't be read as uint64`},
		{file(nil, safetensors.New("bytes/x", []int8{1}, 1)), `tensor "bytes/x" is of type I8: want U8`},
		{file(nil, safetensors.New("zzz", []uint8{1}, 1)), `it is damaged: there is no checksum at its end`},
		{file(nil, safetensors.NewRaw("b", safetensors.BOOL, []byte{1})), `it is damaged: there is no checksum at its end`},
	} {
		_, err := checkpoint.Decode(c.file)
		require.ErrorContains(t, err, c.want)
		require.True(t, strings.HasPrefix(err.Error(), "checkpoint: "))
	}
	var b bytes.Buffer
	require.NoError(t, safetensors.Write(&b, nil, map[string]string{"format": "adafisher checkpoint"}))
	_, err = checkpoint.Decode(b.Bytes())
	require.ErrorContains(t, err, "there is no checksum")
	b.Reset()
	require.NoError(t, safetensors.Write(&b, []safetensors.Tensor{safetensors.New("sha256", []uint8{1}, 1)}, map[string]string{"format": "adafisher checkpoint"}))
	_, err = checkpoint.Decode(b.Bytes())
	require.ErrorContains(t, err, "it has 1 elements")
}

// A damaged file doesn't become the previous one in place of a good one.
func TestSaveOverDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.ckpt")
	require.NoError(t, checkpoint.Save(path, small(1)))
	require.NoError(t, checkpoint.Save(path, small(2)))
	require.NoError(t, os.Truncate(path, 100))
	require.NoError(t, checkpoint.Save(path, small(3)))
	requireSame(t, small(3), &load(t, path).Content)
	requireSame(t, small(1), &load(t, path+".prev").Content)

	// One of another version is not damaged.
	other := reseal(encode(t, small(4)), func(b []byte) []byte { return bytes.Replace(b, []byte(`"version":"1"`), []byte(`"version":"2"`), 1) })
	require.NoError(t, os.WriteFile(path, other, 0o666))
	require.NoError(t, checkpoint.Save(path, small(5)))
	b, err := os.ReadFile(path + ".prev")
	require.NoError(t, err)
	require.Equal(t, other, b)
}

func TestSymbolicLink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	require.NoError(t, os.Symlink("target", link))
	_, err := checkpoint.Load(link)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, checkpoint.Save(link, small(1)))
	require.NoError(t, checkpoint.Save(link, small(2)))
	for _, damage := range []func() error{
		func() error { return os.Truncate(target, 10) },
		func() error { return os.Remove(target) },
	} {
		require.NoError(t, damage())
		l := load(t, link)
		require.Equal(t, target+".prev", l.Path)
		require.Error(t, l.Skipped)
		requireSame(t, small(1), &l.Content)
	}
	require.Equal(t, []string{"link", "target.prev"}, names(t, dir))
	require.NoError(t, checkpoint.Save(link, small(3)))
	requireSame(t, small(3), &load(t, target).Content)
	requireSame(t, small(1), &load(t, target+".prev").Content)
}

// Load removes what a killed process has left.
func TestLoadCleans(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.ckpt")
	require.NoError(t, checkpoint.Save(path, small(1)))
	require.NoError(t, os.WriteFile(path+".tmp", []byte("half"), 0o666))
	load(t, path)
	require.Equal(t, []string{"run.ckpt"}, names(t, filepath.Dir(path)))
}

// Some goroutines save, others load: what they get is always one content.
func TestConcurrent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.ckpt")
	require.NoError(t, checkpoint.Save(path, sample(0)))
	const goroutines, rounds = 4, 8
	failed := make(chan error, 2*goroutines*rounds)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range rounds {
				failed <- checkpoint.Save(path, sample(g*rounds+i))
			}
		})
		wg.Go(func() {
			for range rounds {
				l, err := checkpoint.Load(path)
				if err == nil {
					err = l.Skipped
				}
				if err == nil {
					var got, want bytes.Buffer
					err = errors.Join(checkpoint.Encode(&got, &l.Content), checkpoint.Encode(&want, sample(int(l.Ints["n"]))))
					if !bytes.Equal(got.Bytes(), want.Bytes()) {
						err = errors.New("a mixture")
					}
				}
				failed <- err
			}
		})
	}
	wg.Wait()
	close(failed)
	for err := range failed {
		require.NoError(t, err)
	}
	require.Equal(t, []string{"run.ckpt", "run.ckpt.prev"}, names(t, filepath.Dir(path)))
}

// Saving copies no vector; loading and decoding need the size of the file, twice
// that where the byte order is the other one.
func TestMemory(t *testing.T) {
	const n = 1 << 20
	c := &checkpoint.Content{Vectors: map[string][]float32{"w": make([]float32, n)}}
	path := filepath.Join(t.TempDir(), "run.ckpt")
	require.NoError(t, checkpoint.Save(path, c))
	require.Less(t, allocated(func() { require.NoError(t, checkpoint.Save(path, c)) }), uint64(1<<19))
	limit := uint64(4*n + 1<<19)
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		limit += 4 * n
	}
	require.Less(t, allocated(func() { load(t, path) }), limit)
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Less(t, allocated(func() { _, _ = checkpoint.Decode(file) }), limit)
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// FuzzDecode gets a file in parts, without the length of the header, and either
// with what it says is its checksum or with the right one, without which all
// files are alike.
func FuzzDecode(f *testing.F) {
	add := func(c *checkpoint.Content) {
		b := encode(f, c)
		n := 8 + binary.LittleEndian.Uint64(b)
		f.Add(string(b[8:n]), b[n:], false)
		f.Add(string(b[8:n]), b[n:], true)
	}
	add(&checkpoint.Content{})
	add(small(1))
	c := small(2)
	c.Strings, c.Metadata, c.Bytes = map[string]string{"rule": "é"}, json.RawMessage(`{"a":[1]}`), map[string][]byte{"b": {1}}
	c.Floats, c.Uints = map[string]float64{"lr": 0.1}, map[string]uint64{"seed": 1}
	add(c)
	f.Fuzz(func(t *testing.T, header string, data []byte, seal bool) {
		b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
		b = append(append(b, header...), data...)
		if seal && len(data) >= sha256.Size {
			b = reseal(b, func(b []byte) []byte { return b })
		}
		c, err := checkpoint.Decode(b)
		if err != nil {
			require.True(t, strings.HasPrefix(err.Error(), "checkpoint: "))
			return
		}
		again, err := checkpoint.Decode(encode(t, c))
		require.NoError(t, err)
		requireSame(t, c, again)
	})
}

func BenchmarkSave(b *testing.B) {
	for _, mib := range []int{1, 64} {
		c := &checkpoint.Content{Vectors: map[string][]float32{"w": make([]float32, mib<<18)}}
		path := filepath.Join(b.TempDir(), "run.ckpt")
		b.Run(fmt.Sprintf("%dMiB", mib), func(b *testing.B) {
			b.SetBytes(int64(mib) << 20)
			for b.Loop() {
				require.NoError(b, checkpoint.Save(path, c))
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	c := &checkpoint.Content{Vectors: map[string][]float32{"w": make([]float32, 64<<18)}}
	path := filepath.Join(b.TempDir(), "run.ckpt")
	require.NoError(b, checkpoint.Save(path, c))
	b.SetBytes(64 << 20)
	for b.Loop() {
		load(b, path)
	}
}

func BenchmarkEncode(b *testing.B) {
	c := &checkpoint.Content{Vectors: map[string][]float32{"w": make([]float32, 64<<18)}}
	b.SetBytes(64 << 20)
	for b.Loop() {
		require.NoError(b, checkpoint.Encode(io.Discard, c))
	}
}
