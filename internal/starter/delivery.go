package starter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/birth"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter/compile"
)

// delivery is one birth on hulld's side: the clone, which is made while what it needs is prepared, the descriptors for it,
// and the conversation with it. In the order of time:
//
//	hulld                                    hull-init
//	  │ clone ──────────────────────────────────▶│ waits for its program
//	  │ prepare mounts, compile                  │ until here a start may be prepared: see [Prepared]
//	  │ open the namespaces to join              │
//	  │ Born(pid): the keeper records it         │
//	  │ program, descriptors ───────────────────▶│ makes the calls
//	  │◀─────────────── terminal's master ───────│ with a terminal
//	  │ the keeper has it; go on ───────────────▶│
//	  │ Ready: it is on record; go on ──────────▶│ read before the command; with hooks, it asks for it
//	  │◀──────────────────────── mounted ────────│ with hooks before pivot_root
//	  │ runs them; go on ───────────────────────▶│
//	  │◀──────────────────────── ready ──────────│ with startContainer hooks
//	  │ runs them; go on ───────────────────────▶│
//	  │◀──────────────────────── child's pidfd ──│ where it must fork to be in a joined PID namespace; it exits
//	  │ Born(child's pid); go on ───────────────▶│ the child
//	  │◀──────────────────────── will run ───────│ a word for the witness, if there is one
//	  │◀──────────────────────── end of file ────│ execve
//
// A process that forks is not recorded itself: it lives until its child has been told of, and if hulld dies before that,
// both read the end of file and exit. A container whose start is not on record never runs its command: Ready comes before the
// word that it waits for. Everywhere else the death of hulld ends a birth that still needs it, and lets one that
// does not go on to its execve. If hull-init dies, the end of file comes early, before "will run".
type delivery struct {
	n       *Native
	what    string
	files   map[string]*os.File // by the names of the program's descriptors
	ours    []*os.File          // those to close in the end
	joined  []*os.File          // the cgroups' files
	cloning chan cloneResult
	console *os.File
	sent    func()
	born    func(int) error
	ready   func(context.Context) error
	gone    func()
	kept    func(*os.File) error
	hooks   *hookRun
	running bool
	// children makes the processes our own children, which run reaps when it fails, but for the last: that is the caller's.
	children bool

	mu    sync.Mutex
	alive []*os.File // pidfds of all that must end when the birth fails
}

type cloneResult struct {
	c   *cloned
	err error
}

func (n *Native) delivery(what string) *delivery {
	return &delivery{n: n, what: what, files: make(map[string]*os.File, 32)}
}

// add names a descriptor; it stays its owner's.
func (d *delivery) add(name string, f *os.File) { d.files[name] = f }

// keep is add for a descriptor that ends with the delivery.
func (d *delivery) keep(name string, f *os.File) {
	d.files[name] = f
	d.ours = append(d.ours, f)
}

// join opens the cgroups, unless it has before.
func (d *delivery) join(open Cgroups) error {
	if open == nil || d.joined != nil {
		return nil
	}
	files, err := open()
	for i, f := range files {
		d.keep(compile.FDCgroup(i), f)
	}
	d.joined = files
	return err
}

// end lets go of everything, and says in the error what it is about, unless the caller does.
func (d *delivery) end(err *error) {
	if *err != nil && d.what != "" {
		*err = fmt.Errorf("%s: %w", d.what, *err)
	}

	for _, f := range d.ours {
		_ = f.Close()
	}
	if d.console != nil {
		_ = d.console.Close()
	}
	if d.cloning != nil {
		// The start failed before it used the clone, which dies of the end of file when it is closed.
		if r := <-d.cloning; r.c != nil {
			r.c.close()
		}
	}
}

// clone begins to make the process.
func (d *delivery) clone(t template, o order) {
	d.cloning = make(chan cloneResult, 1)
	if !d.n.cfg.Own && !d.children {
		o.flags |= unix.CLONE_PARENT
	}
	go func() {
		var r cloneResult
		s, err := d.n.spawner(t)
		if err == nil {
			r.c, err = s.clone(o)
		}
		r.err = err
		d.cloning <- r
	}()
}

// run sends the program and waits for what becomes of it.
func (d *delivery) run(ctx context.Context, b *compile.Birth, p *oci.Process) (*Process, error) {
	if names := compile.Unraised(p); len(names) > 0 {
		d.n.cfg.Log.Warn("ambient capabilities that are not permitted and inheritable too are not raised", "capabilities", names)
	}
	encoder := d.n.encoders.Get().(*birth.Encoder)
	image, err := encoder.Encode(b.Program, linux.Native)
	if err != nil {
		return nil, err
	}
	fds, err := d.descriptors(b.Program)
	if err != nil {
		return nil, err
	}
	r := <-d.cloning
	d.cloning = nil
	if r.err != nil {
		return nil, r.err
	}
	c := r.c
	defer c.close()
	if d.children {
		defer func() { _, _ = reapChild(c.pid) }() // the first stage, which ends as its child goes on, or is killed
	}
	d.alive = append(d.alive, c.pidfd)
	stop := context.AfterFunc(ctx, func() {
		d.kill()
		_ = c.conn.SetDeadline(time.Now().Add(dieLimit)) // its end may be held open: see expect
	})
	defer stop()
	err = d.send(c, b, p, image, fds)
	d.n.encoders.Put(encoder) // the message is not needed any more
	if err == nil && d.sent != nil {
		d.sent()
	}
	var proc *Process
	if err == nil {
		proc, err = d.converse(ctx, c, b, p)
	}
	if err != nil {
		d.bury()
		switch {
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		case errors.Is(err, os.ErrDeadlineExceeded):
			err = fmt.Errorf("the new process did not go on within %s, and was killed: %w", d.n.patience, err)
		}
		return nil, err
	}
	return proc, nil
}

// patience is how long a process that others may see is waited for: it has a few calls to make.
const patience = 30 * time.Second

// expect bounds the wait for what the process does next. Once it is in a PID namespace with others, they can stop it, and with
// CAP_SYS_PTRACE hold its end of the socket open.
func (d *delivery) expect(c *cloned) error { return c.conn.SetDeadline(time.Now().Add(d.n.patience)) }

func (d *delivery) descriptors(p *birth.Program) ([]*os.File, error) {
	names := p.Descriptors()
	fds := make([]*os.File, len(names))
	for i, name := range names {
		if fds[i] = d.files[name]; fds[i] == nil {
			return nil, fmt.Errorf("no descriptor for %s", name)
		}
	}
	return fds, nil
}

// send gives the process its program, once it is on record.
func (d *delivery) send(c *cloned, b *compile.Birth, p *oci.Process, image []byte, fds []*os.File) error {
	d.outside(c.pid, p)
	if !b.Forks {
		if err := d.record(c.pid); err != nil {
			return err
		}
	}
	return d.failure(b, p, lastWord(c.conn, birth.Send(c.conn, image, fds)))
}

func (d *delivery) converse(ctx context.Context, c *cloned, b *compile.Birth, p *oci.Process) (*Process, error) {
	proc := &Process{PID: c.pid}
	if d.ready != nil && !d.hooks.any() {
		// The word is there before the process comes to wait for it: what is recorded costs the start nothing. Should
		// the process wait for something else first, its words come in the wrong order, but it still needs all of them.
		err := WhileAlive(ctx, c.pidfd, d.ready)
		if err == nil {
			err = birth.Continue(c.conn)
		}
		if err != nil {
			return nil, d.failure(b, p, lastWord(c.conn, err))
		}
		if d.gone != nil {
			d.gone()
		}
	}
	for {
		e, err := birth.Await(c.conn)
		if err != nil {
			return nil, d.failure(b, p, err)
		}
		switch {
		case e.State == birth.Executed && !d.running:
			return nil, errDied
		case e.State == birth.Executed:
			return d.finish(c, proc)
		case e.State == birth.Resting:
			d.running = true // the end of file that follows says that it has let go of everything
			continue
		}
		if err := d.told(ctx, c, b, proc, e); err != nil {
			return nil, d.failure(b, p, err)
		}
	}
}

// told acts on what the process says, and lets it go on where it waits. Who has CAP_SYS_PTRACE beside it may say what it likes
// in its place: only what its program says next is listened to, and its child is who the pidfd says.
func (d *delivery) told(ctx context.Context, c *cloned, b *compile.Birth, proc *Process, e birth.Event) error {
	inside := b.Late && proc.PIDFD != nil // all that is left to say is that it will run
	switch {
	case d.running: // there is nothing left to say
		return nonsense(e)
	case e.Value == compile.TellRunning:
		d.running = true
		closeFiles(e.FDs)
		return d.expect(c)
	case e.Value == compile.TellConsole && len(e.FDs) == 1 && d.console == nil && !inside:
		d.console = e.FDs[0]
		if d.kept != nil {
			if err := d.kept(d.console); err != nil {
				return err
			}
		}
	case e.Value == compile.TellRecord && len(e.FDs) == 0 && d.ready != nil && d.hooks.any() && !inside:
		if err := WhileAlive(ctx, c.pidfd, d.ready); err != nil {
			return err
		}
	case (e.Value == compile.TellMounted || e.Value == compile.TellReady) && len(e.FDs) == 0 && d.hooks.any() && !inside:
		if err := d.hooks.run(ctx, e.Value, proc.PID); err != nil {
			return err
		}
	case e.Value > 0 && len(e.FDs) == 1 && b.Forks && proc.PIDFD == nil:
		d.own(e.FDs[0])
		if pid, err := d.n.pidOf(e.FDs[0]); err != nil || pid != int(e.Value) {
			return errors.Join(fmt.Errorf("the new process' child is said to be %d and is %d", e.Value, pid), err)
		}
		proc.PID, proc.PIDFD = int(e.Value), e.FDs[0]
		if err := d.record(proc.PID); err != nil {
			return err
		}
		if b.Late {
			if err := d.expect(c); err != nil {
				return err
			}
		}
	default:
		return nonsense(e)
	}
	return lastWord(c.conn, birth.Continue(c.conn))
}

func nonsense(e birth.Event) error {
	closeFiles(e.FDs)
	return fmt.Errorf("the new process says %d with %d descriptors, which means nothing", e.Value, len(e.FDs))
}

// own takes over the pidfd of a child of the process.
func (d *delivery) own(pidfd *os.File) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ours = append(d.ours, pidfd)
	d.alive = append(d.alive, pidfd)
}

// kill ends whatever has been born so far. Its parent reaps it.
func (d *delivery) kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, pidfd := range d.alive {
		_ = linux.PidfdSignal(pidfd, unix.SIGKILL)
	}
}

// dieLimit bounds the wait for processes that were killed: one may hang in a call that nothing ends.
const dieLimit = 10 * time.Second

// bury kills all and waits until they have ended, so that what they were in can be taken away.
func (d *delivery) bury() {
	d.kill()
	until := time.Now().Add(dieLimit)
	for _, pidfd := range d.alive {
		for {
			p := []unix.PollFd{{Fd: int32(pidfd.Fd()), Events: unix.POLLIN}}
			if _, err := unix.Poll(p, int(max(0, time.Until(until).Milliseconds()))); !errors.Is(err, unix.EINTR) {
				break
			}
		}
	}
}

func (d *delivery) record(pid int) error {
	if d.born == nil {
		return nil
	}
	return d.born(pid)
}

func (d *delivery) finish(c *cloned, proc *Process) (*Process, error) {
	from := c.pidfd
	if proc.PIDFD != nil {
		from = proc.PIDFD
	}
	fd, err := unix.FcntlInt(from.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("keep the pidfd: %w", err)
	}
	_ = unix.SetNonblock(fd, true)
	proc.PIDFD = os.NewFile(uintptr(fd), "pidfd")
	proc.Console, d.console = d.console, nil
	return proc, nil
}

// failure gives an error of the conversation its words.
func (d *delivery) failure(b *compile.Birth, p *oci.Process, err error) error {
	var f *birth.Failure
	if !errors.As(err, &f) || f.Step == 0 {
		return err
	}
	step := b.Program.Name(f.Step)
	if len(p.Args) == 0 {
		return &StepError{Step: step, Errno: f.Errno}
	}
	switch name := p.Args[0]; {
	case step == compile.StepLookPath:
		return &CommandError{Name: name, Reason: "executable file not found in $PATH", Errno: f.Errno}
	case (step == compile.StepLookup || step == compile.StepExec) && f.Errno == unix.EACCES:
		return &CommandError{Name: name, Reason: f.Errno.Error(), Errno: f.Errno}
	case step == compile.StepLookup:
		return &CommandError{Name: name, Reason: "stat " + name + ": " + f.Errno.Error(), Errno: f.Errno}
	case step == compile.StepExec:
		return &StepError{Step: "exec " + name, Errno: f.Errno}
	}
	return &StepError{Step: step, Errno: f.Errno}
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
