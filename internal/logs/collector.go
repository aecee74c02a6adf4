package logs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// pieces is of how many pieces a line can be put together: slots of the largest pipe that every kernel gives.
const pieces = 256

// retryAfter is when a write that failed is tried again. The kernel has no event for room on a disk.
const retryAfter = time.Second

// Collector writes the logs of all containers. It holds what they share: one epoll for all their pipes, and a few kits of
// buffers, which bound how many containers are written for at once.
type Collector struct {
	log   *slog.Logger
	retry time.Duration
	epoll *os.File // an epoll within Go's own: one goroutine waits for every container
	raw   syscall.RawConn
	null  *os.File
	kits  chan *kit
	gzip  chan struct{}      // one compression at a time
	ctx   context.Context    // ends compressions
	stop  context.CancelFunc // its end
	tasks sync.WaitGroup     // the loop, and compressions

	mu      sync.Mutex
	writers map[int32]*Writer
	last    int32
}

// kit is what a writer needs while it writes.
type kit struct {
	peek [2]int // a pipe that bytes are copied through to be looked at
	raw  []byte // a batch
	out  []byte // its lines

	broken bool // something may be left in peek
}

// NewCollector starts a collector, which needs no configuration.
func NewCollector(log *slog.Logger) (*Collector, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make an epoll: %w", err)
	}
	n := max(4, runtime.GOMAXPROCS(0))
	c := &Collector{
		log: log, retry: retryAfter, epoll: os.NewFile(uintptr(fd), "epoll"),
		kits: make(chan *kit, n), gzip: make(chan struct{}, 1), writers: map[int32]*Writer{},
	}
	for range n {
		c.kits <- nil // made when it is needed
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	if c.raw, err = c.epoll.SyscallConn(); err == nil {
		c.null, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	if err != nil {
		c.epoll.Close()
		return nil, fmt.Errorf("collect logs: %w", err)
	}
	c.tasks.Go(c.loop)
	return c, nil
}

// Close ends the collector; its writers are closed before.
func (c *Collector) Close() error {
	c.stop()
	err := c.epoll.Close()
	c.tasks.Wait()
	for range cap(c.kits) {
		if k := <-c.kits; k != nil {
			k.close()
		}
	}
	return errors.Join(err, c.null.Close())
}

// loop wakes writers whose pipes have something.
func (c *Collector) loop() {
	events := make([]unix.EpollEvent, 128)
	for {
		n := 0
		var werr error
		err := c.raw.Read(func(fd uintptr) bool {
			n, werr = unix.EpollWait(int(fd), events, 0)
			return n > 0 || werr != nil && werr != unix.EINTR
		})
		if err != nil {
			return // closed
		}
		if werr != nil {
			c.log.Error("wait for the output of containers", "err", werr)
			return
		}
		for _, e := range events[:n] {
			c.mu.Lock()
			w := c.writers[e.Fd]
			c.mu.Unlock()
			if w != nil {
				w.wake(int(e.Pad))
			}
		}
	}
}

// watch has the collector wake w for its stream when fd has something, by edges: what stays in a pipe wakes nobody twice.
func (c *Collector) watch(w *Writer, fd, stream int) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET, Fd: w.id, Pad: int32(stream)}
	if err := c.control(unix.EPOLL_CTL_ADD, fd, &e); err != nil {
		return fmt.Errorf("watch a container's output: %w", err)
	}
	return nil
}

// unwatch must come before fd is closed: the keeper has a duplicate, which keeps the epoll's entry alive.
func (c *Collector) unwatch(fd int) error {
	if err := c.control(unix.EPOLL_CTL_DEL, fd, nil); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("watch a container's output no more: %w", err)
	}
	return nil
}

func (c *Collector) control(op, fd int, e *unix.EpollEvent) error {
	rc, err := c.epoll.SyscallConn()
	if err != nil {
		return err
	}
	var cerr error
	if err := rc.Control(func(ep uintptr) { cerr = unix.EpollCtl(int(ep), op, fd, e) }); err != nil {
		return err
	}
	return cerr
}

func (c *Collector) add(w *Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.last++; c.writers[c.last] != nil || c.last <= 0; c.last++ {
		c.last = max(c.last, 0)
	}
	w.id = c.last
	c.writers[w.id] = w
}

func (c *Collector) remove(w *Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.writers, w.id)
}

// take waits for a kit; give brings it back.
func (c *Collector) take() (*kit, error) {
	k := <-c.kits
	if k != nil {
		return k, nil
	}
	k = &kit{raw: make([]byte, chunk), out: make([]byte, 0, 2*chunk)}
	if err := unix.Pipe2(k.peek[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		c.kits <- nil
		return nil, fmt.Errorf("make a pipe to look through: %w", err)
	}
	if err := linux.GrowPipe(k.peek[1], pieces<<12); err != nil {
		k.close()
		c.kits <- nil
		return nil, err
	}
	return k, nil
}

func (c *Collector) give(k *kit) {
	if k.broken {
		k.close()
		k = nil
	}
	c.kits <- k
}

func (k *kit) close() {
	unix.Close(k.peek[0])
	unix.Close(k.peek[1])
}

// look copies the first n bytes of a pipe, or what there is, without taking them out.
func (k *kit) look(fd, n int) ([]byte, error) {
	n, err := linux.Tee(fd, k.peek[1], n)
	if errors.Is(err, unix.EAGAIN) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("copy from the in-flight pipe: %w", err)
	}
	for got := 0; got < n; {
		m, err := unix.Read(k.peek[0], k.raw[got:n])
		switch {
		case err == unix.EINTR:
		case err != nil:
			k.broken = true
			return nil, fmt.Errorf("read what was copied from the in-flight pipe: %w", err)
		default:
			got += m
		}
	}
	return k.raw[:n], nil
}

// drain takes n bytes out of a pipe.
func (c *Collector) drain(fd, n int) error {
	null := int(c.null.Fd())
	for n > 0 {
		m, err := linux.Splice(fd, null, n)
		if errors.Is(err, unix.EAGAIN) || err == nil && m == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("drain the in-flight pipe: %w", err)
		}
		n -= m
	}
	return nil
}
