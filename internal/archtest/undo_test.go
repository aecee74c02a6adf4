package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryUndoHasItsFailpoint wants each Push of an undo to name a failpoint of its own: at a shared one, a test could not say
// which of the steps it lets fail, and some would never be tried.
func TestEveryUndoHasItsFailpoint(t *testing.T) {
	users := map[string]string{} // by package and variable: where it is pushed
	pushes := 0
	for _, f := range sources(t) {
		if !strings.HasPrefix(f.pkg, "internal/") && !strings.HasPrefix(f.pkg, "cmd/") || f.pkg == "internal/undo" {
			continue
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, filepath.Join("../..", f.path), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			point, ok := pushed(n)
			if !ok {
				return true
			}
			pushes++
			where := fmt.Sprintf("%s:%d", f.path, set.Position(n.Pos()).Line)
			name, plain := point.(*ast.Ident)
			if !plain {
				t.Errorf("%s: an undo's failpoint is not a variable of the package, which could be counted", where)
				return true
			}
			key := f.pkg + "." + name.Name
			if first, taken := users[key]; taken {
				t.Errorf("%s: %s is the failpoint of %s already", where, name.Name, first)
			}
			users[key] = where
			return true
		})
	}
	if pushes == 0 {
		t.Fatal("no undo found")
	}
}

// pushed is the failpoint of a call of undo.Stack's Push: three arguments, the second of which says what is undone.
func pushed(n ast.Node) (point ast.Expr, ok bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) != 3 {
		return nil, false
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || method.Sel.Name != "Push" {
		return nil, false
	}
	return call.Args[0], true
}
