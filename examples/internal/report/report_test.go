package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/examples/internal/train"
	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/data"
	"github.com/adafisher-go/adafisher/nn/models"
)

// newResults trains two optimizers on a toy: points on a line, and their sign.
func newResults(t *testing.T, epochs, seeds int) (train.Config, []train.Result) {
	set := data.Samples{Features: 1, Classes: 2}
	for i := range 20 {
		set.X = append(set.X, float32(2*i-19)/20)
		set.Labels = append(set.Labels, i/10)
	}
	c := train.Config{
		Train: set, Test: set,
		Network: func() (*nn.Model, error) { return models.MLP(1, 4, 2) },
		Choices: []train.Choice{
			{Optimizer: "AdaFisher", LR: 1e-3, TCov: 1},
			{Optimizer: "SGD", LR: 0.05},
		},
		Epochs: epochs, Batch: 5, Seed: 3, Seeds: seeds, Schedule: train.Constant,
	}
	results, err := train.Compare(c, func() {})
	require.NoError(t, err)
	return c, results
}

func TestTable(t *testing.T) {
	_, results := newResults(t, 2, 1)
	var text strings.Builder
	require.NoError(t, Table(&text, results, train.Accuracy, "test"))
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	require.Len(t, lines, 3)
	require.Regexp(t, `^optimizer +variant +learning rate +test accuracy +training loss +s/epoch +µs/step +allocations/step$`, lines[0])
	require.Regexp(t, `^AdaFisher +published +0.001 +[0-9.]+ % +[0-9.]+ +[0-9.e-]+ +\d+ +[0-9.]+$`, lines[1])
	require.Regexp(t, `^SGD +- +0.05 +[0-9.]+ % `, lines[2])

	_, results = newResults(t, 2, 3)
	text.Reset()
	require.NoError(t, Table(&text, results, train.Accuracy, "validation"))
	require.Contains(t, text.String(), "validation accuracy")
	require.Regexp(t, `AdaFisher +published +0.001 +[0-9.]+ ± [0-9.]+ %`, text.String())
}

func TestLossCurve(t *testing.T) {
	_, results := newResults(t, 12, 2)
	var text strings.Builder
	require.NoError(t, LossCurve(&text, results, false))
	require.Contains(t, text.String(), "* AdaFisher   o SGD\n")
	require.NotContains(t, text.String(), "\x1b", "no colours")
	require.Greater(t, strings.Count(text.String(), "*"), curveWidth/2)
	require.Greater(t, strings.Count(text.String(), "o"), 10)
	require.Regexp(t, `└┬.*┬\n +1 .* 12\n\n$`, text.String())

	text.Reset()
	require.NoError(t, LossCurve(&text, results, true))
	require.Contains(t, text.String(), "\x1b[")

	_, results = newResults(t, 1, 1)
	text.Reset()
	require.NoError(t, LossCurve(&text, results, false))
	require.Empty(t, text.String(), "one epoch is no curve")
}

func TestDamping(t *testing.T) {
	_, results := newResults(t, 12, 1)
	var text strings.Builder
	require.NoError(t, Damping(&text, results))
	require.Regexp(t, `^Note: at the end, damping \(a constant\) makes up 9\d\.\d % or more of AdaFisher's curvature in every layer: .*\n$`, text.String())

	results[0].Curvature[1].DampingShare = 0.5
	text.Reset()
	require.NoError(t, Damping(&text, results))
	require.Empty(t, text.String())
}

func TestJSON(t *testing.T) {
	c, results := newResults(t, 2, 3)
	var text bytes.Buffer
	require.NoError(t, JSON(&text, c, results, "1-4-2 units", "test"))
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	require.Len(t, lines, 2)
	for i, line := range lines {
		var got map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &got))
		mean, std := results[i].Last(func(e train.Epoch) float64 { return e.TestAccuracy })
		perplexity, _ := results[i].Last(train.Perplexity.Of)
		want := map[string]any{
			"optimizer":         c.Choices[i].Optimizer,
			"variant":           []any{"published", ""}[i],
			"level":             kernels.CurrentLevel().String(),
			"lr":                c.Choices[i].LR,
			"schedule":          "constant",
			"network":           "1-4-2 units",
			"weights":           18.0,
			"epochs":            2.0,
			"batch":             5.0,
			"seed":              3.0,
			"seeds":             3.0,
			"held_out":          "test",
			"test_accuracy":     mean,
			"test_accuracy_std": std,
			"test_perplexity":   perplexity,
			"train_loss":        results[i].TrainLoss(),
			"seconds_per_epoch": results[i].SecondsPerEpoch(),
			"step_us":           float64(results[i].StepTime()) / 1e3,
			"allocs_per_step":   results[i].AllocsPerStep(),
			"step_memory_bytes": float64(results[i].StepMemory),
			"peak_rss_bytes":    got["peak_rss_bytes"],
		}
		require.Equal(t, want, got)
		rss := got["peak_rss_bytes"].(float64)
		require.True(t, rss == 0 || rss > 1<<20 && rss < 1<<36, "%v bytes", rss)
	}
}

func TestPNG(t *testing.T) {
	for _, seeds := range []int{1, 2} {
		_, results := newResults(t, 6, seeds)
		file := filepath.Join(t.TempDir(), "curves.PNG")
		require.NoError(t, Plot(file, results, train.Accuracy, "test"))
		f, err := os.Open(file)
		require.NoError(t, err)
		defer f.Close()
		picture, err := png.Decode(f)
		require.NoError(t, err)
		size := picture.Bounds().Size()
		require.Equal(t, math.Round(27/2.54*pngDPI), float64(size.X))
		require.Equal(t, math.Round(11/2.54*pngDPI), float64(size.Y))

		// Both halves have the colour of each line.
		var seen [2][2]int
		for y := range size.Y {
			for x := range size.X {
				for i := range results {
					r, g, b, _ := picture.At(x, y).RGBA()
					c := plotColors[i]
					if uint8(r>>8) == c.R && uint8(g>>8) == c.G && uint8(b>>8) == c.B {
						seen[2*x/size.X][i]++
					}
				}
			}
		}
		for _, half := range seen {
			for i, n := range half {
				require.Greater(t, n, 50, results[i].Optimizer)
			}
		}
	}
}

func TestSVG(t *testing.T) {
	_, results := newResults(t, 1, 1)
	file := filepath.Join(t.TempDir(), "curves.svg")
	require.NoError(t, Plot(file, results, train.Accuracy, "validation"))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, want := range []string{"Training loss", "Validation accuracy", "AdaFisher, lr 0.001", "SGD, lr 0.05", "epoch", "nats", "%"} {
		require.Contains(t, string(text), want)
	}
	decoder := xml.NewDecoder(bytes.NewReader(text))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
	}
}

func TestPlotErrors(t *testing.T) {
	_, results := newResults(t, 1, 1)
	require.ErrorContains(t, Plot("a.pdf", results, train.Accuracy, "test"), "a.pdf: want the ending .svg or .png")
	require.ErrorIs(t, Plot(filepath.Join(t.TempDir(), "no", "a.svg"), results, train.Accuracy, "test"), os.ErrNotExist)
	results[0].Runs[0][0].TrainLoss = math.Inf(1)
	require.Error(t, Plot(filepath.Join(t.TempDir(), "a.svg"), results, train.Accuracy, "test"))
}

func TestTicks(t *testing.T) {
	require.Equal(t, []float64{0.5, 1, 2, 5}, lossTicks(0.6, 2.3))
	require.Equal(t, []float64{0.5, 1, 2}, lossTicks(0.5, 2))
	require.Equal(t, []float64{1e-3, 0.01, 0.1, 1, 10}, lossTicks(0.002, 2))
	require.Equal(t, []float64{0.2, 0.5}, lossTicks(0.3, 0.3))

	require.Equal(t, []float64{97, 98, 99, 100}, accuracyTicks(97.5, 99))
	require.Equal(t, []float64{99, 100}, accuracyTicks(100, 100))
	require.Len(t, accuracyTicks(0, 0), 14)

	for _, c := range []struct {
		last float64
		want []float64
	}{{1, []float64{1}}, {3, []float64{1, 2, 3}}, {30, []float64{5, 10, 15, 20, 25, 30}}, {10_000, []float64{2000, 4000, 6000, 8000, 10_000}}} {
		var values []float64
		for _, tick := range epochTicks(1, c.last) {
			values = append(values, tick.Value)
		}
		require.Equal(t, c.want, values)
	}
}

func TestBands(t *testing.T) {
	r := train.Result{Runs: [][]train.Epoch{
		{{TrainLoss: 1, TestAccuracy: 0.25}, {TrainLoss: 0}},
		{{TrainLoss: 3, TestAccuracy: 0.75}, {TrainLoss: 0}},
	}}
	require.Equal(t, []band{{2, 1, 3}, {1e-9, 1e-9, 1e-9}}, lossBand(r))
	require.Equal(t, band{50, 25, 75}, bands(r, train.Accuracy.Of)[0])
}

func TestProgressIsSilentInAPipe(t *testing.T) {
	var text strings.Builder
	require.False(t, IsTerminal(&text))
	step, done := Progress(&text, 2)
	step()
	step()
	done()
	require.Empty(t, text.String())
}

func TestMicroseconds(t *testing.T) {
	require.Equal(t, 1.5, Microseconds(1500*time.Nanosecond))
}
