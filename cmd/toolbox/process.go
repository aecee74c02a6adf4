package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/hull-pods/hull/cmd/toolbox/call"
	"github.com/hull-pods/hull/cmd/toolbox/users"
)

func ps(c *call.Call) int {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return c.Fail(err)
	}
	pids := make([]int, 0, len(dirs))
	for _, d := range dirs {
		if pid, err := strconv.Atoi(filepath.Base(d)); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	w := tabwriter.NewWriter(c.Out, 5, 0, 1, ' ', 0)
	fmt.Fprintln(w, "PID\tUSER\tTIME\tCOMMAND")
	for _, pid := range pids {
		if line, err := psLine(pid); err == nil { // else it has just ended
			fmt.Fprintln(w, line)
		}
	}
	if err := w.Flush(); err != nil {
		return c.Fail(err)
	}
	return 0
}

func psLine(pid int) (string, error) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return "", err
	}
	end := bytes.LastIndexByte(stat, ')')
	begin := bytes.IndexByte(stat, '(')
	if begin < 0 || end < begin {
		return "", errors.New("no name in stat")
	}
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 13 {
		return "", errors.New("short stat")
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	seconds := (user + system) / 100 // the kernel counts for user space in hundredths everywhere
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil {
		return "", err
	}
	cmd, _ := os.ReadFile(dir + "cmdline")
	shown := strings.TrimRight(string(bytes.ReplaceAll(cmd, []byte{0}, []byte{' '})), " ")
	if shown == "" {
		shown = "[" + string(stat[begin+1:end]) + "]"
	}
	return fmt.Sprintf("%d\t%s\t%d:%02d\t%s", pid, users.Name(st.Uid), seconds/60, seconds%60, shown), nil
}

func hostname(c *call.Call) int {
	name, err := os.Hostname()
	if err != nil {
		return c.Fail(err)
	}
	if len(c.Args) > 0 && c.Args[0] == "-s" {
		name, _, _ = strings.Cut(name, ".")
	}
	fmt.Fprintln(c.Out, name)
	return 0
}

func uname(c *call.Call) int {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return c.Fail(err)
	}
	all := map[byte]string{
		's': unix.ByteSliceToString(u.Sysname[:]), 'n': unix.ByteSliceToString(u.Nodename[:]), 'r': unix.ByteSliceToString(u.Release[:]),
		'v': unix.ByteSliceToString(u.Version[:]), 'm': unix.ByteSliceToString(u.Machine[:]),
	}
	want := strings.ReplaceAll(strings.Join(c.Args, ""), "-", "")
	if want == "" {
		want = "s"
	}
	var shown []string
	for _, k := range []byte("snrvm") {
		if strings.IndexByte(want, k) >= 0 || strings.Contains(want, "a") {
			shown = append(shown, all[k])
		}
	}
	fmt.Fprintln(c.Out, strings.Join(shown, " "))
	return 0
}

func nproc(c *call.Call) int {
	fmt.Fprintln(c.Out, runtime.NumCPU())
	return 0
}

func tty(c *call.Call) int {
	if !term.IsTerminal(0) {
		fmt.Fprintln(c.Out, "not a tty")
		return 1
	}
	name, err := os.Readlink("/proc/self/fd/0")
	if err != nil {
		return c.Fail(err)
	}
	fmt.Fprintln(c.Out, name)
	return 0
}

// umask is the shell's: the mask belongs to the process, and its children have it too.
func umask(c *call.Call) int {
	if len(c.Args) == 0 {
		old := syscall.Umask(0)
		syscall.Umask(old)
		fmt.Fprintf(c.Out, "%04o\n", old)
		return 0
	}
	mask, err := strconv.ParseUint(c.Args[0], 8, 12)
	if err != nil {
		return c.Fail(fmt.Errorf("%q is no octal mask", c.Args[0]))
	}
	syscall.Umask(int(mask))
	return 0
}

func uptime(c *call.Call) int {
	var si unix.Sysinfo_t
	if err := unix.Sysinfo(&si); err != nil {
		return c.Fail(err)
	}
	load := func(i int) float64 { return float64(si.Loads[i]) / 65536 }
	fmt.Fprintf(c.Out, " %s up %s, load average: %.2f, %.2f, %.2f\n",
		time.Now().Format("15:04:05"), time.Duration(si.Uptime)*time.Second, load(0), load(1), load(2))
	return 0
}

func free(c *call.Call) int {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return c.Fail(err)
	}
	m := map[string]int64{}
	for line := range strings.SplitSeq(string(b), "\n") {
		if f := strings.Fields(line); len(f) > 1 {
			m[strings.TrimSuffix(f[0], ":")], _ = strconv.ParseInt(f[1], 10, 64)
		}
	}
	cache := m["Buffers"] + m["Cached"] + m["SReclaimable"]
	w := tabwriter.NewWriter(c.Out, 12, 0, 1, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\ttotal\tused\tfree\tshared\tbuff/cache\tavailable\t")
	fmt.Fprintf(w, "Mem:\t%d\t%d\t%d\t%d\t%d\t%d\t\n", m["MemTotal"], m["MemTotal"]-m["MemFree"]-cache, m["MemFree"], m["Shmem"], cache, m["MemAvailable"])
	fmt.Fprintf(w, "Swap:\t%d\t%d\t%d\t\t\t\t\n", m["SwapTotal"], m["SwapTotal"]-m["SwapFree"], m["SwapFree"])
	if err := w.Flush(); err != nil {
		return c.Fail(err)
	}
	return 0
}
