package runtime

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/logs"
	"github.com/hull-pods/hull/internal/oci"
)

// container is one container of a sandbox, from its creation to its removal. It runs at most once.
type container struct {
	r  *Runtime
	id string
	in *sandbox

	op sync.Mutex // held by the one operation that changes what the kernel has: create, start, remove

	mu    sync.Mutex // guards what follows
	rec   containerRecord
	ready *prepared // what Start needs, between create and start
	pidfd *os.File  // while it runs
	log   *logs.Writer
	stdin *os.File // our end, with Config.Stdin
	spec  *oci.Spec
	// starting is set from the beginning of Start to its end. The record says "running" before the command runs, others are
	// told only when it does.
	starting bool
	execs    int  // sessions, for their keys
	ending   bool // its exit has been seen

	gone    chan struct{} // closed when the first process is gone
	started chan struct{} // closed when Start has returned, so that an exit can be handled
	ended   chan struct{} // closed when it has ended: status, logs and cgroup say so
}

// prepared is what CreateContainer opened for StartContainer.
type prepared struct {
	rootfs  *os.File
	sources map[string]*os.File // mount sources, by destination
}

func (p *prepared) close() {
	if p == nil {
		return
	}
	if p.rootfs != nil {
		_ = p.rootfs.Close()
	}
	for _, f := range p.sources {
		_ = f.Close()
	}
}

func (r *Runtime) newContainer(id string, in *sandbox, rec containerRecord) *container {
	c := &container{r: r, id: id, in: in, rec: rec, gone: make(chan struct{}), started: make(chan struct{}), ended: make(chan struct{})}
	r.mu.Lock()
	r.containers[id] = c
	r.processes[c.key()] = c
	r.mu.Unlock()
	return c
}

func (c *container) key() string { return keyContainer + c.id }

func (c *container) status() ContainerStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.rec.Status
	if c.starting {
		st.State, st.PID, st.StartedAt = ContainerCreated, 0, time.Time{}
	}
	return st
}

func (c *container) config() *ContainerConfig {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &c.rec.Status.Config // never changed after CreateContainer took it
}

// String is how errors and logs speak of a container.
func (c *container) String() string {
	s := c.in.config()
	return fmt.Sprintf("container %q of Pod %s/%s", c.config().Name, s.Namespace, s.Name)
}

// update changes the record and writes it.
func (c *container) update(change func(*containerRecord)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.rec)
	return writeRecord(c.r.dir.containerRecord(c.id), &c.rec)
}

// detach closes what we hold of a running container, which goes on: the keeper holds the same.
func (c *container) detach() error {
	c.mu.Lock()
	w, pidfd, stdin, ready := c.log, c.pidfd, c.stdin, c.ready
	c.log, c.pidfd, c.stdin, c.ready = nil, nil, nil, nil
	c.mu.Unlock()
	var errs []error
	if w != nil {
		errs = append(errs, w.Close())
	}
	for _, f := range []*os.File{pidfd, stdin} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	ready.close()
	return errors.Join(errs...)
}

func (c *container) logPath() string {
	return filepath.Join(c.in.config().LogDirectory, c.config().LogPath)
}

func (c *container) cgroup() string {
	return filepath.Join(c.in.config().CgroupParent, c.id)
}

// signal sends a signal to the container's first process; nil when it has ended.
func (c *container) signal(sig unix.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pidfd == nil {
		return nil
	}
	err := unix.PidfdSendSignal(int(c.pidfd.Fd()), sig, nil, 0)
	if err != nil && err != unix.ESRCH {
		return fmt.Errorf("send %s: %w", unix.SignalName(sig), err)
	}
	return nil
}
