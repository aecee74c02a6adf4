package files

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/cmd/toolbox/call"
	"github.com/hull-pods/hull/cmd/toolbox/users"
)

type lsOptions struct {
	long, all, almost, human, self, recursive, byTime, bySize, reverse, inode, class, one bool
}

// Ls lists directories: -laAhdRtSriF1.
func Ls(c *call.Call) int {
	fs := c.Flags()
	var o lsOptions
	for name, p := range map[string]*bool{
		"l": &o.long, "a": &o.all, "A": &o.almost, "h": &o.human, "d": &o.self, "R": &o.recursive, "t": &o.byTime, "S": &o.bySize, "r": &o.reverse, "i": &o.inode, "F": &o.class, "1": &o.one,
	} {
		fs.BoolVar(p, name, false, "")
	}
	if fs.Parse(call.Split(c.Args, "laAhdRtSriF1")) != nil {
		return c.Usage("[-laAhdRtSriF1] [FILE…]")
	}
	names := fs.Args()
	if len(names) == 0 {
		names = []string{"."}
	}
	var files []lsEntry
	var dirs []string
	code := 0
	for _, n := range names {
		fi, err := os.Lstat(c.Path(n))
		if err != nil {
			code = c.Fail(err)
			continue
		}
		to := fi
		if followed, err := os.Stat(c.Path(n)); err == nil && !o.long {
			to = followed
		}
		if to.IsDir() && !o.self {
			dirs = append(dirs, n)
		} else {
			files = append(files, lsEntry{n, c.Path(n), fi})
		}
	}
	o.show(c, files)
	slices.Sort(dirs)
	for i, d := range dirs {
		if len(names) > 1 || o.recursive {
			fmt.Fprintf(c.Out, "%s%s:\n", strings.Repeat("\n", min(1, i+len(files))), d)
		}
		if err := o.dir(c, d); err != nil {
			code = c.Fail(err)
		}
	}
	return code
}

type lsEntry struct {
	name, path string
	os.FileInfo
}

// dir lists one directory, and those below it when asked to.
func (o *lsOptions) dir(c *call.Call, name string) error {
	entries, err := os.ReadDir(c.Path(name))
	if err != nil {
		return err
	}
	var shown []lsEntry
	if o.all {
		for _, n := range []string{".", ".."} {
			if fi, err := os.Lstat(filepath.Join(c.Path(name), n)); err == nil {
				shown = append(shown, lsEntry{n, filepath.Join(c.Path(name), n), fi})
			}
		}
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && !o.all && !o.almost {
			continue
		}
		if fi, err := e.Info(); err == nil { // else it has just gone
			shown = append(shown, lsEntry{e.Name(), filepath.Join(c.Path(name), e.Name()), fi})
		}
	}
	o.show(c, shown)
	if !o.recursive {
		return nil
	}
	for _, e := range shown {
		if !e.IsDir() || e.name == "." || e.name == ".." {
			continue
		}
		below := filepath.Join(name, e.name)
		fmt.Fprintf(c.Out, "\n%s:\n", below)
		if err := o.dir(c, below); err != nil {
			return err
		}
	}
	return nil
}

func (o *lsOptions) show(c *call.Call, list []lsEntry) {
	slices.SortStableFunc(list, func(a, b lsEntry) int {
		if o.reverse {
			a, b = b, a
		}
		switch {
		case o.byTime:
			return b.ModTime().Compare(a.ModTime())
		case o.bySize:
			return int(min(max(b.Size()-a.Size(), -1), 1))
		}
		return strings.Compare(a.name, b.name)
	})
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 1, ' ', tabwriter.AlignRight)
	for _, e := range list {
		st := e.Sys().(*syscall.Stat_t)
		if o.inode {
			fmt.Fprintf(w, "%d ", st.Ino)
		}
		name := e.name + o.mark(e)
		if !o.long {
			fmt.Fprintln(w, name)
			continue
		}
		if e.Mode()&os.ModeSymlink != 0 {
			if to, err := os.Readlink(e.path); err == nil {
				name += " -> " + to
			}
		}
		size := strconv.FormatInt(e.Size(), 10)
		if o.human {
			size = humanSize(uint64(e.Size()))
		}
		if e.Mode()&os.ModeDevice != 0 {
			size = fmt.Sprintf("%d, %d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
		}
		when := e.ModTime().Format("Jan _2 15:04")
		if time.Since(e.ModTime()) > 180*24*time.Hour {
			when = e.ModTime().Format("Jan _2  2006")
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t %s %s\n", modeText(e.Mode()), st.Nlink, users.Name(st.Uid), users.Group(st.Gid), size, when, name)
	}
	if err := w.Flush(); err != nil {
		c.Fail(err)
	}
	for line := range strings.Lines(b.String()) {
		if o.long { // aligned to the right, with a blank before the first column
			line = line[1:]
		}
		if _, err := fmt.Fprint(c.Out, line); err != nil {
			return
		}
	}
}

func (o *lsOptions) mark(e lsEntry) string {
	switch {
	case !o.class:
		return ""
	case e.IsDir():
		return "/"
	case e.Mode()&os.ModeSymlink != 0 && !o.long:
		return "@"
	case e.Mode()&os.ModeNamedPipe != 0:
		return "|"
	case e.Mode()&os.ModeSocket != 0:
		return "="
	case e.Mode().IsRegular() && e.Mode()&0o111 != 0:
		return "*"
	}
	return ""
}

// modeText is a mode as ls -l shows it, which is not how Go does.
func modeText(m os.FileMode) string {
	b := []byte("-rwxrwxrwx")
	for i := range 9 {
		if m&(1<<(8-i)) == 0 {
			b[i+1] = '-'
		}
	}
	for kind, letter := range map[os.FileMode]byte{os.ModeDir: 'd', os.ModeSymlink: 'l', os.ModeNamedPipe: 'p', os.ModeSocket: 's'} {
		if m&kind != 0 {
			b[0] = letter
		}
	}
	if m&os.ModeDevice != 0 {
		b[0] = 'b'
		if m&os.ModeCharDevice != 0 {
			b[0] = 'c'
		}
	}
	special := func(bit os.FileMode, at int, letter byte) {
		if m&bit == 0 {
			return
		}
		if b[at] == '-' {
			letter -= 'a' - 'A'
		}
		b[at] = letter
	}
	special(os.ModeSetuid, 3, 's')
	special(os.ModeSetgid, 6, 's')
	special(os.ModeSticky, 9, 't')
	return string(b)
}
