package runtime

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/logs"
	"github.com/hull-pods/hull/internal/runtime/streams"
)

// grip is what hulld holds of a running container: its process, its log, our end of its input. To let go of it ends nothing, as
// the keeper holds the same.
type grip struct {
	mu    sync.Mutex
	pidfd *os.File
	log   *logs.Writer
	stdin *os.File
}

func (g *grip) takeProcess(pidfd *os.File) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pidfd = pidfd
}

func (g *grip) takeLog(w *logs.Writer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.log = w
}

func (g *grip) takeStdin(f *os.File) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stdin = f
}

// streams are the log, which is nil for a container that does not run, and our end of its input, if it has any.
func (g *grip) streams() (log *logs.Writer, stdin *os.File) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log, g.stdin
}

// process is a duplicate of the pidfd; nil when there is none.
func (g *grip) process() (*os.File, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pidfd == nil {
		return nil, nil
	}
	return streams.Duplicate(g.pidfd)
}

// holdsProcess tells whether there is a process to signal.
func (g *grip) holdsProcess() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pidfd != nil
}

// signal sends a signal to the container's first process; nil when it has ended.
func (g *grip) signal(sig unix.Signal) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pidfd == nil {
		return nil
	}
	err := unix.PidfdSendSignal(int(g.pidfd.Fd()), sig, nil, 0)
	if err != nil && err != unix.ESRCH {
		return fmt.Errorf("send %s: %w", unix.SignalName(sig), err)
	}
	return nil
}

// closeLog stops writing the log.
func (g *grip) closeLog() error {
	g.mu.Lock()
	w := g.log
	g.log = nil
	g.mu.Unlock()
	if w == nil {
		return nil
	}
	return w.Close()
}

// closeStdin gives the container its end of input, if nobody else holds it.
func (g *grip) closeStdin() error {
	g.mu.Lock()
	f := g.stdin
	g.stdin = nil
	g.mu.Unlock()
	if f == nil {
		return nil
	}
	return f.Close()
}

// letGo closes all of it.
func (g *grip) letGo() error {
	g.mu.Lock()
	pidfd := g.pidfd
	g.pidfd = nil
	g.mu.Unlock()
	err := g.closeLog()
	if pidfd != nil {
		err = errors.Join(err, pidfd.Close())
	}
	return errors.Join(err, g.closeStdin())
}
