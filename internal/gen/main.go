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

	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"

	"github.com/adafisher-go/adafisher/internal/gen/desc"
	"github.com/adafisher-go/adafisher/internal/gen/neon"
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
	}
	x86.GemmTiles(file)
	neon.GemmTiles(arm)
	if err := writeX86(file); err != nil {
		return err
	}
	if err := os.WriteFile("asm/kernels_arm64.s", arm.Bytes(), 0o644); err != nil {
		return err
	}
	if err := writeGo("asm/kernels_arm64.go", stubs(kernels, arm64)); err != nil {
		return err
	}
	for _, a := range []arch{amd64, arm64, generic} {
		if err := writeGo("kernels/dispatch_"+a.name+".go", dispatch(kernels, a)); err != nil {
			return err
		}
	}
	return nil
}

func writeX86(file *x86.File) error {
	f, err := file.Result()
	if err != nil {
		return err
	}
	if err := pass.Compile.Execute(f); err != nil {
		return err
	}
	cfg := printer.Config{Argv: []string{"internal/gen"}, Pkg: "asm"}
	s, err := printer.NewGoAsm(cfg).Print(f)
	if err != nil {
		return err
	}
	if err := os.WriteFile("asm/kernels_amd64.s", s, 0o644); err != nil {
		return err
	}
	g, err := printer.NewStubs(cfg).Print(f)
	if err != nil {
		return err
	}
	return os.WriteFile("asm/kernels_amd64.go", g, 0o644)
}

func writeGo(name string, src *bytes.Buffer) error {
	out, err := format.Source(src.Bytes())
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return os.WriteFile(name, out, 0o644)
}
