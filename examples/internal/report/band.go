// Package report shows the results of package train: curves and a table in the
// terminal, a picture, JSON.
package report

import "github.com/adafisher-go/adafisher/examples/internal/train"

// band is one quantity in one epoch, over the seeds.
type band struct{ mean, low, high float64 }

// lossBand is for logarithmic axes: a loss of 0 stands at 1e-9.
func lossBand(r train.Result) []band {
	return bands(r, func(e train.Epoch) float64 { return max(e.TrainLoss, 1e-9) })
}

func bands(r train.Result, of func(train.Epoch) float64) []band {
	all := make([]band, len(r.Runs[0]))
	for i := range all {
		b := band{low: of(r.Runs[0][i]), high: of(r.Runs[0][i])}
		for _, run := range r.Runs {
			v := of(run[i])
			b.mean += v / float64(len(r.Runs))
			b.low, b.high = min(b.low, v), max(b.high, v)
		}
		all[i] = b
	}
	return all
}
