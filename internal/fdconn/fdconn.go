// Package fdconn moves one message and its descriptors over a unix socket.
//
// It is the only thing that Hull's processes say to each other with: a SOCK_SEQPACKET socket keeps the borders of
// messages, a message arrives whole or not at all, and its descriptors arrive with it. So neither side ever parses half a
// message, and the death of a side is an end of file between two messages, never within one.
//
// What was sent before a side died is still received: Recv returns [io.EOF] only when the queue is empty.
package fdconn

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// MaxFDs is how many descriptors the kernel passes with one message.
const MaxFDs = 253

// ErrTooLarge says that a message does not fit the receiver's limit or the socket's buffer. The message stays unread, so a
// receiver that meets it can only close the connection.
var ErrTooLarge = errors.New("message too large")

// Conn is one end of a connection. Any number of goroutines may send; one at a time may receive.
type Conn struct {
	f   *os.File
	raw syscall.RawConn
}

// Pair makes a connection: our end, and the other end as a blocking descriptor for a child that need not be a Go program.
func Pair() (*Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "fdconn")
	ours, err := adopt(fds[0])
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// New makes a connection of a socket that was inherited or received. It takes f over, also when it fails.
func New(f *os.File) (*Conn, error) {
	defer f.Close()
	var kind int
	var serr error
	fd := -1
	err := control(f, func(old int) error {
		if kind, serr = unix.GetsockoptInt(old, unix.SOL_SOCKET, unix.SO_TYPE); serr != nil {
			return serr
		}
		if kind != unix.SOCK_SEQPACKET {
			return errors.New("not a SOCK_SEQPACKET socket")
		}
		fd, serr = unix.FcntlInt(uintptr(old), unix.F_DUPFD_CLOEXEC, 3)
		return serr
	})
	if err != nil {
		return nil, fmt.Errorf("connection on descriptor %s: %w", f.Name(), err)
	}
	return adopt(fd)
}

// adopt takes over a socket, which it closes when it fails.
func adopt(fd int) (*Conn, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make a socket non-blocking: %w", err)
	}
	f := os.NewFile(uintptr(fd), "fdconn")
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("connection: %w", err)
	}
	return &Conn{f: f, raw: raw}, nil
}

// Close ends the connection and whatever waits on it.
func (c *Conn) Close() error { return c.f.Close() }

// SetDeadline makes sends and receives that wait fail with [os.ErrDeadlineExceeded] from t on; the zero time takes it back.
func (c *Conn) SetDeadline(t time.Time) error { return c.f.SetDeadline(t) }

// Send sends one message with its descriptors and waits while the socket is full. It refuses an empty message, which could
// not be told from an end of file.
func (c *Conn) Send(msg []byte, fds ...*os.File) error {
	return withFDs(fds, make([]int, 0, len(fds)), func(raw []int) error { return c.SendFDs(msg, raw) })
}

// SendFDs is Send for descriptors that no os.File owns.
func (c *Conn) SendFDs(msg []byte, fds []int) error {
	var serr error
	err := c.raw.Write(func(fd uintptr) bool {
		serr = send(int(fd), msg, fds)
		return !errors.Is(serr, unix.EAGAIN)
	})
	return sendError(err, serr)
}

// TrySend sends if the socket has room, and returns an error that is [unix.EAGAIN] otherwise.
func (c *Conn) TrySend(msg []byte, fds []int) error {
	var serr error
	err := c.raw.Control(func(fd uintptr) { serr = send(int(fd), msg, fds) })
	return sendError(err, serr)
}

// WaitWritable waits until the socket has room, or the other side is gone.
func (c *Conn) WaitWritable() error {
	return waitError(c.raw.Write(func(fd uintptr) bool { return ready(int(fd), unix.POLLOUT) }))
}

// WaitReadable waits until there is a message, or the end.
func (c *Conn) WaitReadable() error {
	return waitError(c.raw.Read(func(fd uintptr) bool { return ready(int(fd), unix.POLLIN) }))
}

// Recv waits for one message of at most max bytes. Its descriptors are close-on-exec. The end of the connection is [io.EOF].
func (c *Conn) Recv(max int) ([]byte, []*os.File, error) {
	var msg []byte
	var fds []int
	var rerr error
	err := c.raw.Read(func(fd uintptr) bool {
		msg, fds, rerr = recv(int(fd), max)
		return !errors.Is(rerr, unix.EAGAIN)
	})
	if err = recvError(err, rerr); err != nil {
		return nil, nil, err
	}
	files := make([]*os.File, len(fds))
	for i, fd := range fds {
		files[i] = os.NewFile(uintptr(fd), "received")
	}
	return msg, files, nil
}

// TryRecv is Recv that does not wait: with no message it returns an error that is [unix.EAGAIN]. The descriptors are the
// caller's to close; unlike an os.File they are never given to the poller, so that holding them costs nothing.
func (c *Conn) TryRecv(max int) ([]byte, []int, error) {
	var msg []byte
	var fds []int
	var rerr error
	err := c.raw.Control(func(fd uintptr) { msg, fds, rerr = recv(int(fd), max) })
	if err = recvError(err, rerr); err != nil {
		return nil, nil, err
	}
	return msg, fds, nil
}

// PeerUID is the user that the other side's process ran as when it connected, or when the pair was made.
func (c *Conn) PeerUID() (uint32, error) {
	var cred *unix.Ucred
	err := control(c.f, func(fd int) (err error) {
		cred, err = unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("peer of a connection: %w", err)
	}
	return cred.Uid, nil
}

// Inheritable returns the socket's descriptor after making it survive an execve (yes), or not (no). The caller must keep
// the connection open for as long as it uses the number.
func (c *Conn) Inheritable(yes bool) (int, error) {
	var n int
	err := control(c.f, func(fd int) error {
		n = fd
		flags := unix.FD_CLOEXEC
		if yes {
			flags = 0
		}
		_, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, flags)
		return err
	})
	return n, err
}

func sendError(err, serr error) error {
	if err = cmp.Or(waitError(err), serr); err != nil {
		return fmt.Errorf("send a message: %w", err)
	}
	return nil
}

func recvError(err, rerr error) error {
	if rerr == io.EOF {
		return io.EOF
	}
	if err = cmp.Or(waitError(err), rerr); err != nil {
		return fmt.Errorf("receive a message: %w", err)
	}
	return nil
}

// waitError names what the poller says when a descriptor is closed under it; it has an error of its own for that.
func waitError(err error) error {
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return os.ErrClosed
}
