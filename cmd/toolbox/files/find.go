package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hull-pods/hull/cmd/toolbox/call"
)

// found is what a test of find looks at.
type found struct {
	path  string
	depth int
	d     fs.DirEntry
}

// Find walks directories: -name -iname -path -type -maxdepth -mindepth -newer -empty -delete -print -print0 -exec … \;
func Find(c *call.Call) int {
	args, roots := c.Args, []string(nil)
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		roots, args = append(roots, args[0]), args[1:]
	}
	if len(roots) == 0 {
		roots = []string{"."}
	}
	f := finder{c: c, minDepth: 0, maxDepth: -1}
	if err := f.parse(args); err != nil {
		return c.Fail(err)
	}
	for _, root := range roots {
		f.walk(found{path: root})
	}
	return f.code
}

type finder struct {
	c                  *call.Call
	minDepth, maxDepth int
	tests              []func(found) bool // in order: one that says no ends the row
	acts, depthFirst   bool
	code               int
}

func (f *finder) parse(args []string) error {
	for len(args) > 0 {
		word, value := args[0], ""
		args = args[1:]
		switch word {
		case "-print", "-print0", "-delete", "-empty", "-exec":
		default:
			if len(args) == 0 {
				return fmt.Errorf("%s: want a value", word)
			}
			value, args = args[0], args[1:]
		}
		if word == "-exec" {
			end := slices.Index(args, ";")
			if end < 1 {
				return errors.New("-exec: want a command that ends with ;")
			}
			f.exec(args[:end])
			args = args[end+1:]
			continue
		}
		if err := f.word(word, value); err != nil {
			return err
		}
	}
	if !f.acts {
		f.print("\n")
	}
	return nil
}

func (f *finder) word(word, value string) (err error) {
	match := func(subject func(found) string, pattern string) {
		f.tests = append(f.tests, func(e found) bool { ok, _ := filepath.Match(pattern, subject(e)); return ok })
	}
	base := func(e found) string { return filepath.Base(e.path) }
	switch word {
	case "-name":
		match(base, value)
	case "-iname":
		match(func(e found) string { return strings.ToLower(base(e)) }, strings.ToLower(value))
	case "-path":
		match(func(e found) string { return e.path }, value)
	case "-maxdepth":
		f.maxDepth, err = strconv.Atoi(value)
	case "-mindepth":
		f.minDepth, err = strconv.Atoi(value)
	case "-type":
		kind, ok := map[string]fs.FileMode{"f": 0, "d": fs.ModeDir, "l": fs.ModeSymlink, "p": fs.ModeNamedPipe, "s": fs.ModeSocket, "c": fs.ModeDevice | fs.ModeCharDevice, "b": fs.ModeDevice}[value]
		if !ok {
			return fmt.Errorf("-type %s: unknown", value)
		}
		f.tests = append(f.tests, func(e found) bool { return e.d.Type() == kind })
	case "-newer":
		than, err := os.Stat(f.c.Path(value))
		if err != nil {
			return err
		}
		f.tests = append(f.tests, func(e found) bool { fi, err := e.d.Info(); return err == nil && fi.ModTime().After(than.ModTime()) })
	case "-empty":
		f.tests = append(f.tests, f.empty)
	case "-print":
		f.print("\n")
	case "-print0":
		f.print("\x00")
	case "-delete":
		f.acts, f.depthFirst = true, true
		f.tests = append(f.tests, func(e found) bool { return f.ok(os.Remove(f.c.Path(e.path))) })
	default:
		return fmt.Errorf("unknown word %q", word)
	}
	return err
}

func (f *finder) ok(err error) bool {
	if err != nil {
		f.code = f.c.Fail(err)
	}
	return err == nil
}

func (f *finder) print(end string) {
	f.acts = true
	f.tests = append(f.tests, func(e found) bool { fmt.Fprint(f.c.Out, e.path, end); return true })
}

func (f *finder) empty(e found) bool {
	if e.d.IsDir() {
		entries, err := os.ReadDir(f.c.Path(e.path))
		return err == nil && len(entries) == 0
	}
	fi, err := e.d.Info()
	return err == nil && fi.Mode().IsRegular() && fi.Size() == 0
}

func (f *finder) exec(command []string) {
	f.acts = true
	f.tests = append(f.tests, func(e found) bool {
		args := make([]string, len(command))
		for i, a := range command {
			args[i] = strings.ReplaceAll(a, "{}", e.path)
		}
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = f.c.Dir, f.c.In, f.c.Out, f.c.Err
		err := cmd.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			f.ok(err)
		}
		return err == nil
	})
}

func (f *finder) walk(e found) {
	if e.d == nil {
		fi, err := os.Lstat(f.c.Path(e.path))
		if !f.ok(err) {
			return
		}
		e.d = fs.FileInfoToDirEntry(fi)
	}
	if !f.depthFirst {
		f.test(e)
	}
	if e.d.IsDir() && (f.maxDepth < 0 || e.depth < f.maxDepth) {
		entries, err := os.ReadDir(f.c.Path(e.path))
		f.ok(err)
		for _, d := range entries {
			f.walk(found{path: strings.TrimSuffix(e.path, "/") + "/" + d.Name(), depth: e.depth + 1, d: d})
		}
	}
	if f.depthFirst {
		f.test(e)
	}
}

func (f *finder) test(e found) {
	if e.depth < f.minDepth {
		return
	}
	for _, t := range f.tests {
		if !t(e) {
			return
		}
	}
}
