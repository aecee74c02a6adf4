package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
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
)

// flags is a set that leaves saying what is wrong to the applet.
func (c *call) flags() *flag.FlagSet {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	fs.SetOutput(c.err)
	return fs
}

// sleep takes numbers with a unit, adds them up, and ends at once on a signal.
func sleep(c *call) int {
	var total time.Duration
	if len(c.args) == 0 {
		return c.usage("NUMBER[smhd]…")
	}
	for _, a := range c.args {
		d, err := duration(a)
		if err != nil {
			return c.fail(err)
		}
		total += d
	}
	dieOf(nil)
	if total < 0 {
		select {}
	}
	<-time.After(total)
	return 0
}

// duration reads what sleep and timeout take: "1.5", "10s", "2m", "1h", "1d"; "infinity" is negative.
func duration(s string) (time.Duration, error) {
	if s == "infinity" || s == "inf" {
		return -1 << 62, nil
	}
	unit := time.Second
	number := s
	if n := len(s); n > 0 {
		if u, ok := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[s[n-1]]; ok {
			unit, number = u, s[:n-1]
		}
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f < 0 {
		return 0, fmt.Errorf("invalid time interval %q", s)
	}
	return time.Duration(f * float64(unit)), nil
}

// child runs a command to its end, as timeout and env do, and passes signals on to it.
func child(c *call, cmd *exec.Cmd) int {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.in, c.out, c.err
	if err := cmd.Start(); err != nil {
		c.fail(err)
		return 127
	}
	dieOf(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_, _ = cmd.Process.Wait()
	})
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		if err != nil {
			return c.fail(err)
		}
		return 0
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return exit.ExitCode()
}

func timeout(c *call) int {
	fs := c.flags()
	sig := fs.String("s", "TERM", "signal to send")
	if fs.Parse(c.args) != nil || fs.NArg() < 2 {
		return c.usage("[-s SIGNAL] SECONDS COMMAND…")
	}
	limit, err := duration(fs.Arg(0))
	if err != nil {
		return c.fail(err)
	}
	s, ok := signalNumber(*sig)
	if !ok {
		return c.fail(fmt.Errorf("bad signal name %q", *sig))
	}
	cmd := exec.Command(fs.Arg(1), fs.Args()[2:]...)
	late := false
	t := time.AfterFunc(limit, func() {
		late = true
		if cmd.Process != nil {
			_ = cmd.Process.Signal(s)
		}
	})
	code := child(c, cmd)
	t.Stop()
	if late {
		return 124
	}
	return code
}

// env shows the environment, or becomes a command with a changed one.
func env(c *call) int {
	if c.name == "printenv" && len(c.args) > 0 {
		code := 0
		for _, name := range c.args {
			if v, ok := c.env(name); ok {
				fmt.Fprintln(c.out, v)
			} else {
				code = 1
			}
		}
		return code
	}
	args, vars := c.args, os.Environ()
	for len(args) > 0 {
		switch a := args[0]; {
		case a == "-i" || a == "-":
			vars = nil
		case a == "-u" && len(args) > 1:
			args = args[1:]
			vars = slices.DeleteFunc(vars, func(v string) bool { return strings.HasPrefix(v, args[0]+"=") })
		case strings.IndexByte(a, '=') > 0:
			name, _, _ := strings.Cut(a, "=")
			vars = slices.DeleteFunc(vars, func(v string) bool { return strings.HasPrefix(v, name+"=") })
			vars = append(vars, a)
		default:
			path, err := exec.LookPath(a)
			if err == nil {
				err = syscall.Exec(path, args, vars)
			}
			c.fail(err)
			return 127
		}
		args = args[1:]
	}
	for _, v := range vars {
		fmt.Fprintln(c.out, v)
	}
	return 0
}

// signals are the names that people use; the numbers are those of every architecture that Hull runs on.
var signals = []string{
	"EXIT", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD",
	"CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
}

func signalNumber(name string) (syscall.Signal, bool) {
	if n, err := strconv.Atoi(name); err == nil {
		return syscall.Signal(n), n >= 0 && n < 65
	}
	n := slices.Index(signals, strings.TrimPrefix(strings.ToUpper(name), "SIG"))
	return syscall.Signal(n), n > 0
}

func kill(c *call) int {
	args, sig := c.args, syscall.SIGTERM
	if len(args) > 0 && args[0] == "-l" {
		fmt.Fprintln(c.out, strings.Join(signals[1:], " "))
		return 0
	}
	if len(args) > 1 && args[0] == "-s" {
		args[1] = "-" + args[1]
		args = args[1:]
	}
	if len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		s, ok := signalNumber(args[0][1:])
		if !ok {
			return c.fail(fmt.Errorf("bad signal name %q", args[0][1:]))
		}
		sig, args = s, args[1:]
	}
	if len(args) == 0 {
		return c.usage("[-SIGNAL] PID…")
	}
	code := 0
	for _, a := range args {
		pid, err := strconv.Atoi(a)
		if err == nil {
			err = syscall.Kill(pid, sig)
		}
		if err != nil {
			code = c.fail(fmt.Errorf("can't kill pid %s: %w", a, err))
		}
	}
	return code
}

func ps(c *call) int {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return c.fail(err)
	}
	pids := make([]int, 0, len(dirs))
	for _, d := range dirs {
		if pid, err := strconv.Atoi(filepath.Base(d)); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	w := tabwriter.NewWriter(c.out, 5, 0, 1, ' ', 0)
	fmt.Fprintln(w, "PID\tUSER\tTIME\tCOMMAND")
	for _, pid := range pids {
		if line, err := psLine(pid); err == nil { // else it has just ended
			fmt.Fprintln(w, line)
		}
	}
	if err := w.Flush(); err != nil {
		return c.fail(err)
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
	return fmt.Sprintf("%d\t%s\t%d:%02d\t%s", pid, userName(st.Uid), seconds/60, seconds%60, shown), nil
}

// userName and groupName look into the container's own files.
func userName(id uint32) string  { return nameIn("/etc/passwd", id) }
func groupName(id uint32) string { return nameIn("/etc/group", id) }

func nameIn(file string, id uint32) string {
	number := strconv.FormatUint(uint64(id), 10)
	b, err := os.ReadFile(file)
	if err != nil {
		return number
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if f := strings.Split(line, ":"); len(f) > 2 && f[2] == number {
			return f[0]
		}
	}
	return number
}

func idOf(file, name string) (int, error) {
	if n, err := strconv.Atoi(name); err == nil {
		return n, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if f := strings.Split(line, ":"); len(f) > 2 && f[0] == name {
			return strconv.Atoi(f[2])
		}
	}
	return 0, fmt.Errorf("no %q in %s", name, file)
}

func id(c *call) int {
	groups, err := os.Getgroups()
	if err != nil {
		return c.fail(err)
	}
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	if !slices.Contains(groups, int(gid)) {
		groups = append([]int{int(gid)}, groups...)
	}
	show := strings.Join(c.args, "")
	named := strings.Contains(show, "n")
	one := func(n uint32, name func(uint32) string) string {
		if named {
			return name(n)
		}
		return strconv.FormatUint(uint64(n), 10)
	}
	switch {
	case strings.Contains(show, "u"):
		fmt.Fprintln(c.out, one(uid, userName))
	case strings.Contains(show, "g"):
		fmt.Fprintln(c.out, one(gid, groupName))
	default:
		var list, full []string
		for _, g := range groups {
			list = append(list, one(uint32(g), groupName))
			full = append(full, paren(uint32(g), groupName))
		}
		if strings.Contains(show, "G") {
			fmt.Fprintln(c.out, strings.Join(list, " "))
			return 0
		}
		fmt.Fprintf(c.out, "uid=%s gid=%s groups=%s\n", paren(uid, userName), paren(gid, groupName), strings.Join(full, ","))
	}
	return 0
}

func paren(n uint32, name func(uint32) string) string {
	if s := name(n); s != strconv.FormatUint(uint64(n), 10) {
		return fmt.Sprintf("%d(%s)", n, s)
	}
	return strconv.FormatUint(uint64(n), 10)
}

func whoami(c *call) int {
	fmt.Fprintln(c.out, userName(uint32(os.Geteuid())))
	return 0
}

func hostname(c *call) int {
	name, err := os.Hostname()
	if err != nil {
		return c.fail(err)
	}
	if len(c.args) > 0 && c.args[0] == "-s" {
		name, _, _ = strings.Cut(name, ".")
	}
	fmt.Fprintln(c.out, name)
	return 0
}

func uname(c *call) int {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return c.fail(err)
	}
	all := map[byte]string{
		's': unix.ByteSliceToString(u.Sysname[:]), 'n': unix.ByteSliceToString(u.Nodename[:]), 'r': unix.ByteSliceToString(u.Release[:]),
		'v': unix.ByteSliceToString(u.Version[:]), 'm': unix.ByteSliceToString(u.Machine[:]),
	}
	want := strings.ReplaceAll(strings.Join(c.args, ""), "-", "")
	if want == "" {
		want = "s"
	}
	var shown []string
	for _, k := range []byte("snrvm") {
		if strings.IndexByte(want, k) >= 0 || strings.Contains(want, "a") {
			shown = append(shown, all[k])
		}
	}
	fmt.Fprintln(c.out, strings.Join(shown, " "))
	return 0
}

func nproc(c *call) int {
	fmt.Fprintln(c.out, runtime.NumCPU())
	return 0
}

func tty(c *call) int {
	if !term.IsTerminal(0) {
		fmt.Fprintln(c.out, "not a tty")
		return 1
	}
	name, err := os.Readlink("/proc/self/fd/0")
	if err != nil {
		return c.fail(err)
	}
	fmt.Fprintln(c.out, name)
	return 0
}

// umask is the shell's: the mask belongs to the process, and its children have it too.
func umask(c *call) int {
	if len(c.args) == 0 {
		old := syscall.Umask(0)
		syscall.Umask(old)
		fmt.Fprintf(c.out, "%04o\n", old)
		return 0
	}
	mask, err := strconv.ParseUint(c.args[0], 8, 12)
	if err != nil {
		return c.fail(fmt.Errorf("%q is no octal mask", c.args[0]))
	}
	syscall.Umask(int(mask))
	return 0
}

func uptime(c *call) int {
	var si unix.Sysinfo_t
	if err := unix.Sysinfo(&si); err != nil {
		return c.fail(err)
	}
	load := func(i int) float64 { return float64(si.Loads[i]) / 65536 }
	fmt.Fprintf(c.out, " %s up %s, load average: %.2f, %.2f, %.2f\n",
		time.Now().Format("15:04:05"), time.Duration(si.Uptime)*time.Second, load(0), load(1), load(2))
	return 0
}

func free(c *call) int {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return c.fail(err)
	}
	m := map[string]int64{}
	for line := range strings.SplitSeq(string(b), "\n") {
		if f := strings.Fields(line); len(f) > 1 {
			m[strings.TrimSuffix(f[0], ":")], _ = strconv.ParseInt(f[1], 10, 64)
		}
	}
	cache := m["Buffers"] + m["Cached"] + m["SReclaimable"]
	w := tabwriter.NewWriter(c.out, 12, 0, 1, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\ttotal\tused\tfree\tshared\tbuff/cache\tavailable\t")
	fmt.Fprintf(w, "Mem:\t%d\t%d\t%d\t%d\t%d\t%d\t\n", m["MemTotal"], m["MemTotal"]-m["MemFree"]-cache, m["MemFree"], m["Shmem"], cache, m["MemAvailable"])
	fmt.Fprintf(w, "Swap:\t%d\t%d\t%d\t\t\t\t\n", m["SwapTotal"], m["SwapTotal"]-m["SwapFree"], m["SwapFree"])
	if err := w.Flush(); err != nil {
		return c.fail(err)
	}
	return 0
}
