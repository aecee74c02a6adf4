// Package undo remembers what to take back when a sequence of steps fails half way.
//
// A step pushes its undo before it acts, so that a failure inside the step is taken back too; an undo therefore accepts
// that its step may not have happened. Every push names a failpoint: tests fail, or kill the process, at each of them.
//
//	var back undo.Stack
//	defer back.Run(ctx, &err)
//	if err := back.Push(fpVeth, "remove veth "+name, func(ctx context.Context) error { … }); err != nil {
//		return err
//	}
//	… make the veth …
//	back.Release()
package undo

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/hull-pods/hull/internal/failpoint"
)

// limit bounds one undo: it runs although the caller's context may be gone, and must not hang for ever.
const limit = 30 * time.Second

// Stack holds the undos of one sequence. The zero value is ready; it is not for concurrent use.
type Stack struct {
	steps []step
}

type step struct {
	what string
	fn   func(context.Context) error
}

// Push adds an undo, then hits the failpoint. An error is the failpoint's: the caller returns it, and the deferred Run
// takes back everything, this step included.
func (s *Stack) Push(p *failpoint.Point, what string, fn func(context.Context) error) error {
	s.steps = append(s.steps, step{what: what, fn: fn})
	return p.Hit()
}

// Run takes back every step in reverse order unless Release was called, and joins what goes wrong to *err. It is meant to
// be deferred. The undos get a context that outlives the caller's.
func (s *Stack) Run(ctx context.Context, err *error) {
	steps := s.steps
	s.steps = nil
	if len(steps) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	for i := len(steps) - 1; i >= 0; i-- {
		if uerr := steps[i].run(ctx); uerr != nil {
			*err = errors.Join(*err, fmt.Errorf("undo: %s: %w", steps[i].what, uerr))
		}
	}
}

// Waits between tries of an undo that has no descriptor to work with.
const (
	scarceFirst = time.Millisecond
	scarceMost  = 100 * time.Millisecond
)

// run does not take a want of descriptors for an answer: others give some back in a moment, and nobody tries again after this.
func (s step) run(ctx context.Context) error {
	for wait := scarceFirst; ; wait = min(2*wait, scarceMost) {
		err := s.fn(ctx)
		if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// Release forgets the undos: the sequence succeeded.
func (s *Stack) Release() { s.steps = nil }
