package neon
func GemmTiles(t *Target) {}
