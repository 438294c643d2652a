package main

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const kernelsPath = "github.com/adafisher-go/adafisher/kernels"

// notRaced are the kernels without a race, and why: all of a type's methods by its name.
var notRaced = map[string]string{
	"NewMatrix":        "describes memory, and moves none",
	"NewFloat16Matrix": "the same",
	"Pool":             "the work of functions and methods that are raced, split; with two workers products and whole training steps are",
}

// TestEveryKernelIsRaced: each exported function and method of package kernels that
// takes vectors or matrices is called by some contender of ours.
func TestEveryKernelIsRaced(t *testing.T) {
	fset := token.NewFileSet()
	imported := missingPackages{}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	kernels, _ := check(t, fset, kernelsPath, "../../kernels", imported, nil)
	imported[kernelsPath] = kernels
	_, files := check(t, fset, "main", ".", imported, info)
	raced := racedIn(files, info)

	var missing []string
	unused := maps.Clone(notRaced)
	for name, f := range kernelsOf(kernels) {
		owner, _, _ := strings.Cut(name, ".")
		excused := name
		if notRaced[name] == "" {
			excused = owner
		}
		switch _, ok := notRaced[excused]; {
		case ok:
			delete(unused, excused)
		case !raced[f]:
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	require.Empty(t, missing, "kernels that no race has")
	require.Empty(t, unused, "exceptions that are none")
}

// missingPackages stand for those that are imported, with nothing in them, but for some
// that are there.
type missingPackages map[string]*types.Package

func (all missingPackages) Import(name string) (*types.Package, error) {
	if all[name] == nil {
		all[name] = types.NewPackage(name, path.Base(name))
		all[name].MarkComplete()
	}
	return all[name], nil
}

// check returns what is known of a package's types without the packages that it
// imports, and its files.
func check(t *testing.T, fset *token.FileSet, name, dir string, imported missingPackages, info *types.Info) (*types.Package, []*ast.File) {
	source, err := build.ImportDir(dir, 0)
	require.NoError(t, err)
	var files []*ast.File
	for _, file := range slices.Concat(source.GoFiles, source.CgoFiles) {
		f, err := parser.ParseFile(fset, filepath.Join(dir, file), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		files = append(files, f)
	}
	config := types.Config{Importer: imported, IgnoreFuncBodies: info == nil, Error: func(error) {}}
	p, _ := config.Check(name, fset, files, info) // errors come of what is missing
	return p, files
}

// kernelsOf returns the exported functions and methods that take vectors or matrices, by
// their names.
func kernelsOf(p *types.Package) map[string]*types.Func {
	all := map[string]*types.Func{}
	add := func(name string, f *types.Func) {
		if f.Exported() && takesMemory(f.Signature()) {
			all[name] = f
		}
	}
	for _, name := range p.Scope().Names() {
		switch x := p.Scope().Lookup(name).(type) {
		case *types.Func:
			add(name, x)
		case *types.TypeName:
			if named, ok := x.Type().(*types.Named); ok && x.Exported() {
				for m := range named.Methods() {
					add(name+"."+m.Name(), m)
				}
			}
		}
	}
	return all
}

// takesMemory reports whether a function has a parameter that is a slice or a matrix.
func takesMemory(s *types.Signature) bool {
	is := func(v *types.Var) bool {
		if named, ok := v.Type().(*types.Named); ok && strings.HasSuffix(named.Obj().Name(), "Matrix") {
			return true
		}
		_, ok := v.Type().Underlying().(*types.Slice)
		return ok
	}
	for v := range s.Params().Variables() {
		if is(v) {
			return true
		}
	}
	return false
}

// racedIn returns the functions that contenders of ours use: in a field named ours, or in
// what is given to the function ours.
func racedIn(files []*ast.File, info *types.Info) map[types.Object]bool {
	all := map[types.Object]bool{}
	use := func(n ast.Node) {
		ast.Inspect(n, func(n ast.Node) bool {
			if x, ok := n.(*ast.Ident); ok && info.Uses[x] != nil {
				all[info.Uses[x]] = true
			}
			return true
		})
	}
	isOurs := func(e ast.Expr) bool {
		x, ok := e.(*ast.Ident)
		return ok && x.Name == "ours"
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.KeyValueExpr:
				if isOurs(x.Key) {
					use(x.Value)
				}
			case *ast.CallExpr:
				if isOurs(x.Fun) {
					use(x)
				}
			}
			return true
		})
	}
	return all
}
