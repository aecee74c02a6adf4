package call

import (
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Early ends process 1 at a signal from its first moment on, until somebody has said what else a signal shall do. To others than
// process 1 the kernel does that.
type Early struct{ came chan os.Signal }

// DieEarly begins that. It is nil where the kernel does it.
func DieEarly() *Early {
	if os.Getpid() != 1 {
		return nil
	}
	e := &Early{came: make(chan os.Signal, 1)}
	signal.Notify(e.came, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT)
	go func() {
		Die((<-e.came).(syscall.Signal))
	}()
	return e
}

// Stop ends it, after somebody else has begun: a signal in between has either.
func (e *Early) Stop() {
	if e != nil {
		signal.Stop(e.came)
	}
}

// DieOf makes SIGTERM, SIGINT and SIGHUP end the process at once, after fn, also when it is process 1.
func (c *Call) DieOf(fn func()) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	go func() {
		sig := (<-ch).(syscall.Signal)
		if fn != nil {
			fn()
		}
		Die(sig)
	}()
	c.Early.Stop()
}

// Die ends the process as if sig had killed it. Process 1 cannot be killed from inside: it exits with the code that a shell
// would show for it.
func Die(sig syscall.Signal) {
	if os.Getpid() != 1 {
		signal.Reset(sig)
		if err := syscall.Kill(os.Getpid(), sig); err == nil {
			select {}
		}
	}
	os.Exit(128 + int(sig))
}

// Signals are the names that people use; the numbers are those of every architecture that Hull runs on.
var Signals = []string{
	"EXIT", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD",
	"CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
}

// SignalNumber reads a signal as people write it: TERM, SIGTERM, 15.
func SignalNumber(name string) (syscall.Signal, bool) {
	if n, err := strconv.Atoi(name); err == nil {
		return syscall.Signal(n), n >= 0 && n < 65
	}
	n := slices.Index(Signals, strings.TrimPrefix(strings.ToUpper(name), "SIG"))
	return syscall.Signal(n), n > 0
}
