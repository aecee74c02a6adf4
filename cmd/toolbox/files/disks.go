package files

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/cmd/toolbox/call"
)

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

// Mounts lists what is mounted.
func Mounts(c *call.Call) int {
	if len(c.Args) > 0 {
		return c.Fail(errors.New("only lists what is mounted"))
	}
	table, err := mountTable()
	if err != nil {
		return c.Fail(err)
	}
	for _, f := range table {
		fmt.Fprintf(c.Out, "%s on %s type %s (%s)\n", f[0], f[1], f[2], f[3])
	}
	return 0
}

// Df shows how full file systems are: -h.
func Df(c *call.Call) int {
	set := c.Flags()
	human := set.Bool("h", false, "human units")
	if set.Parse(c.Args) != nil {
		return 2
	}
	table, err := mountTable()
	if err != nil {
		return c.Fail(err)
	}
	if set.NArg() > 0 {
		table = nil
		for _, a := range set.Args() {
			table = append(table, []string{"-", c.Path(a)})
		}
	}
	size := func(n uint64) string {
		if *human {
			return humanSize(n)
		}
		return strconv.FormatUint(n/1024, 10)
	}
	w := tabwriter.NewWriter(c.Out, 10, 0, 1, ' ', 0)
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
		return c.Fail(err)
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

// Du shows what files take: -s, -h.
func Du(c *call.Call) int {
	set := c.Flags()
	sum, human := set.Bool("s", false, "only the sum"), set.Bool("h", false, "human units")
	if set.Parse(call.Split(c.Args, "sh")) != nil {
		return 2
	}
	names := set.Args()
	if len(names) == 0 {
		names = []string{"."}
	}
	return c.Every(names, func(root string) error {
		_, err := diskUsage(root, func(path string, n uint64) {
			if *sum && path != root {
				return
			}
			if *human {
				fmt.Fprintf(c.Out, "%s\t%s\n", humanSize(n), path)
			} else {
				fmt.Fprintf(c.Out, "%d\t%s\n", n/1024, path)
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

// SyncDisks writes what is in memory to the disks.
func SyncDisks(*call.Call) int {
	unix.Sync()
	return 0
}

// Dd copies blocks: if=, of=, bs=, count=.
func Dd(c *call.Call) int {
	in, out, bs, count := c.In, c.Out, int64(512), int64(-1)
	for _, a := range c.Args {
		k, v, _ := strings.Cut(a, "=")
		var err error
		switch k {
		case "if":
			var f *os.File
			f, err = os.Open(c.Path(v))
			in = f
		case "of":
			var f *os.File
			f, err = os.OpenFile(c.Path(v), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
			out = f
		case "bs":
			bs, err = parseSize(v)
		case "count":
			count, err = parseSize(v)
		default:
			err = fmt.Errorf("unknown operand %q", a)
		}
		if err != nil {
			return c.Fail(err)
		}
	}
	c.DieOf(nil)
	if count >= 0 {
		in = io.LimitReader(in, bs*count)
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, bs))
	if f, ok := out.(*os.File); ok && f != os.Stdout {
		err = errors.Join(err, f.Close())
	}
	fmt.Fprintf(c.Err, "%d bytes copied\n", n)
	if err != nil {
		return c.Fail(err)
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
