package fdconn

import (
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// send is one sendmsg. Its errors are bare errno values, EAGAIN among them.
func send(fd int, msg []byte, fds []int) error {
	if len(msg) == 0 {
		return errors.New("empty message")
	}
	if len(fds) > MaxFDs {
		return errors.New("too many descriptors")
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	for {
		_, err := unix.SendmsgN(fd, msg, rights, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch err {
		case unix.EINTR:
		case unix.EMSGSIZE:
			return ErrTooLarge
		default:
			return err
		}
	}
}

// recv receives one message that is there. It looks at its size first, so that nobody keeps a buffer for the largest one.
func recv(fd int, max int) ([]byte, []int, error) {
	size, err := recvmsg(fd, nil, nil, unix.MSG_PEEK|unix.MSG_TRUNC)
	if err == nil && size.n == 0 {
		// A last message and the sender's end may come between the kernel's look at the queue, which was empty then, and
		// its look at whether there is a sender. Only a second look says that the end was all.
		size, err = recvmsg(fd, nil, nil, unix.MSG_PEEK|unix.MSG_TRUNC)
	}
	switch {
	case err != nil:
		return nil, nil, err
	case size.n == 0:
		return nil, nil, io.EOF
	case size.n > max:
		return nil, nil, ErrTooLarge
	}
	msg := make([]byte, size.n)
	rights := make([]byte, unix.CmsgSpace(MaxFDs*4))
	got, err := recvmsg(fd, msg, rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, nil, err
	}
	fds, err := parseRights(rights[:got.oobn])
	if err == nil && got.flags&unix.MSG_CTRUNC != 0 {
		// The process is at its limit of descriptors: the kernel drops those that do not fit and says so here.
		err = errors.New("descriptors were lost: no room for them in this process")
	}
	if err == nil && got.flags&unix.MSG_TRUNC != 0 {
		err = ErrTooLarge
	}
	if err != nil {
		for _, fd := range fds {
			unix.Close(fd)
		}
		return nil, nil, err
	}
	return msg[:got.n], fds, nil
}

type received struct{ n, oobn, flags int }

func recvmsg(fd int, msg, oob []byte, flags int) (received, error) {
	for {
		n, oobn, rflags, _, err := unix.Recvmsg(fd, msg, oob, flags|unix.MSG_DONTWAIT)
		// The other side closed with messages of ours unread: the kernel says so once, before it hands out what that
		// side had sent. Those messages count; the end of file follows them.
		if err == unix.EINTR || err == unix.ECONNRESET {
			continue
		}
		return received{n, oobn, rflags}, err
	}
}

func parseRights(oob []byte) ([]int, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var fds []int
	for _, m := range msgs {
		if m.Header.Level != unix.SOL_SOCKET || m.Header.Type != unix.SCM_RIGHTS {
			continue
		}
		more, err := unix.ParseUnixRights(&m)
		if err != nil {
			return fds, err
		}
		fds = append(fds, more...)
	}
	return fds, nil
}

func ready(fd int, events int16) bool {
	for {
		p := []unix.PollFd{{Fd: int32(fd), Events: events}}
		n, err := unix.Poll(p, 0)
		if err != unix.EINTR {
			return err != nil || n > 0
		}
	}
}

// withFDs calls fn with the numbers of the files, which cannot be closed meanwhile. (os.File.Fd would make some of them
// blocking.)
func withFDs(files []*os.File, raw []int, fn func([]int) error) error {
	if len(files) == 0 {
		return fn(raw)
	}
	return control(files[0], func(fd int) error { return withFDs(files[1:], append(raw, fd), fn) })
}

func control(f *os.File, fn func(fd int) error) error {
	rc, err := f.SyscallConn()
	if err != nil {
		return err
	}
	return controlRaw(rc, fn)
}

func controlRaw(rc syscall.RawConn, fn func(fd int) error) error {
	var ferr error
	if err := rc.Control(func(fd uintptr) { ferr = fn(int(fd)) }); err != nil {
		return err
	}
	return ferr
}
