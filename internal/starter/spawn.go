package starter

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/fdconn"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
)

// spawner clones hull-init, from a thread of its own.
//
// The thread has a table of descriptors of its own, with hardly more in it than what a clone is given: a clone copies the
// whole table, and its execve closes it again, which among a thousand Pods took longer than all else. What the thread makes
// comes over a socket to the table of everybody else.
//
// The thread has a mount namespace in which nothing is but an empty, read-only directory as the root: a clone that copies
// the namespace copies one mount, however many the host has, and has nothing of the host's to let go of. The thread's
// working directory is a procfs that is attached nowhere, so that hull-init can be executed as self/fd/N.
type spawner struct {
	jobs chan func()
	init *os.File // hull-init, sealed
	null *os.File
	proc *os.File

	mu     sync.Mutex   // held over a job and the arrival of what it made
	ours   *fdconn.Conn // where that arrives
	other  *os.File     // the thread's end
	closed bool
}

// template is what the thread's mount namespace holds.
type template int

const (
	bare     template = iota // the empty root
	visible                  // a root with procfs and sysfs: a user namespace may mount those only where it can see them already
	hostTree                 // a copy of the host's
)

func newSpawner(t template, init, null *os.File) (*spawner, error) {
	proc, err := linux.NewMount("proc", "proc", quiet)
	if err != nil {
		return nil, err
	}
	s := &spawner{jobs: make(chan func()), init: init, null: null, proc: proc}
	if s.ours, s.other, err = fdconn.Pair(); err != nil {
		_ = proc.Close()
		return nil, err
	}
	ready := make(chan error)
	go s.run(t, ready)
	if err := <-ready; err != nil {
		s.close()
		return nil, fmt.Errorf("prepare the thread that starts processes: %w", err)
	}
	return s, nil
}

// close ends the thread. A clone that has begun is waited for; a later one fails.
func (s *spawner) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	close(s.jobs)
	_, _, _ = s.proc.Close(), s.ours.Close(), s.other.Close()
}

// run is the thread's life. It is never unlocked, as no other goroutine must run with its mounts.
func (s *spawner) run(t template, ready chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The main thread is what /proc/PID shows of the whole process, and it cannot end: leave it as it is.
		moved := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(moved)
			s.serve(t, ready)
		}()
		<-moved
		runtime.UnlockOSThread()
		return
	}
	s.serve(t, ready)
}

func (s *spawner) serve(t template, ready chan<- error) {
	err := s.settle(t)
	ready <- err
	if err != nil {
		return
	}
	for job := range s.jobs {
		job()
	}
}

func (s *spawner) settle(t template) error {
	if err := linux.OwnDescriptors(s.init, s.null, s.proc, s.other); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare root and working directory: %w", err)
	}
	// In a chroot the host's tree would stay the root of each container's mount namespace, and whoever enters one
	// (exec does) would find himself there.
	if err := linux.LeaveChroot(); err != nil {
		return err
	}
	if t != hostTree {
		if err := emptyNamespace(t); err != nil {
			return err
		}
	}
	if err := unix.Fchdir(int(s.proc.Fd())); err != nil {
		return fmt.Errorf("enter proc: %w", err)
	}
	return nil
}

// quiet are the flags of a mount from which nothing is executed.
const quiet = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC

// emptyNamespace gives the thread a mount namespace and makes an empty tmpfs all that is in it.
func emptyNamespace(t template) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	// One inode, the root itself: nothing could be made in it even if somebody managed to write.
	inodes := "1"
	if t == visible {
		inodes = "3"
	}
	root, err := linux.NewMount("tmpfs", "hull", quiet, linux.KeyValue("nr_inodes", inodes), linux.KeyValue("mode", "555"))
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := linux.AttachPath(root, "/"); err != nil {
		return err
	}
	if t == visible {
		if err := showKernel(root); err != nil {
			return err
		}
	}
	if err := unix.Fchdir(int(root.Fd())); err != nil {
		return fmt.Errorf("enter the empty root: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("make the empty root the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("let go of the host's mounts: %w", err)
	}
	return linux.SetMount(root, false, linux.Attributes{Set: unix.MOUNT_ATTR_RDONLY})
}

func showKernel(root *os.File) error {
	for _, fstype := range []string{"proc", "sysfs"} {
		m, err := linux.NewMount(fstype, fstype, 0)
		if err != nil {
			return err
		}
		defer func() { _ = m.Close() }()
		name := map[string]string{"proc": "proc", "sysfs": "sys"}[fstype]
		if err := unix.Mkdirat(int(root.Fd()), name, 0o555); err != nil {
			return fmt.Errorf("make /%s: %w", name, err)
		}
		at, err := linux.OpenBeneath(root, name, unix.O_PATH)
		if err != nil {
			return err
		}
		defer func() { _ = at.Close() }()
		if err := linux.Attach(m, at); err != nil {
			return err
		}
	}
	return nil
}

// cloned is a process that runs hull-init and waits for its program.
type cloned struct {
	pid   int
	pidfd *os.File
	conn  *fdconn.Conn
}

// kill ends the process. Its parent reaps it.
func (c *cloned) kill() { _ = linux.PidfdSignal(c.pidfd, unix.SIGKILL) }

func (c *cloned) close() {
	_ = c.conn.Close()
	_ = c.pidfd.Close()
}

// order is what to clone.
type order struct {
	name                     string // argv[0]
	flags                    uintptr
	uidMappings, gidMappings []oci.LinuxIDMapping
}

// cloneFiles is how many descriptors a clone is given: standard input, output and error, and its socket.
const cloneFiles = 4

func (s *spawner) clone(o order) (*cloned, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("clone a process: the starter is closed: %w", errdefs.ErrUnavailable)
	}
	var pid int
	var err error
	done := make(chan struct{})
	s.jobs <- func() {
		defer close(done)
		pid, err = s.cloneHere(o)
	}
	<-done
	if err != nil {
		return nil, fmt.Errorf("clone a process: %w", err)
	}
	_, fds, err := s.ours.Recv(1)
	if err != nil || len(fds) != 2 {
		closeFiles(fds)
		return nil, fmt.Errorf("take over a new process: %w", errors.Join(err, unix.EBADMSG))
	}
	conn, err := fdconn.New(fds[0])
	if err != nil {
		closeFiles(fds)
		return nil, err
	}
	return &cloned{pid: pid, pidfd: fds[1], conn: conn}, nil
}

// cloneHere runs on the thread, and sends the process' socket and pidfd. If it fails after the clone, the process dies of the
// end of its socket.
func (s *spawner) cloneHere(o order) (int, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("make its socket: %w", err)
	}
	defer func() { _, _ = unix.Close(pair[0]), unix.Close(pair[1]) }()
	pidfd := -1
	null := s.null.Fd()
	attr := &syscall.ProcAttr{
		Files: []uintptr{null, null, null, uintptr(pair[1])}, // cloneFiles of them
		Sys: &syscall.SysProcAttr{
			Cloneflags: o.flags, PidFD: &pidfd,
			UidMappings: sysMappings(o.uidMappings), GidMappings: sysMappings(o.gidMappings),
			GidMappingsEnableSetgroups: true,
		},
	}
	if len(o.uidMappings) > 0 {
		// Before its execve the child's IDs are not mapped, and the execve of a user that is not root drops every capability.
		attr.Sys.Credential = &syscall.Credential{Uid: mappedID(o.uidMappings), Gid: mappedID(o.gidMappings)}
	}
	pid, err := syscall.ForkExec("self/fd/"+strconv.Itoa(int(s.init.Fd())), []string{o.name}, attr)
	if err != nil {
		return 0, err
	}
	if pidfd < 0 {
		return 0, errors.New("no pidfd")
	}
	defer func() { _ = unix.Close(pidfd) }()
	_ = unix.SetNonblock(pidfd, true) // for Go's poller
	if err := unix.Sendmsg(int(s.other.Fd()), []byte{0}, unix.UnixRights(pair[0], pidfd), nil, 0); err != nil {
		return 0, fmt.Errorf("hand over its descriptors: %w", err)
	}
	return pid, nil
}

// mappedID is an ID that a user namespace has: root's, or where that is not mapped, as in one that is for a mount's owners alone,
// another.
func mappedID(mappings []oci.LinuxIDMapping) uint32 {
	if len(mappings) == 0 || slices.ContainsFunc(mappings, func(m oci.LinuxIDMapping) bool { return m.ContainerID == 0 && m.Size > 0 }) {
		return 0
	}
	return mappings[0].ContainerID
}

func sysMappings(mappings []oci.LinuxIDMapping) []syscall.SysProcIDMap {
	var out []syscall.SysProcIDMap
	for _, m := range mappings {
		out = append(out, syscall.SysProcIDMap{ContainerID: int(m.ContainerID), HostID: int(m.HostID), Size: int(m.Size)})
	}
	return out
}
