// Package splitmix is the random number generator SplitMix64 (Steele, Lea and Flood,
// OOPSLA 2014): cheap, and good enough to make one seed of several numbers.
package splitmix

// Gamma is what the generator's state grows by with each draw.
const Gamma = 0x9e3779b97f4a7c15

// Mix returns the first draw from the state z. From the state z + k*Gamma it is draw k.
func Mix(z uint64) uint64 {
	z += Gamma
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
