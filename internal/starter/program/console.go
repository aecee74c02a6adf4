package program

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// consoleSocket is where an OCI program sends the master of a terminal.
type consoleSocket struct {
	listener *net.UnixListener
	path     string
}

// receiveLimit bounds the wait for a terminal that the program says it has made already.
const receiveLimit = 10 * time.Second

// console adds the socket to the program's arguments when the process wants a terminal; it is nil otherwise.
func (p *Program) console(args *[]string, wanted bool, dir string) (*consoleSocket, error) {
	if !wanted {
		return nil, nil
	}
	path := filepath.Join(dir, "tty")
	_ = os.Remove(path)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen for the terminal: %w", err)
	}
	*args = append(*args, "--console-socket", path)
	return &consoleSocket{l, path}, nil
}

func (c *consoleSocket) close() {
	if c != nil {
		_ = c.listener.Close()
	}
}

// receive takes the master. The program sends it before it ends, so it is there, or never will be.
func (c *consoleSocket) receive() (_ *os.File, err error) {
	if err := c.listener.SetDeadline(time.Now().Add(receiveLimit)); err != nil {
		return nil, fmt.Errorf("receive the terminal: %w", err)
	}
	conn, err := c.listener.AcceptUnix()
	if err != nil {
		return nil, fmt.Errorf("receive the terminal: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	name, rights := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	if err := conn.SetDeadline(time.Now().Add(receiveLimit)); err != nil {
		return nil, fmt.Errorf("receive the terminal: %w", err)
	}
	_, n, _, _, err := conn.ReadMsgUnix(name, rights)
	if err != nil {
		return nil, fmt.Errorf("receive the terminal: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) != 1 {
		return nil, fmt.Errorf("receive the terminal: %d control messages: %w", len(messages), errors.Join(err, unix.EBADMSG))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, fmt.Errorf("receive the terminal: %d descriptors: %w", len(fds), errors.Join(err, unix.EBADMSG))
	}
	return os.NewFile(uintptr(fds[0]), "terminal"), nil
}
