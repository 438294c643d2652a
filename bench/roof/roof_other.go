//go:build !amd64 && !arm64

package roof

// Vectors is empty: there are no loops for this machine.
var Vectors []string

func (Pattern) run(string, *streams, int, int) {}

func fma(string, int) int { return 0 }

func mixed(string, int) int { return 0 }

func divide(string, int) int { return 0 }

func root(string, int) int { return 0 }
