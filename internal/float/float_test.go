package float

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMinNormal(t *testing.T) {
	require.Equal(t, uint32(1)<<23, math.Float32bits(MinNormal), "exponent 1 and no fraction")
}

func TestPower(t *testing.T) {
	for _, b := range []float64{0, 0.5, 2, -3} {
		want := 1.0 // exact: these powers have few bits
		for k := range int64(30) {
			require.Equal(t, want, Power(b, k), "%v^%d", b, k)
			want *= b
		}
	}
	// A relative error of half an ulp in b^(k/2) is one of an ulp in b^k, and so on: less
	// than k ulp in all.
	for _, b := range []float64{0.95, 0.99, 0.999, 1.001} {
		for k := int64(1); k < 1<<13; k = 2*k + 1 {
			exact := big.NewFloat(1).SetPrec(200)
			for range k {
				exact.Mul(exact, big.NewFloat(b))
			}
			want, _ := exact.Float64()
			require.InEpsilon(t, want, Power(b, k), float64(k)*0x1p-52, "%v^%d", b, k)
		}
	}
	require.Zero(t, Power(0.9, math.MaxInt64))
	require.Equal(t, 1.0, Power(1, math.MaxInt64))
}
