package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Sizes above which a thing is not read at one go any more: split it by noun before that.
const (
	packageLines     = 2500 // tests not counted
	fileLines        = 400  // nor these
	typeMethods      = 25
	interfaceMethods = 7
)

// tooLarge is what is larger all the same, by its name in a failure of [TestSizes], with its size: it may shrink, not grow, and
// goes from here when it is small enough.
var tooLarge = map[string]int{}

// sizes of everything that has a limit: "package internal/runtime", "type internal/runtime.container".
type sizes struct{ of, limit map[string]int }

func (s *sizes) add(what string, n, limit int) {
	s.of[what] += n
	s.limit[what] = limit
}

func TestSizes(t *testing.T) {
	all := sizes{map[string]int{}, map[string]int{}}
	for _, f := range sources(t) {
		text, err := os.ReadFile(filepath.Join("../..", f.path))
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.Count(text, []byte("\n"))
		all.add("file "+f.path, lines, fileLines)
		all.add("package "+f.pkg, lines, packageLines)
		tree, err := parser.ParseFile(token.NewFileSet(), f.path, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		all.count(f.pkg, tree)
	}
	for _, problem := range all.problems(tooLarge) {
		t.Error(problem)
	}
}

// count counts the methods of a file's types and interfaces. One that embeds another has only its own counted.
func (s *sizes) count(pkg string, tree *ast.File) {
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv != nil {
				s.add("type "+pkg+"."+receiver(n.Recv.List[0].Type), 1, typeMethods)
			}
			return false
		case *ast.TypeSpec:
			if i, ok := n.Type.(*ast.InterfaceType); ok {
				s.add("interface "+pkg+"."+n.Name.Name, interfaceSize(i), interfaceMethods)
			}
		}
		return true
	})
}

// receiver is the name of a method's type, without its star and its parameters.
func receiver(e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return fmt.Sprintf("%T", e)
		}
	}
}

func interfaceSize(i *ast.InterfaceType) int {
	n := 0
	for _, m := range i.Methods.List {
		n += len(m.Names)
	}
	return n
}

// problems says what is over its limit and no exception, and which exceptions are wrong.
func (s *sizes) problems(except map[string]int) []string {
	var list []string
	for _, what := range slices.Sorted(maps.Keys(s.of)) {
		n, limit := s.of[what], s.limit[what]
		was, excepted := except[what]
		switch {
		case excepted && n <= limit:
			list = append(list, fmt.Sprintf("%s has %d, within the limit of %d: it is no exception any more", what, n, limit))
		case excepted && n > was:
			list = append(list, fmt.Sprintf("%s has grown from %d to %d, and the limit is %d", what, was, n, limit))
		case !excepted && n > limit:
			list = append(list, fmt.Sprintf("%s has %d, more than %d: split it by noun", what, n, limit))
		}
	}
	for what := range except {
		if _, there := s.of[what]; !there {
			list = append(list, what+" is an exception, and does not exist")
		}
	}
	return list
}

func TestSizesAreToldApart(t *testing.T) {
	s := sizes{map[string]int{}, map[string]int{}}
	s.add("small", 5, 10)
	s.add("large", 11, 10)
	s.add("excepted", 12, 10)
	s.add("grown", 13, 10)
	s.add("shrunk", 10, 10)
	got := s.problems(map[string]int{"excepted": 12, "grown": 12, "shrunk": 11, "gone": 99})
	want := []string{
		"grown has grown from 12 to 13, and the limit is 10",
		"large has 11, more than 10: split it by noun",
		"shrunk has 10, within the limit of 10: it is no exception any more",
		"gone is an exception, and does not exist",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
