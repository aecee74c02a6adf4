package keeper

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/fdconn"
	"github.com/hull-pods/hull/internal/linux"
)

var errUnknownRequest = fmt.Errorf("this keeper does not know the request: %w", errdefs.ErrNotImplemented)

// Config is what a keeper is started with.
type Config struct {
	State string   // directory
	Args  []string // the daemon's command line
	Env   []string // its environment, before EnvFD
	Log   *slog.Logger
	File  string   // where stdout and stderr of keeper and daemon go; "" leaves them as they are
	Ready *os.File // where to say that the daemon's first start is over, see detach.go; may be nil
}

// Keeper is the running program. Everything in it belongs to one loop; goroutines wait for one thing each and post what
// is to be done to events.
type Keeper struct {
	log     *slog.Logger
	state   string
	file    string
	exe     string // this program's path, for the upgrade
	records *table
	daemon  daemon
	link    *link // to the daemon that runs; nil without one
	lock    *os.File
	socket  *fdconn.Listener
	events  chan func()
	orders  chan os.Signal
	now     func() time.Time
	ended   bool
	callers callers
	names   names
}

// Run is the keeper's whole life. It returns when the keeper has nothing left to keep.
func Run(cfg Config) error {
	k, err := open(cfg)
	if err != nil {
		return err
	}
	return k.loop()
}

func open(cfg Config) (*Keeper, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	k := &Keeper{
		log: cfg.Log, state: cfg.State, file: cfg.File, exe: exe,
		records: newTable(), events: make(chan func()), orders: make(chan os.Signal, 8), now: time.Now,
		daemon: daemon{args: cfg.Args, env: cfg.Env, state: stateStopped},
	}
	k.callers.k, k.names.k = k, k
	if err := linux.SetSubreaper(); err != nil {
		return nil, err
	}
	if resumed, err := k.resume(); err != nil || resumed {
		return k, err
	}
	if k.lock, err = lockPID(filepath.Join(cfg.State, PIDName)); err != nil {
		return nil, err
	}
	if err := k.openLog(); err != nil {
		k.lock.Close()
		return nil, err
	}
	if k.socket, err = fdconn.Listen(filepath.Join(cfg.State, SocketName)); err != nil {
		k.lock.Close()
		return nil, err
	}
	k.callers.first = cfg.Ready
	k.start()
	return k, nil
}

// lockPID makes sure that there is one keeper for a state directory: the lock is held for as long as the process lives. Who may
// read the file may lock it, and no keeper would ever start again: it is root's alone, also where it was there with another mode.
func lockPID(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the state directory: %w", err)
	}
	if err := f.Chmod(0o600); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock the state directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if err == unix.EWOULDBLOCK {
			return nil, fmt.Errorf("another keeper holds %s: %w (it has its PID in there; if %s beside it has been removed, delete the Pods and kill it)",
				path, errdefs.ErrAlreadyExists, SocketName)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	pid := strconv.Itoa(os.Getpid()) + "\n"
	if err := errors.Join(f.Truncate(0), writeAt(f, pid)); err != nil {
		f.Close()
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return f, nil
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

// orders are the signals that mean something. SIGHUP is taken and dropped: the terminal of who started the keeper may
// close, and ignoring it would be inherited by everything.
var orders = []os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGUSR2, unix.SIGHUP}

// quietFor is how long nothing happens before the host is given back what messages have left behind: a hundred Pods, three times
// what their records take.
const quietFor = time.Second

func (k *Keeper) loop() error {
	children := make(chan os.Signal, 1)
	children <- unix.SIGCHLD // a death before the first round, or before an upgrade, has no signal left
	signal.Notify(children, unix.SIGCHLD)
	signal.Notify(k.orders, orders...)
	go k.callers.accept(k.socket)
	k.names.watch()
	if k.link != nil {
		go k.link.watch()
	}
	timer, quiet := time.NewTimer(0), time.NewTimer(quietFor)
	for !k.ended {
		timer.Reset(k.daemon.wait(k.now()))
		select {
		case <-quiet.C:
			debug.FreeOSMemory()
			continue
		case <-children:
			// Not in every round: the kernel looks at each child to find one that has ended.
			if err := k.reap(); err != nil {
				return err
			}
		case sig := <-k.orders:
			k.order(sig)
		case fn := <-k.events:
			fn()
		case <-timer.C:
			k.restart()
		}
		quiet.Reset(quietFor)
	}
	k.log.Info("the keeper ends")
	// In this order: who finds no socket may start a keeper at once, and that one needs the lock.
	return errors.Join(os.Remove(filepath.Join(k.state, SocketName)), k.lock.Close(), k.socket.Close())
}

func (k *Keeper) order(sig os.Signal) {
	switch sig {
	case unix.SIGTERM, unix.SIGINT:
		k.stop()
	case unix.SIGUSR2:
		if err := k.upgrade(); err != nil {
			k.log.Error("the upgrade did not happen; going on as before", "err", err)
		}
	}
}

// reap takes every child that has ended.
func (k *Keeper) reap() error {
	for {
		pid, status, err := linux.Reap()
		if err != nil || pid == 0 {
			return err
		}
		if pid == k.daemon.pid {
			k.died(status)
			continue
		}
		k.tell(k.records.exited(pid, status, k.now()))
	}
}

func (k *Keeper) live() int { return len(k.records.byPID) }
