// Package failpoint names the places where a test makes a step fail, or the process die.
//
// A point costs one atomic load when it is not set. Points are declared as package-level variables beside the step that
// they belong to, so that the list of all of them is the list of the places where Hull can be interrupted:
//
//	var fpVeth = failpoint.New("network.veth")
//
// A test sets them through [Set], a daemon under test through its --failpoints flag.
package failpoint

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// ErrInjected is what a point that is set to "error" returns, wrapped with the point's name.
var ErrInjected = errors.New("injected by a failpoint")

// Point is one named place.
type Point struct {
	name   string
	action atomic.Pointer[action]
}

type action struct {
	kind string // "error" or "kill"
	left atomic.Int64
}

// registry is filled by package-level variables before main runs, and only read after that.
var registry struct {
	sync.Mutex
	points map[string]*Point
}

// New declares a point. It panics when the name is taken: names are constants of the program.
func New(name string) *Point {
	registry.Lock()
	defer registry.Unlock()
	if registry.points == nil {
		registry.points = map[string]*Point{}
	}
	if _, taken := registry.points[name]; taken {
		panic("failpoint " + name + " is declared twice")
	}
	p := &Point{name: name}
	registry.points[name] = p
	return p
}

// Name is what the point was declared with.
func (p *Point) Name() string { return p.name }

// Hit is called where the point stands: nil in ordinary life, an error that wraps [ErrInjected] when the point is set to
// "error", and no return at all when it is set to "kill".
func (p *Point) Hit() error {
	a := p.action.Load()
	if a == nil || a.left.Add(-1) != 0 {
		return nil
	}
	// Not in any logger's words: this is how a test sees that the point stood in the way.
	_, _ = fmt.Fprintf(os.Stderr, "failpoint %s: %s\n", p.name, a.kind)
	if a.kind == "kill" {
		// SIGKILL, as the kernel's OOM killer would: no deferred function runs, no buffer is flushed.
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGKILL); err != nil {
			return fmt.Errorf("%s: kill self: %w", p.name, err)
		}
		select {}
	}
	return fmt.Errorf("%s: %w", p.name, ErrInjected)
}

// Set arms points: "network.veth=error", "runtime.start=kill", "image.pull=error@3" (the third hit), joined by ";". Each
// fires once. An empty spec clears all of them.
func Set(spec string) error {
	registry.Lock()
	defer registry.Unlock()
	for _, p := range registry.points {
		p.action.Store(nil)
	}
	for part := range strings.SplitSeq(spec, ";") {
		if part == "" {
			continue
		}
		if err := arm(part); err != nil {
			return err
		}
	}
	return nil
}

func arm(part string) error {
	name, what, ok := strings.Cut(part, "=")
	p := registry.points[name]
	if !ok || p == nil {
		return fmt.Errorf("failpoint %q: want NAME=error|kill[@N] with a name from the list", part)
	}
	kind, count, counted := strings.Cut(what, "@")
	if kind != "error" && kind != "kill" {
		return fmt.Errorf("failpoint %q: %q is neither error nor kill", part, kind)
	}
	n := int64(1)
	if counted {
		var err error
		if n, err = strconv.ParseInt(count, 10, 64); err != nil || n < 1 {
			return fmt.Errorf("failpoint %q: %q is not a count of hits", part, count)
		}
	}
	a := &action{kind: kind}
	a.left.Store(n)
	p.action.Store(a)
	return nil
}

// All lists the names of every point that is linked into this program, sorted.
func All() []string {
	registry.Lock()
	defer registry.Unlock()
	names := make([]string, 0, len(registry.points))
	for n := range registry.points {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
