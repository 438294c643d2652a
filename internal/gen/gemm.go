package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// gemmLevel is a level and the shapes of its matrix micro-kernels.
type gemmLevel struct {
	name  string // of the level in package kernels
	tiles []vec.Tile
	moves string         // the level whose transposition and planes serve this one
	packs []int          // heights of the tiles that A is packed for
	dots  []vec.DotStrip // of products of a single row, if there are routines for those
}

// tileStruct declares asm.Tile.
func tileStruct() *bytes.Buffer {
	b := bytes.NewBufferString(header)
	b.WriteString("// Package asm holds the generated assembly: one routine a kernel and level,\n// unchecked. Use package kernels.\npackage asm\n\n")
	b.WriteString(vec.TileStruct)
	return b
}

// gemmDispatch writes, for each level, a function that calls a micro-kernel by
// its shape; an unknown shape is a mistake of the caller.
func gemmDispatch(a arch, levels []gemmLevel) *bytes.Buffer {
	b := bytes.NewBufferString(header)
	fmt.Fprintf(b, "//go:build %s\n\npackage kernels\n\nimport \"github.com/adafisher-go/adafisher/asm\"\n", a.constraint)
	fmt.Fprint(b, "\n// runTile calls the level's micro-kernel of a shape; see tileShape. It is where\n// the scheduler can preempt a product.\n//\n//go:noinline\nfunc runTile(l Level, shape tileShape, t *asm.Tile) {\nswitch l {\n")
	for _, l := range levels {
		fmt.Fprintf(b, "case %s:\nrunTile%s(shape, t)\n", l.name, l.name)
	}
	fmt.Fprint(b, "}\n}\n")
	// call writes a function that runs one routine of each level.
	call := func(doc, name, signature, args, routine string, suffix func(gemmLevel) string) {
		fmt.Fprintf(b, "\n// %s %s\n//\n//go:noinline\nfunc %s(l Level, %s {\nswitch l {\n", name, doc, name, strings.TrimPrefix(signature, "func("))
		for _, l := range levels {
			fmt.Fprintf(b, "case %s:\nasm.%s%s(%s)\n", l.name, routine, suffix(l), args)
		}
		fmt.Fprint(b, "}\n}\n")
	}
	call("transposes blocks of strips of src below each other, each as high\n// as a block is wide; strides are in elements.",
		"transposeStrips", vec.TransposeSignature, "dst, src, dstStride, srcStride, blocks, strips",
		"Transpose", func(l gemmLevel) string { return l.moves })
	call("copies panels of two vectors of columns, of rows at a stride in\n// elements, into consecutive memory.",
		"packPanel", vec.PackSignature, "dst, src, stride, rows, panels",
		"Pack", func(l gemmLevel) string { return l.name })
	call("is packPanel from float16.",
		"packHalf", vec.PackHalfSignature, "dst, src, stride, rows, panels",
		"PackHalf", func(l gemmLevel) string { return l.name })
	call("is packPanel with numbers rounded to float16.",
		"packRounded", vec.PackRoundedSignature, "dst, src, stride, rows, panels",
		"PackRounded", func(l gemmLevel) string { return l.name })
	fmt.Fprintf(b, "\n// dots multiplies a row x by the transpose of a matrix b, strips of some groups of\n// 8 rows and blocks of k.\n//\n//go:noinline\nfunc dots(l Level, groups, blocks int, %s {\nswitch {\n", strings.TrimPrefix(vec.DotsSignature, "func("))
	for _, l := range levels {
		for _, s := range l.dots {
			fmt.Fprintf(b, "case l == %s && groups == %d && blocks == %d:\nasm.%s%s(c, x, b, stride, k, strips, add, fetch)\n", l.name, s.Groups, s.Blocks, s.Name(), l.name)
		}
	}
	fmt.Fprint(b, "default:\npanic(\"kernels: no such strips\")\n}\n}\n")
	fmt.Fprintf(b, "\n// combine multiplies a row x by rows of a matrix b, in whole vectors.\n//\n//go:noinline\nfunc combine(l Level, %s {\nswitch l {\n", strings.TrimPrefix(vec.CombineSignature, "func("))
	for _, l := range levels {
		if l.dots != nil {
			fmt.Fprintf(b, "case %s:\nasm.Combine%s(c, x, b, stride, k, n, more)\n", l.name, l.name)
		}
	}
	fmt.Fprint(b, "default:\npanic(\"kernels: no such level\")\n}\n}\n")
	for _, order := range []string{"Rows", "Cols"} {
		fmt.Fprintf(b, "\n// packTile%s copies tiles of so many rows of A, which lies by %s at a stride in\n// elements, to consecutive columns.\n//\n//go:noinline\nfunc packTile%s(l Level, height int, %s {\nswitch {\n",
			order, map[string]string{"Rows": "rows", "Cols": "columns"}[order], order, strings.TrimPrefix(vec.PackLeftSignature, "func("))
		for _, l := range levels {
			for _, h := range l.packs {
				fmt.Fprintf(b, "case l == %s && height == %d:\nasm.Pack%s%d%s(dst, src, stride, tiles, k)\n", l.name, h, order, h, l.name)
			}
		}
		fmt.Fprint(b, "default:\npanic(\"kernels: no such tile\")\n}\n}\n")
	}
	for _, group := range vec.Planes {
		call(fmt.Sprintf("copies pixels into %d planes: plane i has, in each place, element i of\n// the place's group of %d.", group, group),
			fmt.Sprint("planes", group), vec.PlanesSignature, "dst, src, plane, stride, vectors, pixels",
			fmt.Sprint("Planes", group), func(l gemmLevel) string { return l.moves })
	}
	for _, l := range levels {
		fmt.Fprintf(b, "\nfunc runTile%s(shape tileShape, t *asm.Tile) {\nswitch shape {\n", l.name)
		for _, s := range l.tiles {
			fmt.Fprintf(b, "case %s:\nasm.%s%s(t)\n", shape(s), s.Name(), l.name)
		}
		fmt.Fprintf(b, "default:\npanic(\"kernels: no such tile\")\n}\n}\n")
	}
	return b
}

// shape is the Go constant of a tile: see tileShape in package kernels.
func shape(s vec.Tile) string {
	out := [...]string{1: "shapeOne", 2: "shapeTwo"}
	width := "shapeWide"
	if s.Vectors < len(out) {
		width = out[s.Vectors]
	}
	if s.Cols {
		width += " + shapeCols"
	}
	if s.Lanes {
		width += " + shapeLanes"
	}
	if s.Half {
		width += " + shapeHalf"
	}
	if s.Panels {
		width += " + shapePanels"
	}
	if s.Partial {
		width += " + shapePartial"
	}
	if s.Pack {
		width += " + shapePack"
	}
	return fmt.Sprintf("%s + %d", width, s.Rows)
}
