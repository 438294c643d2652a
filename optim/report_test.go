package optim_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/optim"
)

func TestFormatReports(t *testing.T) {
	table := optim.FormatReports([]optim.Report{
		{Report: kron.Report{Layer: "stem", Min: 1e-3, Median: 0.5, Max: 2, DampingShare: 0.0625, TraceH: 12.5, TraceS: 2e-9}, Step: 0.25},
		{Report: kron.Report{Layer: "blocks.0.attention.out", Min: 1e-30, Median: 1, Max: 1234.5, DampingShare: 1}, Step: 1e-12},
	})
	require.Equal(t, `layer                   damping      min F   median F      max F     spread    trace H    trace S       step
stem                      6.2 %      0.001        0.5          2      2e+03       12.5      2e-09       0.25
blocks.0.attention.out  100.0 %      1e-30          1   1.23e+03   1.23e+33          0          0      1e-12
`, table)
	require.Equal(t, "layer  damping      min F   median F      max F     spread    trace H    trace S       step\n", optim.FormatReports(nil))
}
