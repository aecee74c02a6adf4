// Package rtnl speaks rtnetlink: requests that are decided as values, sockets that stay in their namespace, and one
// subscription that tells when links go away.
package rtnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// Conn is one rtnetlink socket. It stays in the namespace that it was opened in, and serves one caller at a time.
type Conn struct {
	fd         int
	first, seq uint32 // of the request's first message and its last
	buf        []byte
}

// The kernel cuts a list into pieces of at most 32 KiB, and none is larger than what the reader had room for when it read before.
// All other answers are of a link, or short.
const (
	replySize = 8 << 10
	listSize  = 40 << 10
)

// Open opens a socket in the namespace of the calling thread.
func Open() (*Conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open an rtnetlink socket: %w", err)
	}
	for _, opt := range []int{unix.NETLINK_EXT_ACK, unix.NETLINK_CAP_ACK} { // errors in words, and without the request in them
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, opt, 1); err != nil {
			_ = unix.Close(fd)
			return nil, fmt.Errorf("set up an rtnetlink socket: %w", err)
		}
	}
	return &Conn{fd: fd}, nil
}

// OpenAt opens a socket in another namespace.
func OpenAt(ns *os.File) (c *Conn, err error) {
	err = linux.InNetns(ns, func() (err error) {
		c, err = Open()
		return err
	})
	return c, err
}

// Close closes the socket.
func (c *Conn) Close() { _ = unix.Close(c.fd) }

// Do sends one Message and waits for its acknowledgement.
func (c *Conn) Do(m Message) error { return c.ask([]Message{m}, nil) }

// DoAll sends messages in one go, which saves two system calls for each. The kernel carries out what follows one that it refuses:
// the caller takes back all of them.
func (c *Conn) DoAll(msgs []Message) error {
	if len(msgs) == 0 {
		return nil
	}
	return c.ask(msgs, nil)
}

// ask sends messages and gives each answer to each, which must not keep it. Refusals come by themselves, and only the last message
// is acknowledged.
func (c *Conn) ask(msgs []Message, each func(typ uint16, body []byte)) error {
	c.first, c.seq = c.seq+1, c.seq+uint32(len(msgs))
	size := 0
	for _, m := range msgs {
		size += m.size()
	}
	request := make([]byte, 0, size)
	for i, m := range msgs {
		flags := uint16(unix.NLM_F_REQUEST)
		if i == len(msgs)-1 {
			flags |= unix.NLM_F_ACK
		}
		request = m.append(request, flags, c.first+uint32(i))
	}
	last := msgs[len(msgs)-1]
	if err := unix.Sendto(c.fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("%s: %w", last.What, err)
	}
	if c.buf == nil {
		c.buf = make([]byte, replySize)
	}
	var refused error // the first
	for {
		n, _, err := unix.Recvfrom(c.fd, c.buf, unix.MSG_TRUNC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && n > len(c.buf) {
			err = errCut
		}
		if err != nil {
			return errors.Join(refused, fmt.Errorf("%s: %w", last.What, err))
		}
		seq, done, err := c.answers(c.buf[:n], each)
		if m := msgs[seq-c.first]; err != nil && refused == nil && (m.fine == 0 || !errors.Is(err, m.fine)) {
			refused = fmt.Errorf("%s: %w", m.What, err)
		}
		if done {
			return refused
		}
	}
}

var errCut = errors.New("the kernel's answer is cut short")

// answers reads one datagram, of messages or up to an error, which is of the message seq; done says that the last answer was in it.
func (c *Conn) answers(b []byte, each func(uint16, []byte)) (seq uint32, done bool, err error) {
	for len(b) >= unix.SizeofNlMsghdr {
		size := int(binary.NativeEndian.Uint32(b))
		if size < unix.SizeofNlMsghdr || size > len(b) {
			return c.seq, true, errCut
		}
		typ, flags := binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint16(b[6:])
		seq, body := binary.NativeEndian.Uint32(b[8:]), b[unix.SizeofNlMsghdr:size]
		switch {
		case seq-c.first > c.seq-c.first: // of an earlier request that ended in an error
		case typ == unix.NLMSG_ERROR:
			if err := ackError(flags, body); err != nil || seq == c.seq {
				return seq, seq == c.seq, err
			}
		case typ == unix.NLMSG_DONE:
			return seq, true, doneError(body)
		case flags&unix.NLM_F_DUMP_INTR != 0:
			return seq, true, errInterrupted
		case each != nil:
			each(typ, body)
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return c.seq, false, nil
}

// errInterrupted ends a list that changed while it was told: something may be missing in it.
var errInterrupted = errors.New("what is listed changed meanwhile")

// dump asks for a list until it is told in one piece. What is left of a broken one is skipped as an answer to an earlier
// request.
func (c *Conn) dump(m Message, begin func(), each func(typ uint16, body []byte)) error {
	if len(c.buf) < listSize {
		c.buf = make([]byte, listSize)
	}
	for try := 0; ; try++ {
		begin()
		if err := c.ask([]Message{m}, each); try == maxDumps || !errors.Is(err, errInterrupted) && !errors.Is(err, unix.EBUSY) {
			return err
		}
	}
}

const maxDumps = 100

// doneError reads the end of a list, which may say why it is no longer.
func doneError(body []byte) error {
	if len(body) < 4 {
		return nil
	}
	if errno := unix.Errno(-int32(binary.NativeEndian.Uint32(body))); errno != 0 {
		return errno
	}
	return nil
}

// ackError reads an acknowledgement: an errno, and since Linux 4.12 often a sentence.
func ackError(flags uint16, body []byte) error {
	if len(body) < 4 {
		return errors.New("the kernel's acknowledgement is cut short")
	}
	errno := unix.Errno(-int32(binary.NativeEndian.Uint32(body)))
	if errno == 0 {
		return nil
	}
	const head = 4 + unix.SizeofNlMsghdr
	if flags&unix.NLM_F_ACK_TLVS == 0 || len(body) < head {
		return errno
	}
	for typ, value := range attributes(body[head:]) {
		if typ == unix.NLMSGERR_ATTR_MSG {
			return fmt.Errorf("%w (%s)", errno, text(value))
		}
	}
	return errno
}

// attributes are those that are whole.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			size := int(binary.NativeEndian.Uint16(b))
			if size < unix.SizeofRtAttr || size > len(b) {
				return
			}
			if !yield(binary.NativeEndian.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[unix.SizeofRtAttr:size]) {
				return
			}
			b = b[min((size+3)&^3, len(b)):]
		}
	}
}

// Link is what we want to know of one.
type Link struct {
	Index int32
	Name  string
	Alias string
	Group uint32
	MTU   int
	Peer  int32 // index of a veth's other end, in that one's namespace
}

// text reads an attribute that ends in a zero byte.
func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

// number reads an attribute; one that is too short for it is none.
func number(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}

func parseLink(body []byte) (Link, bool) {
	if len(body) < unix.SizeofIfInfomsg {
		return Link{}, false
	}
	l := Link{Index: int32(binary.NativeEndian.Uint32(body[4:]))}
	for typ, value := range attributes(body[unix.SizeofIfInfomsg:]) {
		switch typ {
		case unix.IFLA_IFNAME:
			l.Name = text(value)
		case unix.IFLA_IFALIAS:
			l.Alias = text(value)
		case unix.IFLA_GROUP:
			l.Group = number(value)
		case unix.IFLA_MTU:
			l.MTU = int(number(value))
		case unix.IFLA_LINK:
			l.Peer = int32(number(value))
		}
	}
	return l, true
}

// Link answers LinkByName or LinkByIndex. Asking also makes the kernel (6.8 and later) finish what it does late when a
// link's other end came up: before that the link silently drops what is sent.
func (c *Conn) Link(m Message) (found Link, err error) {
	err = c.ask([]Message{m}, func(typ uint16, body []byte) {
		if l, ok := parseLink(body); ok && typ == unix.RTM_NEWLINK {
			found = l
		}
	})
	return found, err
}

// Links is every link of the namespace: for start-up, recovery and checks only.
func (c *Conn) Links() ([]Link, error) {
	var all []Link
	m := New(unix.RTM_GETLINK, unix.NLM_F_DUMP, []nl.NetlinkRequestData{nl.NewIfInfomsg(unix.AF_UNSPEC), noCounters()}, "list links")
	err := c.dump(m, func() { all = nil }, func(typ uint16, body []byte) {
		if l, ok := parseLink(body); ok && typ == unix.RTM_NEWLINK {
			all = append(all, l)
		}
	})
	return all, err
}

// Pool holds a few host sockets: the kernel does one change at a time, so more would only block more threads.
type Pool chan *Conn

const poolSize = 4

// NewPool opens them in the namespace of the calling thread.
func NewPool() (Pool, error) {
	p := make(Pool, poolSize)
	for range poolSize {
		c, err := Open()
		if err != nil {
			p.close(len(p))
			return nil, err
		}
		p <- c
	}
	return p, nil
}

// Use lends a socket.
func (p Pool) Use(fn func(*Conn) error) error {
	c := <-p
	defer func() { p <- c }()
	return fn(c)
}

// Close closes the sockets; those that are lent are waited for.
func (p Pool) Close() { p.close(cap(p)) }

func (p Pool) close(sockets int) {
	for range sockets {
		(<-p).Close()
	}
}
