package keeper

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/fdconn"
)

// What the daemon is doing, as keeper.sock tells it.
const (
	stateStopped  = "stopped"  // ended with 0, or was told to
	stateStarting = "starting" // runs, and has not said that it is ready
	stateReady    = "ready"
	stateWaiting  = "waiting" // died, and will be started again
	stateStopping = "stopping"
)

// Back-off between restarts: at once, then from backoffFirst doubling to backoffMost; a daemon that lived for backoffReset
// counts as new.
const (
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 5 * time.Second
	backoffReset = 10 * time.Second
	// logMost is how large the log may be at a start before it is moved aside: it lies in memory.
	logMost = 1 << 20
)

// daemon is the one child that the keeper starts by itself.
type daemon struct {
	args, env []string
	state     string
	pid       int
	started   time.Time
	next      time.Time // when to start it again, in stateWaiting
	delay     time.Duration
	failures  uint64
	last      string // how it ended last
	again     bool   // it was asked for while it stops
}

// backoff is the delay before the next start, from the delay before this one (negative: there was none) and how long the
// daemon lived.
func backoff(delay, lived time.Duration) time.Duration {
	switch {
	case delay < 0 || lived >= backoffReset:
		return 0
	case delay == 0:
		return backoffFirst
	}
	return min(2*delay, backoffMost)
}

// wait is how long the loop may sleep for the daemon's sake.
func (d *daemon) wait(now time.Time) time.Duration {
	if d.state != stateWaiting {
		return time.Hour
	}
	return max(0, d.next.Sub(now))
}

// restart starts a daemon whose time has come.
func (k *Keeper) restart() {
	if k.daemon.state == stateWaiting && !k.now().Before(k.daemon.next) {
		k.spawn()
	}
}

// start starts the daemon unless it runs; one that stops is started again afterwards.
func (k *Keeper) start() {
	d := &k.daemon
	switch d.state {
	case stateStopped, stateWaiting:
		d.delay = -1
		k.spawn()
	case stateStopping:
		d.again = true
	}
}

func (k *Keeper) spawn() {
	d := &k.daemon
	d.started = k.now()
	d.state = stateStarting
	if err := k.fork(); err != nil {
		k.log.Error("cannot start the daemon", "err", err)
		k.failed("cannot be started: " + err.Error())
	}
}

func (k *Keeper) fork() error {
	d := &k.daemon
	if err := k.openLog(); err != nil {
		return err
	}
	path, err := lookup(d.args, filepath.Dir(k.exe))
	if err != nil {
		return err
	}
	ours, theirs, err := fdconn.Pair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	env := append(withoutOurs(d.env), EnvFD+"=3")
	d.pid, err = syscall.ForkExec(path, d.args, &syscall.ProcAttr{Env: env, Files: []uintptr{0, 1, 2, theirs.Fd()}})
	if err != nil {
		ours.Close()
		return fmt.Errorf("start %s: %w", path, err)
	}
	k.link = newLink(k, ours)
	go k.link.watch()
	k.log.Info("started the daemon", "pid", d.pid, "path", path)
	if err := k.writePID(d.pid); err != nil {
		k.log.Error("others will not find the daemon", "err", err)
	}
	return nil
}

// lookup finds the daemon's program: a bare name is looked for beside the keeper first.
func lookup(args []string, dir string) (string, error) {
	if len(args) == 0 {
		return "", fmt.Errorf("no command line for the daemon: %w", errdefs.ErrInvalidArgument)
	}
	if !strings.Contains(args[0], "/") {
		if path, err := exec.LookPath(filepath.Join(dir, args[0])); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return "", fmt.Errorf("find the daemon's program: %w", err)
	}
	return path, nil
}

func withoutOurs(env []string) []string {
	kept := make([]string, 0, len(env)+1)
	for _, e := range env {
		if !strings.HasPrefix(e, "HULL_KEEPER_") {
			kept = append(kept, e)
		}
	}
	return kept
}

func (k *Keeper) writePID(pid int) error {
	path := filepath.Join(k.state, DaemonPID)
	if err := os.WriteFile(path+".new", []byte(strconv.Itoa(pid)+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// died handles the daemon's end. What it said before is read first: it counts.
func (k *Keeper) died(status unix.WaitStatus) {
	if k.link != nil {
		// Not until the end of the connection: a child that has not executed yet may hold the other end.
		k.link.drainDead()
		k.link.close()
		k.link = nil
	}
	k.records.kept = nil
	k.daemon.pid = 0
	if err := os.Remove(filepath.Join(k.state, DaemonPID)); err != nil {
		k.log.Debug("the daemon's pid file", "err", err)
	}
	d := &k.daemon
	k.log.Info("the daemon ended", "how", words(status), "state", d.state)
	if d.state == stateStopping || (status.Exited() && status.ExitStatus() == 0) {
		d.last = words(status)
		k.stopped()
		return
	}
	k.failed(words(status))
}

// failed is a daemon that died, or could not be started.
func (k *Keeper) failed(how string) {
	d := &k.daemon
	d.failures++
	d.last = how
	first := k.callers.first != nil
	k.callers.started("the daemon " + how)
	if first && len(k.records.entries) == 0 {
		k.ended = true // who started the keeper has been told why, and there is nothing to keep
		return
	}
	now := k.now()
	d.delay = backoff(d.delay, now.Sub(d.started))
	d.next = now.Add(d.delay)
	d.state = stateWaiting
}

// stopped is a daemon that is gone and is not wanted, or wanted again.
func (k *Keeper) stopped() {
	d := &k.daemon
	final := d.state == stateStopping // the keeper ends with it, if nothing lives
	d.state = stateStopped
	if d.again {
		d.again = false
		k.callers.stopped()
		k.start()
		return
	}
	k.callers.started("the daemon " + d.last)
	if final && k.live() == 0 {
		k.ended = true
	}
	k.callers.stopped()
}

// ready is the daemon's word that it serves.
func (k *Keeper) ready() {
	if k.daemon.state == stateStarting {
		k.daemon.state = stateReady
	}
	k.callers.started("")
}

// stop ends the daemon, and then the keeper if it holds no living process.
func (k *Keeper) stop() {
	d := &k.daemon
	d.again = false
	switch d.state {
	case stateStopped, stateWaiting:
		d.state = stateStopping
		k.stopped()
	case stateStarting, stateReady:
		d.state = stateStopping
		if err := unix.Kill(d.pid, unix.SIGTERM); err != nil && !errors.Is(err, unix.ESRCH) {
			k.log.Error("cannot stop the daemon", "pid", d.pid, "err", err)
		}
	}
}

func words(s unix.WaitStatus) string {
	if s.Signaled() {
		return fmt.Sprintf("was killed by signal %d (%s)", int(s.Signal()), unix.SignalName(s.Signal()))
	}
	return fmt.Sprintf("exited with status %d", s.ExitStatus())
}

// openLog points stdout and stderr of this process, and so of the daemons to come, to the log, and moves a large one
// aside.
func (k *Keeper) openLog() error {
	if k.file == "" {
		return nil
	}
	if st, err := os.Stat(k.file); err == nil && st.Size() > logMost {
		if err := os.Rename(k.file, k.file+".1"); err != nil {
			return fmt.Errorf("move the log aside: %w", err)
		}
	}
	f, err := os.OpenFile(k.file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	defer f.Close()
	for _, std := range []int{1, 2} {
		if err := unix.Dup3(int(f.Fd()), std, 0); err != nil {
			return fmt.Errorf("write to %s: %w", k.file, err)
		}
	}
	return nil
}
