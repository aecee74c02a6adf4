package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/hull-pods/hull/"

// file is one source file that is not a test: the package's directory below the module and what it imports.
type file struct {
	path, pkg string
	imports   []string
}

func sources(t *testing.T) []file {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var files []file
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		got := file{path: rel, pkg: filepath.ToSlash(filepath.Dir(rel))}
		for _, spec := range f.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			got.imports = append(got.imports, p)
		}
		files = append(files, got)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no source file found")
	}
	return files
}

// TestEdges holds every import between Hull's packages against the table.
func TestEdges(t *testing.T) {
	for _, f := range sources(t) {
		row, known := table[owner(f.pkg)]
		if !known {
			t.Errorf("%s: package %s is not in the table: say what it is for, and what it may import", f.path, f.pkg)
			continue
		}
		for _, imp := range f.imports {
			other, ours := strings.CutPrefix(imp, module)
			if !ours {
				continue
			}
			to := owner(other)
			if to == owner(f.pkg) || slices.Contains(everybody, to) || slices.Contains(row, to) {
				continue
			}
			t.Errorf("%s: %s may not import %s (allowed: %s)", f.path, owner(f.pkg), to, strings.Join(row, " "))
		}
	}
}

// TestDoors keeps each foreign vocabulary behind its one door.
func TestDoors(t *testing.T) {
	for _, f := range sources(t) {
		for _, imp := range f.imports {
			for _, d := range doors {
				if !d.covers(imp) || d.opens(owner(f.pkg)) {
					continue
				}
				t.Errorf("%s: %s is for %s only", f.path, imp, strings.Join(d.may, ", "))
			}
		}
	}
}

// TestEveryPackageSaysItsJob wants a doc comment on each package that is in the table.
func TestEveryPackageSaysItsJob(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range sources(t) {
		tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join("../..", f.path), nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		documented[f.pkg] = documented[f.pkg] || tree.Doc != nil
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("%s has no package comment", pkg)
		}
	}
}
