package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"

	"golang.org/x/sys/unix"
)

// every calls fn with each argument, and goes on after an error.
func (c *call) every(args []string, fn func(path string) error) int {
	code := 0
	for _, a := range args {
		if err := fn(c.path(a)); err != nil {
			code = c.fail(err)
		}
	}
	return code
}

func pwd(c *call) int {
	dir, err := c.dir, error(nil)
	if dir == "" {
		dir, err = os.Getwd()
	}
	if err != nil {
		return c.fail(err)
	}
	fmt.Fprintln(c.out, dir)
	return 0
}

func ln(c *call) int {
	fs := c.flags()
	sym, force, noDir := fs.Bool("s", false, "symbolic"), fs.Bool("f", false, "force"), fs.Bool("n", false, "do not follow")
	if fs.Parse(split(c.args, "sfn")) != nil || fs.NArg() < 1 || fs.NArg() > 2 {
		return c.usage("[-sfn] TARGET [LINK]")
	}
	target, link := fs.Arg(0), filepath.Base(fs.Arg(0))
	if fs.NArg() == 2 {
		link = fs.Arg(1)
	}
	link = c.path(link)
	if fi, err := os.Stat(link); err == nil && fi.IsDir() && !*noDir {
		link = filepath.Join(link, filepath.Base(target))
	}
	if *force {
		if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
			return c.fail(err)
		}
	}
	err := error(nil)
	if *sym {
		err = os.Symlink(target, link)
	} else {
		err = os.Link(c.path(target), link)
	}
	if err != nil {
		return c.fail(err)
	}
	return 0
}

func chown(c *call) int {
	set := c.flags()
	recursive, noFollow := set.Bool("R", false, "recursive"), set.Bool("h", false, "links themselves")
	if set.Parse(split(c.args, "Rh")) != nil || set.NArg() < 2 {
		return c.usage("[-Rh] USER[:GROUP] FILE…")
	}
	user, group, both := strings.Cut(set.Arg(0), ":")
	uid, gid := -1, -1
	var err error
	if user != "" {
		if uid, err = idOf("/etc/passwd", user); err != nil {
			return c.fail(err)
		}
	}
	if both && group != "" {
		if gid, err = idOf("/etc/group", group); err != nil {
			return c.fail(err)
		}
	}
	change := os.Chown
	if *noFollow {
		change = os.Lchown
	}
	return c.every(set.Args()[1:], func(path string) error {
		if !*recursive {
			return change(path, uid, gid)
		}
		return filepath.WalkDir(path, func(p string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(p, uid, gid)
		})
	})
}

func stat(c *call) int {
	fs := c.flags()
	format := fs.String("c", "", "format: %n %s %a %u %g %U %G %i %h %Y %F")
	follow := fs.Bool("L", false, "follow links")
	if fs.Parse(c.args) != nil || fs.NArg() == 0 {
		return c.usage("[-L] [-c FORMAT] FILE…")
	}
	if *format == "" {
		*format = "  File: %n\n  Size: %s  %F\nDevice: %d  Inode: %i  Links: %h\nAccess: (%a)  Uid: (%u/%U)  Gid: (%g/%G)\nModify: %y"
	}
	return c.every(fs.Args(), func(path string) error {
		look := os.Lstat
		if *follow {
			look = os.Stat
		}
		fi, err := look(path)
		if err != nil {
			return err
		}
		st := fi.Sys().(*syscall.Stat_t)
		fmt.Fprintln(c.out, strings.NewReplacer(
			"%n", path, "%s", strconv.FormatInt(fi.Size(), 10), "%a", strconv.FormatUint(uint64(st.Mode&0o7777), 8),
			"%u", strconv.Itoa(int(st.Uid)), "%g", strconv.Itoa(int(st.Gid)), "%U", userName(st.Uid), "%G", groupName(st.Gid),
			"%i", strconv.FormatUint(st.Ino, 10), "%h", strconv.FormatUint(uint64(st.Nlink), 10), "%d", strconv.FormatUint(uint64(st.Dev), 10),
			"%Y", strconv.FormatInt(fi.ModTime().Unix(), 10), "%y", fi.ModTime().Format("2006-01-02 15:04:05.000000000 -0700"), "%F", kindOf(fi.Mode()), "%%", "%",
		).Replace(*format))
		return nil
	})
}

func kindOf(m os.FileMode) string {
	switch {
	case m.IsDir():
		return "directory"
	case m&os.ModeSymlink != 0:
		return "symbolic link"
	case m&os.ModeNamedPipe != 0:
		return "fifo"
	case m&os.ModeSocket != 0:
		return "socket"
	case m&os.ModeCharDevice != 0:
		return "character special file"
	case m&os.ModeDevice != 0:
		return "block special file"
	}
	return "regular file"
}

func readlink(c *call) int {
	if len(c.args) > 1 && c.args[0] == "-f" {
		c.args = c.args[1:]
		return realpath(c)
	}
	code := 0
	for _, a := range c.args {
		to, err := os.Readlink(c.path(a))
		if err != nil {
			code = 1 // says nothing, as everywhere
			continue
		}
		fmt.Fprintln(c.out, to)
	}
	return code
}

func realpath(c *call) int {
	return c.every(c.args, func(path string) error {
		path, err := filepath.Abs(path)
		if err == nil {
			path, err = filepath.EvalSymlinks(path)
		}
		if err == nil {
			fmt.Fprintln(c.out, path)
		}
		return err
	})
}

func rmdir(c *call) int {
	fs := c.flags()
	parents := fs.Bool("p", false, "parents too")
	if fs.Parse(c.args) != nil {
		return 2
	}
	return c.every(fs.Args(), func(path string) error {
		for {
			if err := syscall.Rmdir(path); err != nil {
				return &os.PathError{Op: "rmdir", Path: path, Err: err}
			}
			if path = filepath.Dir(path); !*parents || path == "." || path == "/" || path == c.dir {
				return nil
			}
		}
	})
}

func basename(c *call) int {
	if len(c.args) == 0 {
		return c.usage("NAME [SUFFIX]")
	}
	name := filepath.Base(c.args[0])
	if len(c.args) > 1 && name != c.args[1] {
		name = strings.TrimSuffix(name, c.args[1])
	}
	fmt.Fprintln(c.out, name)
	return 0
}

func dirname(c *call) int {
	for _, a := range c.args {
		fmt.Fprintln(c.out, filepath.Dir(strings.TrimRight(a, "/")+map[bool]string{true: "/", false: ""}[strings.Trim(a, "/") == "" && a != ""]))
	}
	return 0
}

// mountTable reads what is mounted in this container.
func mountTable() ([][]string, error) {
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	var table [][]string
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.SplitSeq(string(b), "\n") {
		if f := strings.Fields(line); len(f) > 3 {
			f[0], f[1] = unescape.Replace(f[0]), unescape.Replace(f[1])
			table = append(table, f)
		}
	}
	return table, nil
}

func mounts(c *call) int {
	if len(c.args) > 0 {
		return c.fail(errors.New("only lists what is mounted"))
	}
	table, err := mountTable()
	if err != nil {
		return c.fail(err)
	}
	for _, f := range table {
		fmt.Fprintf(c.out, "%s on %s type %s (%s)\n", f[0], f[1], f[2], f[3])
	}
	return 0
}

func df(c *call) int {
	set := c.flags()
	human := set.Bool("h", false, "human units")
	if set.Parse(c.args) != nil {
		return 2
	}
	table, err := mountTable()
	if err != nil {
		return c.fail(err)
	}
	if set.NArg() > 0 {
		table = nil
		for _, a := range set.Args() {
			table = append(table, []string{"-", c.path(a)})
		}
	}
	size := func(n uint64) string {
		if *human {
			return humanSize(n)
		}
		return strconv.FormatUint(n/1024, 10)
	}
	w := tabwriter.NewWriter(c.out, 10, 0, 1, ' ', 0)
	fmt.Fprintln(w, "Filesystem\tSize\tUsed\tAvailable\tUse%\tMounted on")
	for _, f := range table {
		var st unix.Statfs_t
		if err := unix.Statfs(f[1], &st); err != nil || st.Blocks == 0 {
			continue // a file system without blocks, or one that may not be looked at
		}
		unit := uint64(st.Bsize)
		used := st.Blocks - st.Bfree
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d%%\t%s\n", f[0], size(st.Blocks*unit), size(used*unit), size(st.Bavail*unit), used*100/max(used+st.Bavail, 1), f[1])
	}
	if err := w.Flush(); err != nil {
		return c.fail(err)
	}
	return 0
}

func humanSize(n uint64) string {
	f, units := float64(n), "BKMGTP"
	for f >= 1024 && len(units) > 1 {
		f, units = f/1024, units[1:]
	}
	return fmt.Sprintf("%.1f%c", f, units[0])
}

func du(c *call) int {
	set := c.flags()
	sum, human := set.Bool("s", false, "only the sum"), set.Bool("h", false, "human units")
	if set.Parse(split(c.args, "sh")) != nil {
		return 2
	}
	names := set.Args()
	if len(names) == 0 {
		names = []string{"."}
	}
	return c.every(names, func(root string) error {
		_, err := diskUsage(root, func(path string, n uint64) {
			if *sum && path != root {
				return
			}
			if *human {
				fmt.Fprintf(c.out, "%s\t%s\n", humanSize(n), path)
			} else {
				fmt.Fprintf(c.out, "%d\t%s\n", n/1024, path)
			}
		})
		return err
	})
}

// diskUsage adds up what a directory takes and shows every directory below it, the deepest first.
func diskUsage(path string, show func(string, uint64)) (uint64, error) {
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	total := uint64(st.Blocks) * 512
	if st.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		return total, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return total, err
	}
	for _, e := range entries {
		n, err := diskUsage(filepath.Join(path, e.Name()), show)
		if err != nil {
			return total, err
		}
		total += n
	}
	show(path, total)
	return total, nil
}

func syncDisks(*call) int {
	unix.Sync()
	return 0
}

func which(c *call) int {
	code := 0
	for _, a := range c.args {
		path, err := exec.LookPath(a)
		if err != nil {
			code = 1
			continue
		}
		fmt.Fprintln(c.out, path)
	}
	return code
}

func mkfifo(c *call) int {
	return c.every(c.args, func(path string) error {
		if err := syscall.Mkfifo(path, 0o666); err != nil {
			return &os.PathError{Op: "mkfifo", Path: path, Err: err}
		}
		return nil
	})
}

// dd copies blocks: if=, of=, bs=, count=.
func dd(c *call) int {
	in, out, bs, count := c.in, c.out, int64(512), int64(-1)
	for _, a := range c.args {
		k, v, _ := strings.Cut(a, "=")
		var err error
		switch k {
		case "if":
			var f *os.File
			f, err = os.Open(c.path(v))
			in = f
		case "of":
			var f *os.File
			f, err = os.OpenFile(c.path(v), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
			out = f
		case "bs":
			bs, err = parseSize(v)
		case "count":
			count, err = parseSize(v)
		default:
			err = fmt.Errorf("unknown operand %q", a)
		}
		if err != nil {
			return c.fail(err)
		}
	}
	dieOf(nil)
	if count >= 0 {
		in = io.LimitReader(in, bs*count)
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, bs))
	if f, ok := out.(*os.File); ok && f != os.Stdout {
		err = errors.Join(err, f.Close())
	}
	fmt.Fprintf(c.err, "%d bytes copied\n", n)
	if err != nil {
		return c.fail(err)
	}
	return 0
}

func parseSize(s string) (int64, error) {
	unit := int64(1)
	if n := len(s); n > 0 {
		if u, ok := map[byte]int64{'k': 1 << 10, 'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}[s[n-1]]; ok {
			unit, s = u, s[:n-1]
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return 0, fmt.Errorf("invalid number %q", s)
	}
	return n * unit, nil
}
