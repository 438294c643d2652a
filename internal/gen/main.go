// Command gen writes the assembly of package asm, its Go declarations, and the
// dispatch of package kernels, from the descriptions in desc. Run it in the root
// of the library: go run ./internal/gen.
package main

import (
	"bytes"
	"fmt"
	"go/format"
	"log"
	"os"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"

	"github.com/adafisher-go/adafisher/internal/gen/desc"
	"github.com/adafisher-go/adafisher/internal/gen/neon"
	"github.com/adafisher-go/adafisher/internal/gen/vec"
	"github.com/adafisher-go/adafisher/internal/gen/x86"
)

func main() {
	log.SetFlags(0)
	if err := generate(); err != nil {
		log.Fatal("gen: ", err)
	}
}

func generate() error {
	kernels := desc.Kernels()
	file := x86.NewFile()
	avx2, avx512 := &x86.Target{File: file}, &x86.Target{File: file, Wide: true}
	arm := neon.New()
	for _, k := range kernels {
		k.Lower(avx2)
		k.Lower(avx512)
		k.Lower(arm)
		if k.Streams() {
			k.LowerStream(avx2)
		}
		if k.FetchesAhead() {
			k.Ahead().Lower(avx2)
		}
	}
	for _, t := range []interface {
		Tiles() []vec.Tile
		Gemm(vec.Tile)
		Pack()
		PackHalf()
		PackRounded()
	}{avx2, avx512, arm} {
		for _, s := range t.Tiles() {
			t.Gemm(s)
		}
		t.Pack()
		t.PackHalf()
		t.PackRounded()
	}
	for _, t := range []*x86.Target{avx2, avx512} {
		for _, height := range t.PackHeights() {
			t.PackRows(height)
			t.PackCols(height)
		}
	}
	for _, s := range avx2.DotStrips() {
		avx2.Dots(s)
	}
	avx2.Combine()
	avx2.Transpose()
	arm.Transpose()
	for _, group := range vec.Planes {
		avx2.Planes(group)
		arm.Planes(group)
	}
	asm, err := assembly(file.Result())
	if err != nil {
		return err
	}
	vendor, err := assembly(x86.Vendor())
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{
		"asm/kernels_amd64.s": asm,
		"asm/vendor_amd64.s":  vendor,
		"asm/kernels_arm64.s": arm.Bytes(),
	} {
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return err
		}
	}
	tiles := map[string][]gemmLevel{
		"amd64": {{"AVX512", avx512.Tiles(), "AVX2", avx512.PackHeights(), nil}, {"AVX2", avx2.Tiles(), "AVX2", avx2.PackHeights(), avx2.DotStrips()}},
		"arm64": {{"NEON", arm.Tiles(), "NEON", nil, nil}},
	}
	if err := writeGo("asm/tile.go", tileStruct()); err != nil {
		return err
	}
	if err := writeGo("asm/vendor_amd64.go", vendorStub()); err != nil {
		return err
	}
	for _, a := range []arch{amd64, arm64, generic} {
		if err := writeGo("kernels/dispatch_"+a.name+".go", dispatch(kernels, a)); err != nil {
			return err
		}
		if len(a.levels) == 0 {
			continue
		}
		if err := writeGo("asm/kernels_"+a.name+".go", stubs(kernels, a, tiles[a.name])); err != nil {
			return err
		}
		if err := writeGo("kernels/tiles_"+a.name+".go", gemmDispatch(a, tiles[a.name])); err != nil {
			return err
		}
	}
	return nil
}

// assembly returns the text of an x86 file.
func assembly(f *ir.File, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	if err := pass.Compile.Execute(f); err != nil {
		return nil, err
	}
	return printer.NewGoAsm(printer.Config{Argv: []string{"internal/gen"}, Pkg: "asm"}).Print(f)
}

func writeGo(name string, src *bytes.Buffer) error {
	out, err := format.Source(src.Bytes())
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return os.WriteFile(name, out, 0o644)
}
