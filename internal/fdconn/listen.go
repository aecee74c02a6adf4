package fdconn

import (
	"cmp"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Listener accepts connections at a path.
type Listener struct {
	conn *Conn
}

// Listen makes a socket at path that only its owner may connect to. A socket that is left there from a process that died
// is replaced: the caller holds the lock that says that nobody else listens.
func Listen(path string) (*Listener, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := bind(fd, path); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	conn, err := adopt(fd)
	if err != nil {
		return nil, err
	}
	return &Listener{conn: conn}, nil
}

// bind makes the socket under another name first, so that path never names a socket with too wide a mode or one that
// refuses because it does not listen yet.
func bind(fd int, path string) error {
	tmp := path + ".new"
	if err := unix.Unlink(tmp); err != nil && err != unix.ENOENT {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: tmp}); err != nil {
		return err
	}
	if err := unix.Chmod(tmp, 0o600); err != nil {
		return err
	}
	if err := unix.Listen(fd, 128); err != nil {
		return err
	}
	return unix.Rename(tmp, path)
}

// NewListener takes over a listening socket that was inherited.
func NewListener(f *os.File) (*Listener, error) {
	conn, err := New(f)
	if err != nil {
		return nil, err
	}
	return &Listener{conn: conn}, nil
}

// Accept waits for the next connection.
func (l *Listener) Accept() (*Conn, error) {
	fd := -1
	var aerr error
	err := l.conn.raw.Read(func(s uintptr) bool {
		for {
			fd, _, aerr = unix.Accept4(int(s), unix.SOCK_CLOEXEC)
			if aerr != unix.EINTR && aerr != unix.ECONNABORTED {
				return aerr != unix.EAGAIN
			}
		}
	})
	if err = cmp.Or(waitError(err), aerr); err != nil {
		return nil, fmt.Errorf("accept a connection: %w", err)
	}
	return adopt(fd)
}

// Inheritable is [Conn.Inheritable] for the listening socket.
func (l *Listener) Inheritable(yes bool) (int, error) { return l.conn.Inheritable(yes) }

// Close stops listening. The socket's name stays: the next Listen replaces it.
func (l *Listener) Close() error { return l.conn.Close() }

// Dial connects to the socket at path.
func Dial(path string) (*Conn, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", path, err)
	}
	for {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("connect to %s: %w", path, err)
	}
	return adopt(fd)
}
