package keeper

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/fdconn"
)

// link is the keeper's end of the connection to one daemon process. Goroutines only wait for readiness; every message is
// received, handled and sent by the keeper's loop, so that between two steps of the loop no message is in the program's
// hands: what an upgrade does not carry over is still in the socket.
type link struct {
	k       *Keeper
	conn    *fdconn.Conn
	version uint64 // 0 until Hello
	queue   []outgoing
	resume  chan struct{} // lets the reading goroutine wait again
	writing bool          // a goroutine waits for room
	closed  bool
}

// outgoing is a message that is not sent yet. A record's descriptors are looked up when it is sent: it may be forgotten
// until then.
type outgoing struct {
	b     []byte
	entry *entry
}

func newLink(k *Keeper, conn *fdconn.Conn) *link {
	return &link{k: k, conn: conn, resume: make(chan struct{}, 1)}
}

func (l *link) close() {
	if !l.closed {
		l.closed = true
		l.queue = nil
		close(l.resume)
		l.conn.Close()
	}
}

// watch posts drain whenever the link is readable.
func (l *link) watch() {
	for {
		err := l.conn.WaitReadable()
		l.k.events <- l.drain
		if _, ok := <-l.resume; !ok || err != nil {
			return
		}
	}
}

// drain handles every message that is there.
func (l *link) drain() {
	for !l.closed {
		b, fds, err := l.conn.TryRecv(maxMsg)
		if errors.Is(err, unix.EAGAIN) {
			l.resume <- struct{}{}
			return
		}
		if err != nil { // the end of the connection too: a daemon without one exits, or has
			l.k.log.Debug("the daemon's connection ended", "err", err)
			l.close()
			return
		}
		m, err := decode(b)
		if err == nil {
			err = l.handle(m, fds)
		} else {
			l.k.records.closeAll(fds)
		}
		if err != nil {
			l.k.log.Error("the daemon broke the protocol: closing its connection", "err", err)
			l.close()
		}
	}
}

// drainDead reads what a dead daemon has sent. Nobody waits on the link any more when this returns.
func (l *link) drainDead() {
	for !l.closed {
		b, fds, err := l.conn.TryRecv(maxMsg)
		if err != nil {
			return
		}
		m, err := decode(b)
		if err != nil {
			l.k.records.closeAll(fds)
			return
		}
		if err := l.handle(m, fds); err != nil {
			return
		}
	}
}

// send queues a message.
func (l *link) send(m *message, e *entry) {
	if l.closed {
		return
	}
	l.queue = append(l.queue, outgoing{b: m.encode(nil), entry: e})
	l.flush()
}

func (l *link) flush() {
	for len(l.queue) > 0 && !l.closed && !l.writing {
		out := l.queue[0]
		var fds []int
		if out.entry != nil {
			if l.k.records.entries[out.entry.key] != out.entry {
				l.queue = l.queue[1:]
				continue
			}
			fds = out.entry.fds
		}
		err := l.conn.TrySend(out.b, fds)
		switch {
		case err == nil:
			l.queue = l.queue[1:]
		case errors.Is(err, unix.EAGAIN):
			l.writing = true
			go func() {
				_ = l.conn.WaitWritable() // an error shows when the next send is tried
				l.k.events <- func() { l.writing = false; l.flush() }
			}()
		case errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
			l.queue = nil // what the daemon said before it died is still to be read
		default:
			l.k.log.Error("cannot talk to the daemon: closing its connection", "err", err)
			l.close()
		}
	}
	if len(l.queue) == 0 {
		l.queue = nil
	}
}

// handle is one message from the daemon. An error ends the connection; a request that cannot be done is answered instead.
func (l *link) handle(m *message, fds []int) error {
	k := l.k
	switch m.kind {
	case kindRegister:
		l.answer(m, k.records.register(m.key(), fds))
		return nil
	case kindAdd:
		l.answer(m, k.records.add(m.key(), fds))
		return nil
	}
	if len(fds) > 0 {
		k.records.closeAll(fds)
		return errors.New("descriptors on a message that has none")
	}
	switch m.kind {
	case kindHello:
		return l.hello(m)
	case kindReady:
		k.ready()
	case kindBorn:
		exit, err := k.records.born(m.key(), m.pid, k.now())
		if err != nil {
			k.log.Error("a birth matches no record", "key", m.key(), "pid", m.pid, "err", err)
		}
		k.tell(exit)
	case kindForget:
		k.records.forget(m.keys)
		l.answer(m, nil)
	case kindCheck:
		l.answer(m, k.records.check(m.key(), m.pid))
	case kindList:
		for _, e := range k.records.list() {
			r := message{kind: kindRecord, seq: m.seq, keys: []string{e.key}, pid: e.pid}
			r.setExit(e.exit)
			l.send(&r, e)
		}
		l.answer(m, nil)
	default:
		l.answer(m, errUnknownRequest)
	}
	return nil
}

func (l *link) hello(m *message) error {
	version := min(m.version, protocolVersion)
	if version < protocolOldest || version < m.oldest || l.version != 0 {
		return errors.New("no version of the protocol in common")
	}
	l.version = version
	l.send(&message{kind: kindWelcome, version: version}, nil)
	for _, e := range l.k.records.list() {
		l.k.tell(e.exit)
	}
	return nil
}

// answer ends a request.
func (l *link) answer(m *message, err error) {
	done := message{kind: kindDone, seq: m.seq}
	if err != nil {
		done.class, done.text = classOf(err), err.Error()
	}
	l.send(&done, nil)
}

// tell sends an exit to the daemon, if one has said hello.
func (k *Keeper) tell(e *Exit) {
	if e == nil || k.link == nil || k.link.version == 0 {
		return
	}
	m := message{kind: kindExited, keys: []string{e.Key}}
	m.setExit(e)
	k.link.send(&m, nil)
}
