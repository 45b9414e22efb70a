package latchkey_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// floors lists the packages from the ground up. A package imports only from floors
// below its own; docs/architecture.md tells why.
var floors = [][]string{
	{"fault", "resource"},
	{"envelope", "store"},
	{"identity", "keyring", "compute"},
	{"account", "batch", "vault", "subscription", "rest"},
	{"armapi", "batchapi", "vaultapi", "tokenapi", "graphapi", "portal"},
	{"front", "client"},
	{"server"},
	{"cmd/latchkey", "servertest"},
}

func TestPackagesImportOnlyFloorsBelow(t *testing.T) {
	t.Parallel()
	floor := map[string]int{}
	for i, names := range floors {
		for _, name := range names {
			floor[name] = i + 1
		}
	}
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			// tools and compat are modules of their own.
			if name := d.Name(); path != "." && (strings.HasPrefix(name, ".") || name == "testdata" || path == "tools" || path == "compat") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		if pkg == "." {
			return nil
		}
		own, ok := floor[pkg]
		if !ok {
			t.Errorf("package %s stands on no floor", pkg)
			return nil
		}
		seen[pkg] = true
		// Tests may look at anything: they are the outside.
		if strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imp := range file.Imports {
			name, _ := strconv.Unquote(imp.Path.Value)
			below, ok := strings.CutPrefix(name, "latchkey/")
			if ok && floor[below] >= own {
				t.Errorf("%s (floor %d) imports %s (floor %d)", path, own, below, floor[below])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range floor {
		if !seen[name] {
			t.Errorf("floor table names %s, which has no code", name)
		}
	}
}
