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

func newLink(conn *fdconn.Conn) *link {
	return &link{conn: conn, resume: make(chan struct{}, 1)}
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
func (k *Keeper) watch(l *link) {
	for {
		err := l.conn.WaitReadable()
		k.events <- func() { k.drain(l) }
		if _, ok := <-l.resume; !ok || err != nil {
			return
		}
	}
}

// drain handles every message that is there.
func (k *Keeper) drain(l *link) {
	for !l.closed {
		b, fds, err := l.conn.TryRecv(maxMsg)
		if errors.Is(err, unix.EAGAIN) {
			l.resume <- struct{}{}
			return
		}
		if err != nil { // the end of the connection too: a daemon without one exits, or has
			k.log.Debug("the daemon's connection ended", "err", err)
			l.close()
			return
		}
		m, err := decode(b)
		if err == nil {
			err = k.handle(l, m, fds)
		} else {
			k.records.closeAll(fds)
		}
		if err != nil {
			k.log.Error("the daemon broke the protocol: closing its connection", "err", err)
			l.close()
		}
	}
}

// send queues a message; a nil link is a daemon that is not there and gets told when it lists.
func (k *Keeper) send(l *link, m *message, e *entry) {
	if l == nil || l.closed {
		return
	}
	l.queue = append(l.queue, outgoing{b: m.encode(nil), entry: e})
	k.flush(l)
}

func (k *Keeper) flush(l *link) {
	for len(l.queue) > 0 && !l.closed && !l.writing {
		out := l.queue[0]
		var fds []int
		if out.entry != nil {
			if k.records.entries[out.entry.key] != out.entry {
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
				k.events <- func() { l.writing = false; k.flush(l) }
			}()
		case errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
			l.queue = nil // what the daemon said before it died is still to be read
		default:
			k.log.Error("cannot talk to the daemon: closing its connection", "err", err)
			l.close()
		}
	}
	if len(l.queue) == 0 {
		l.queue = nil
	}
}

// handle is one message from the daemon. An error ends the connection; a request that cannot be done is answered instead.
func (k *Keeper) handle(l *link, m *message, fds []int) error {
	switch m.kind {
	case kindRegister:
		k.answer(l, m, k.records.register(m.key(), m.meta, fds))
		return nil
	case kindAdd:
		k.answer(l, m, k.records.add(m.key(), fds))
		return nil
	}
	if len(fds) > 0 {
		k.records.closeAll(fds)
		return errors.New("descriptors on a message that has none")
	}
	switch m.kind {
	case kindHello:
		return k.hello(l, m)
	case kindReady:
		k.ready()
	case kindBorn:
		exit, err := k.records.born(m.key(), m.pid, k.now())
		if err != nil {
			k.log.Error("a birth matches no record", "key", m.key(), "pid", m.pid, "err", err)
		}
		k.tell(exit)
	case kindAmend:
		k.answer(l, m, k.records.amend(m.key(), m.meta))
	case kindForget:
		k.records.forget(m.keys)
		k.answer(l, m, nil)
	case kindCheck:
		k.answer(l, m, k.records.check(m.key(), m.pid))
	case kindList:
		for _, e := range k.records.list() {
			r := message{kind: kindRecord, seq: m.seq, keys: []string{e.key}, meta: e.meta, pid: e.pid}
			r.setExit(e.exit)
			k.send(l, &r, e)
		}
		k.answer(l, m, nil)
	case kindShutdown:
		k.answer(l, m, k.shutdown())
	default:
		k.answer(l, m, errUnknownRequest)
	}
	return nil
}

func (k *Keeper) hello(l *link, m *message) error {
	version := min(m.version, protocolVersion)
	if version < protocolOldest || version < m.oldest || l.version != 0 {
		return errors.New("no version of the protocol in common")
	}
	l.version = version
	k.send(l, &message{kind: kindWelcome, version: version}, nil)
	for _, e := range k.records.list() {
		k.tell(e.exit)
	}
	return nil
}

// answer ends a request.
func (k *Keeper) answer(l *link, m *message, err error) {
	done := message{kind: kindDone, seq: m.seq}
	if err != nil {
		done.class, done.text = classOf(err), err.Error()
	}
	k.send(l, &done, nil)
}

// tell sends an exit to the daemon, if one has said hello.
func (k *Keeper) tell(e *Exit) {
	if e == nil || k.link == nil || k.link.version == 0 {
		return
	}
	m := message{kind: kindExited, keys: []string{e.Key}}
	m.setExit(e)
	k.send(k.link, &m, nil)
}
