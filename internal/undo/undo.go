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
		if uerr := steps[i].fn(ctx); uerr != nil {
			*err = errors.Join(*err, fmt.Errorf("undo: %s: %w", steps[i].what, uerr))
		}
	}
}

// Release forgets the undos: the sequence succeeded.
func (s *Stack) Release() { s.steps = nil }
