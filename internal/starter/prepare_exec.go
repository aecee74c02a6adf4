package starter

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/starter/compile"
)

// prepareExec opens what a further process needs.
func (n *Native) prepareExec(d *delivery, r ExecRequest) (compile.Facts, error) {
	f := compile.Facts{LastCap: n.lastCap}
	if r.Spec == nil || r.Spec.Linux == nil || r.Process == nil {
		return f, invalid("exec without a spec or a process")
	}
	d.add(compile.FDContainer, r.PIDFD)
	var err error
	if !r.Process.Terminal {
		user := hostID(r.Spec.Linux.UIDMappings, r.Process.User.UID)
		if err = d.stdio(&f, user, r.Stdin, r.Stdout, r.Stderr); err != nil {
			return f, err
		}
	}
	if err = n.filters.into(&f, r.Spec.Linux.Seccomp); err != nil {
		return f, err
	}
	if r.Process.Terminal {
		if err = n.execTerminal(d, r); err != nil {
			return f, err
		}
	}
	return f, d.join(r.Cgroups)
}

// execTerminal makes a terminal in the container's own devpts, so that the process finds it by name. The container may have
// put anything at that path: it is used only if it is a devpts, where ptmx can be nothing else than what makes a terminal.
func (n *Native) execTerminal(d *delivery, r ExecRequest) error {
	root, err := n.containerRoot(r)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	pts, err := linux.OpenIn(root, "dev/pts", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return fmt.Errorf("find the container's terminals: %w", err)
	}
	defer func() { _ = pts.Close() }()
	if is, err := linux.IsDevPTS(pts); err != nil || !is {
		return fmt.Errorf("the container's /dev/pts is not a devpts: %w", unix.ENOTTY)
	}
	master, slave, err := linux.OpenPTY(pts)
	if err != nil {
		return err
	}
	d.console = master
	d.keep(compile.FDTerminal, slave)
	if s := r.Process.ConsoleSize; s != nil {
		size := unix.Winsize{Row: uint16(s.Height), Col: uint16(s.Width)}
		if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &size); err != nil {
			return fmt.Errorf("set the terminal's size: %w", err)
		}
	}
	return nil
}

// containerRoot is the root of the container's first process. The pidfd tells that the number is still that process'.
func (n *Native) containerRoot(r ExecRequest) (*os.File, error) {
	name := strconv.Itoa(r.PID) + "/root"
	fd, err := unix.Openat(int(n.proc.Fd()), name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("find the container's root: %w", err)
	}
	root := os.NewFile(uintptr(fd), "container root")
	if err := linux.PidfdSignal(r.PIDFD, 0); err != nil {
		_ = root.Close()
		return nil, fmt.Errorf("the container's process: %w", err)
	}
	return root, nil
}
