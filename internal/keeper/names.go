package keeper

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/fdconn"
)

// names are keeper.pid and keeper.sock, which are made anew when somebody removes them. Without the one a second keeper would
// start beside this one, which without the other nobody could tell to end.
type names struct {
	k       *Keeper
	missing string // why one of them is not there at present, as the log was told
	again   bool   // a timer has another try
}

// watch sees to them from now on. A keeper that cannot watch goes on without.
func (n *names) watch() {
	k := n.k
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err == nil {
		if _, err = unix.InotifyAddWatch(fd, k.state, unix.IN_DELETE|unix.IN_MOVED_FROM|unix.IN_ONLYDIR); err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		k.log.Warn("who removes this keeper's files is not noticed", "state", k.state, "err", err)
		return
	}
	f := os.NewFile(uintptr(fd), "inotify of "+k.state)
	go func() {
		defer f.Close()
		for events := make([]byte, 4096); ; {
			if _, err := f.Read(events); err != nil {
				k.log.Warn("who removes this keeper's files is not noticed any more", "state", k.state, "err", err)
				return
			}
			k.events <- n.keep
		}
	}()
	n.keep() // what went before
}

// keep makes what is not there. As long as it cannot, it tries again.
func (n *names) keep() {
	k := n.k
	if k.ended {
		return
	}
	err := n.lock()
	if err == nil {
		err = n.socket() // it is for who has the lock to make
	}
	said := ""
	if err != nil {
		said = err.Error()
	}
	if err != nil && !n.again {
		n.again = true
		time.AfterFunc(backoffMost, func() {
			k.events <- func() {
				n.again = false
				n.keep()
			}
		})
	}
	if said != n.missing && said != "" {
		k.log.Error("this keeper's files have been removed, and are not made anew yet", "err", err)
	}
	n.missing = said
}

func (n *names) lock() error {
	k := n.k
	path := filepath.Join(k.state, PIDName)
	held, err := k.lock.Stat()
	if err != nil {
		return fmt.Errorf("look at the lock: %w", err)
	}
	if there, err := os.Lstat(path); err == nil && os.SameFile(there, held) {
		return nil
	}
	lock, err := lockPID(path)
	if err != nil {
		return err
	}
	k.log.Warn("the lock had been removed: made anew", "path", path)
	old := k.lock
	k.lock = lock
	return old.Close()
}

func (n *names) socket() error {
	k := n.k
	path := filepath.Join(k.state, SocketName)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	socket, err := fdconn.Listen(path)
	if err != nil {
		return err
	}
	k.log.Warn("the socket had been removed: made anew", "path", path)
	old := k.socket
	k.socket = socket
	go k.callers.accept(socket)
	return old.Close()
}
