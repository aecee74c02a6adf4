// Package grip holds on to a running container: its process, its log, our end of its input.
package grip

import (
	"context"
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/logs"
	"github.com/hull-pods/hull/internal/runtime/streams"
)

// Grip is what hulld holds of a container that runs. To let go of it ends nothing, as the keeper holds the same. The zero value
// holds nothing.
type Grip struct {
	mu    sync.Mutex
	pidfd *os.File
	log   *logs.Writer
	stdin *os.File
}

// TakeProcess gives it the descriptor of the first process.
func (g *Grip) TakeProcess(pidfd *os.File) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pidfd = pidfd
}

// TakeLog gives it who writes the log.
func (g *Grip) TakeLog(w *logs.Writer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.log = w
}

// TakeStdin gives it our end of the container's input.
func (g *Grip) TakeStdin(f *os.File) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stdin = f
}

// Streams are the log, which is nil for a container that does not run, and our end of its input, if it has any.
func (g *Grip) Streams() (log *logs.Writer, stdin *os.File) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log, g.stdin
}

// Process is a duplicate of the pidfd; nil when there is none.
func (g *Grip) Process() (*os.File, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pidfd == nil {
		return nil, nil
	}
	return streams.Duplicate(g.pidfd)
}

// HoldsProcess tells whether there is a process to signal.
func (g *Grip) HoldsProcess() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pidfd != nil
}

// Signal sends a signal to the container's first process; nil when it has ended.
func (g *Grip) Signal(sig unix.Signal) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pidfd == nil {
		return nil
	}
	if err := linux.PidfdSignal(g.pidfd, sig); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// CloseLog stops writing the log.
func (g *Grip) CloseLog() error {
	g.mu.Lock()
	w := g.log
	g.log = nil
	g.mu.Unlock()
	if w == nil {
		return nil
	}
	return w.Close()
}

// CloseStdin gives the container its end of input, if nobody else holds it.
func (g *Grip) CloseStdin() error {
	g.mu.Lock()
	f := g.stdin
	g.stdin = nil
	g.mu.Unlock()
	if f == nil {
		return nil
	}
	return f.Close()
}

// Written waits until all of the output is in the log, if one is held.
func (g *Grip) Written(ctx context.Context) error {
	if log, _ := g.Streams(); log != nil {
		return log.Wait(ctx)
	}
	return nil
}

// Outlast lets go when the last of the output is written, and calls written before that, as what is held is what others go by. If
// somebody closes the log before, that is all.
func (g *Grip) Outlast(written func()) error {
	log, _ := g.Streams()
	if log == nil || log.Wait(context.Background()) != nil {
		return nil
	}
	written()
	return g.LetGo()
}

// LetGo closes all of it.
func (g *Grip) LetGo() error {
	g.mu.Lock()
	pidfd := g.pidfd
	g.pidfd = nil
	g.mu.Unlock()
	err := g.CloseLog()
	if pidfd != nil {
		err = errors.Join(err, pidfd.Close())
	}
	return errors.Join(err, g.CloseStdin())
}
