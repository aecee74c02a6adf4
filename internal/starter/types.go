package starter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter/compile"
)

// Starter makes processes: containers, further processes in them, and the infra process of a sandbox.
//
// Each call returns when the new process runs what was asked for (its execve has happened, or the infra process rests),
// or with an error after the process, if there ever was one, has been killed; its exit still reaches whoever its parent
// is. A context that ends before that kills the process too. Descriptors in requests stay the caller's.
type Starter interface {
	Start(ctx context.Context, r Request) (*Process, error)
	Exec(ctx context.Context, r ExecRequest) (*Process, error)
	Infra(ctx context.Context, r InfraRequest) (*Process, error)
	// Delete removes what the starter keeps of a container that has ended, and runs the spec's poststop hooks, also when
	// another process started it. The bundle is that of its request. It accepts an ID that it does not know.
	Delete(ctx context.Context, id, bundle string) error
}

// Lister is a starter that can tell what it made a process by; an OCI program keeps that to itself.
type Lister interface {
	Listing(spec *oci.Spec, facts Facts, cgroups int) (string, error)
	InfraListing(r InfraRequest, cgroups int) (string, error)
}

// Cgroups opens the tasks or cgroup.procs files in which a process writes 0. It is called once, while the process is already
// being cloned, and may take its time: the cgroups need not be there before. The files are the starter's. nil is none.
type Cgroups func() ([]*os.File, error)

// Request asks for a container's first process.
type Request struct {
	Key    string    // the container's ID, for hooks and OCI programs
	Spec   *oci.Spec // not changed
	Rootfs *os.File  // a detached mount, and no longer detached after the start

	// Sources are mount sources that the caller has opened and checked, by destination (O_PATH is enough). The spec's
	// Source of such a mount is not looked at.
	Sources map[string]*os.File

	Stdin, Stdout, Stderr *os.File // the container's ends; nil is /dev/null. Not looked at when Spec.Process.Terminal
	Cgroups               Cgroups
	Bundle                string // a directory of the caller's for an OCI program, and for hooks: kept until Delete

	// Prepared, if given, is what Prepare has made of this request. The start uses it up, also when it fails.
	Prepared *Prepared

	// Witness is the writing end of a pipe, or nil. A byte is written to it when nothing is left to do but the execve, and
	// it is closed by that, or by the process' end: whoever recovers a start that was cut off can wait for what becomes of
	// it, and tell a process that ran its command from one that never did. An OCI program leaves it alone.
	Witness *os.File
	// Console is given the terminal's master, which stays the starter's, before the process goes on: without anybody who
	// holds it, the process would be hung up on. It may be nil.
	Console func(master *os.File) error

	// Ready, if given, is called while the process prepares itself, which does not run the command before it has returned:
	// the place to record that it may have run. A process whose maker dies before that ends without having run anything.
	// The facts are those of Process. It may wait for what it likes; the context ends when the process does, too.
	Ready func(context.Context, Facts) error

	// Gone, if given, is called once the process has the word to run its command, and by a start that fails before not at all. With
	// hooks there is no such moment before the start's end.
	Gone func()

	// Born is told the PID after the clone, before the process does anything of what was asked for: the place to record
	// it. Its error ends the start.
	Born func(pid int) error
}

// ExecRequest asks for a further process in a container, under the container's restrictions.
type ExecRequest struct {
	Key       string   // of this process
	Container string   // the container's ID
	PID       int      // of the container's first process
	PIDFD     *os.File // of the same
	Spec      *oci.Spec
	Process   *oci.Process // arguments, environment, user, capabilities, terminal

	Stdin, Stdout, Stderr *os.File
	Cgroups               Cgroups
	Bundle                string
	Born                  func(pid int) error
}

// InfraRequest asks for the process that holds a sandbox's namespaces.
type InfraRequest struct {
	Key      string
	Name     string // its argv[0], by which it can be found in /proc/*/cmdline: at most 100 bytes
	Hostname string // with NewUTS
	Sysctls  map[string]string

	// JoinNet has the process join a network namespace, Netns.
	JoinNet bool
	Netns   *os.File

	NewIPC, NewUTS, NewPID bool
	// UIDMappings and GIDMappings, if given, are of a new user namespace, which owns the others; and a new network namespace,
	// as it would not own one that was made before.
	UIDMappings, GIDMappings []oci.LinuxIDMapping

	Cgroups     Cgroups
	OOMScoreAdj int

	// Sent, if given, is called when the process, whose cgroups are there by then, has its program: what is cloned from then on is
	// younger. It must not wait.
	Sent func()
	Born func(pid int) error
}

// Facts is what a compilation takes from the host.
type Facts = compile.Facts

// Process is what a start has made.
type Process struct {
	PID     int
	PIDFD   *os.File // the caller closes it
	Console *os.File // the master of the process' terminal; nil without one. The caller closes it
	Facts   Facts    // of a container: what Listing needs to print its birth again, without the filter
}

// StepError is the first step of a birth that did not succeed.
type StepError struct {
	Step  string // "mount proc on /proc"
	Errno unix.Errno
}

// Error reads "mount proc on /proc: operation not permitted".
func (e *StepError) Error() string { return e.Step + ": " + e.Errno.Error() }

// Unwrap is the errno, so that errors.Is(err, unix.EPERM) holds.
func (e *StepError) Unwrap() error { return e.Errno }

// CommandError says that the command to run cannot be. Its words are those of runc, which people search for.
type CommandError struct {
	Name   string
	Reason string
	Errno  unix.Errno
}

// Error reads `exec: "foo": executable file not found in $PATH`.
func (e *CommandError) Error() string { return fmt.Sprintf("exec: %q: %s", e.Name, e.Reason) }

// Unwrap is the errno: errors.Is(err, fs.ErrNotExist) holds for a command that is not there.
func (e *CommandError) Unwrap() error { return e.Errno }

// errDied is in the error of a start whose process ended before its execve, by no fault that it could name.
var errDied = errors.New("the process was killed before it ran its command")

// WhileAlive calls f with a context that ends also when the process of a pidfd does.
func WhileAlive(ctx context.Context, pidfd *os.File, f func(context.Context) error) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	seen := make(chan struct{})
	go func() {
		defer close(seen)
		if linux.PidfdWait(pidfd) == nil {
			end(errDied)
		}
	}()
	defer func() {
		_ = pidfd.SetReadDeadline(time.Unix(0, 1))
		<-seen
		_ = pidfd.SetReadDeadline(time.Time{})
	}()
	return f(ctx)
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), errdefs.ErrInvalidArgument)
}
