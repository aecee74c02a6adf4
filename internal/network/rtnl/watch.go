package rtnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Watcher tells when links go away. One subscription serves all: a filter in the kernel lets nothing but RTM_DELLINK
// through, so that the many messages of a link's birth wake nobody.
type Watcher struct {
	sock *os.File
	raw  syscall.RawConn
	log  *slog.Logger
	done chan struct{}

	exists func(index int32) (bool, error) // asks the kernel, after events were lost

	mu      sync.Mutex
	waiting map[int32]chan struct{}
}

const watchBuffer = 4 << 20 // a thousand links that go in one batch

// Watch subscribes in the namespace of the calling thread.
func Watch(exists func(int32) (bool, error), log *slog.Logger) (*Watcher, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a socket for link events: %w", err)
	}
	sock := os.NewFile(uintptr(fd), "rtnetlink events")
	if err := subscribe(fd); err != nil {
		_ = sock.Close()
		return nil, fmt.Errorf("subscribe to link events: %w", err)
	}
	raw, err := sock.SyscallConn()
	if err != nil {
		_ = sock.Close()
		return nil, fmt.Errorf("subscribe to link events: %w", err)
	}
	w := &Watcher{sock: sock, raw: raw, log: log, done: make(chan struct{}), exists: exists, waiting: map[int32]chan struct{}{}}
	go w.run()
	return w, nil
}

func subscribe(fd int) error {
	// The filter reads in network order what the kernel wrote in the host's.
	var typ [2]byte
	binary.NativeEndian.PutUint16(typ[:], unix.RTM_DELLINK)
	prog := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 4}, // nlmsg_type
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(binary.BigEndian.Uint16(typ[:])), Jt: 0, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, watchBuffer); err != nil {
		return err
	}
	return unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (unix.RTNLGRP_LINK - 1)})
}

// Gone returns a channel that closes when the link is no more; the caller asks the kernel afterwards whether it already
// was. An index is never used again while the machine runs.
func (w *Watcher) Gone(index int32) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	ch, ok := w.waiting[index]
	if !ok {
		ch = make(chan struct{})
		w.waiting[index] = ch
	}
	return ch
}

// End closes the channels of a link that is known to be gone.
func (w *Watcher) End(index int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ch, ok := w.waiting[index]; ok {
		close(ch)
		delete(w.waiting, index)
	}
}

func (w *Watcher) run() {
	defer close(w.done)
	buf := make([]byte, 16<<10)
	for {
		var n int
		var err error
		if rerr := w.raw.Read(func(fd uintptr) bool {
			n, _, err = unix.Recvfrom(int(fd), buf, 0)
			return !errors.Is(err, unix.EAGAIN)
		}); rerr != nil {
			return // closed
		}
		switch {
		case err == nil:
			w.events(buf[:n])
		case errors.Is(err, unix.ENOBUFS):
			w.Resync()
		case errors.Is(err, unix.EINTR):
		default:
			w.log.Error("link events end: addresses of removed sandboxes are given back later", "error", err)
			return
		}
	}
}

func (w *Watcher) events(b []byte) {
	for len(b) >= unix.SizeofNlMsghdr+unix.SizeofIfInfomsg {
		size := int(binary.NativeEndian.Uint32(b))
		if size < unix.SizeofNlMsghdr+unix.SizeofIfInfomsg || size > len(b) {
			return
		}
		// AF_BRIDGE has a RTM_DELLINK of its own: a port that leaves a bridge, not a link that goes.
		if info := b[unix.SizeofNlMsghdr:]; binary.NativeEndian.Uint16(b[4:]) == unix.RTM_DELLINK && info[0] == unix.AF_UNSPEC {
			w.End(int32(binary.NativeEndian.Uint32(info[4:])))
		}
		b = b[min((size+3)&^3, len(b)):]
	}
}

// Resync asks the kernel about every link that is waited for: the socket's buffer was full and events were dropped.
func (w *Watcher) Resync() {
	w.mu.Lock()
	var ask []int32
	for index := range w.waiting {
		ask = append(ask, index)
	}
	w.mu.Unlock()
	for _, index := range ask {
		if there, err := w.exists(index); err == nil && !there {
			w.End(index)
		}
	}
}

// Close ends the subscription. Channels that are open stay so.
func (w *Watcher) Close() {
	_ = w.sock.Close()
	<-w.done
}
