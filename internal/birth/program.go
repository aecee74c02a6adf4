// Package birth is how a new process becomes what it is to be: a program of system calls as data, and hull-init, which
// performs it.
//
// A [Program] is built call by call. It is a plain value: nothing happens until it is encoded, sent and performed, and its
// String is a listing that a person can follow. [Program.Encode] turns it into one message for hull-init, an assembly
// program of about one KiB (init_amd64.S, init_arm64.S) that a new process runs between clone and execve. hull-init
// receives the message and the descriptors that belong to it, performs the calls in order, and reports the first that
// fails. It ends in execve, or rests for good as the infra container of a Pod.
//
//	p := birth.New("container")
//	root := p.FD("rootfs")                                     // sent along
//	p.Call("own mounts", linux.SysUnshare, birth.Value(unix.CLONE_NEWNS))
//	how := birth.OpenHow(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0, unix.RESOLVE_IN_ROOT)
//	etc := p.Call("open /etc", linux.SysOpenat2, root, birth.String("/etc"), how, birth.Value(birth.OpenHowSize))
//	p.Call("enter /etc", linux.SysFchdir, etc)                 // a result is an argument
//	p.Call("make the log", linux.SysMkdirat, etc, birth.String("log"), birth.Value(0o755)).Allow(unix.EEXIST)
//	p.Exec("run sh", []string{"/bin/sh"}, birth.Strings("sh"), birth.Environ("PATH=/bin"))
//
// Control flows forward only: [Result.On] goes on at a later label when a call returns a given value or error, so every
// program ends. A negative result that neither Allow nor On names ends the program.
package birth

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// Socket is the descriptor on which hull-init is told what to do, and reports: its argument in a program is [Control].
const Socket = 3

// Program is a list of system calls under construction. The zero value is not ready: use [New].
type Program struct {
	name  string
	steps []step
	fds   []string // names of the descriptors sent along, in their order
	marks []int    // of each label: the index of the step that it stands before, -1 while it stands nowhere
	rests bool
}

// step is one line of the listing: a call, or one of the two things that are not calls, an assignment and a check.
type step struct {
	name  string
	kind  kind
	sys   linux.Syscall
	args  []Arg
	into  *Variable // of an assignment
	rules []rule
}

type kind uint8

const (
	call   kind = iota
	assign      // into = args[0]
	check       // fails with the error that args[0] holds, if it holds one
)

// rule says where to go on after a result.
type rule struct {
	value int32 // -errno for an error
	label Label
}

// Label is a place in the program, which [Program.Mark] sets.
type Label int

// next is the label of the step that follows.
const next Label = -1

// New starts a program. The name heads its listing.
func New(name string) *Program { return &Program{name: name} }

// Grow makes room for that many steps, so that they need not move while the program grows.
func (p *Program) Grow(steps int) { p.steps = slices.Grow(p.steps, steps) }

// FD is the descriptor of that name, which the sender puts beside the program at its place in [Program.Descriptors]. The
// same name is the same descriptor.
func (p *Program) FD(name string) Arg {
	i := slices.Index(p.fds, name)
	if i < 0 {
		i = len(p.fds)
		p.fds = append(p.fds, name)
	}
	return descriptor{i, name}
}

// Descriptors are the names of the descriptors to send along, in their order.
func (p *Program) Descriptors() []string { return slices.Clone(p.fds) }

// Call appends a system call under a step's name, which is the act and its object: "mount proc on /proc". Arguments that
// are not given are zero.
func (p *Program) Call(name string, sys linux.Syscall, args ...Arg) Result {
	return p.add(step{name: name, sys: sys, args: args})
}

// Variable makes a 32-bit value that steps may [Program.Set] and use as an argument.
func (p *Program) Variable(name string, initial int32) *Variable { return &Variable{name, initial} }

// Set assigns a value, a descriptor or a result to a variable.
func (p *Program) Set(name string, v *Variable, a Arg) Result {
	return p.add(step{name: name, kind: assign, into: v, args: []Arg{a}})
}

// Check fails with the error that a holds as a negative number, and does nothing when it holds none.
func (p *Program) Check(name string, a Arg) Result {
	return p.add(step{name: name, kind: check, args: []Arg{a}})
}

// Fail ends the program with that error: what a step does that only a label leads around.
func (p *Program) Fail(name string, err unix.Errno) { p.Check(name, Value(-int32(err))) }

// Label makes a label that stands nowhere yet.
func (p *Program) Label() Label {
	p.marks = append(p.marks, -1)
	return Label(len(p.marks) - 1)
}

// Mark puts a label before the step that is appended next.
func (p *Program) Mark(l Label) { p.marks[l] = len(p.steps) }

// Rest ends the program in rest: hull-init reports that it rests, closes every descriptor, gives its memory back, reaps
// children, and ends with status 0 on SIGTERM or SIGINT. [RestCalls] are the calls that a filter must let it make.
func (p *Program) Rest() { p.rests = true }

// RestCalls are the system calls of a process at rest, and on its way there.
func RestCalls() []linux.Syscall {
	return []linux.Syscall{
		linux.SysRtSigprocmask, linux.SysWrite, linux.SysCloseRange, linux.SysMunmap, // on its way
		linux.SysWait4, linux.SysRtSigtimedwait, linux.SysRestartSyscall, linux.SysExitGroup,
	}
}

// Name is what step i, counted from one as in the listing, is called.
func (p *Program) Name(i int) string {
	if i < 1 || i > len(p.steps) {
		return "the program"
	}
	return p.steps[i-1].name
}

// Len is the number of steps.
func (p *Program) Len() int { return len(p.steps) }

func (p *Program) add(s step) Result {
	p.steps = append(p.steps, s)
	return Result{p, len(p.steps) - 1}
}

// Result is what a step returned: an argument of later steps, and the handle for what happens after it.
type Result struct {
	p     *Program
	index int
}

// Allow lets the errors pass: the program goes on with the next step.
func (r Result) Allow(errs ...unix.Errno) Result { return r.OnError(next, errs...) }

// OnError goes on at the label after any of the errors.
func (r Result) OnError(l Label, errs ...unix.Errno) Result {
	for _, err := range errs {
		r.On(l, -int32(err))
	}
	return r
}

// On goes on at the label when the call returns the value. Without a rule, a result that is not an error goes on with the
// next step.
func (r Result) On(l Label, value int32) Result {
	s := &r.p.steps[r.index]
	s.rules = append(s.rules, rule{value, l})
	return r
}

// target is the index of the step that a rule of step i leads to.
func (p *Program) target(i int, l Label) (int, error) {
	if l == next {
		return i + 1, nil
	}
	if int(l) >= len(p.marks) || p.marks[l] < 0 {
		return 0, fmt.Errorf("step %d, %s: goes to a label that stands nowhere", i+1, p.steps[i].name)
	}
	if p.marks[l] <= i {
		return 0, fmt.Errorf("step %d, %s: goes back to step %d", i+1, p.steps[i].name, p.marks[l]+1)
	}
	return p.marks[l], nil
}

// ends says whether the program cannot run past its last step by mistake.
func (p *Program) ends() error {
	if p.rests {
		return nil
	}
	if len(p.steps) > 0 {
		switch last := p.steps[len(p.steps)-1]; {
		case last.kind == check: // a remembered error, as in Exec
			return nil
		case last.kind == call && len(last.rules) == 0:
			switch last.sys {
			case linux.SysExecve, linux.SysExecveat, linux.SysExitGroup:
				return nil
			}
		}
	}
	return fmt.Errorf("program %s: ends neither in execve, exit_group or a failure, nor at rest", p.name)
}
