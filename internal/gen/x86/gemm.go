package x86
func GemmTiles(f *File) {}
