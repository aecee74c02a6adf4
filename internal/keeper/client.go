package keeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/fdconn"
	"github.com/hull-pods/hull/internal/linux"
)

// Client is the daemon's end of the connection. Its methods may be called by any number of goroutines; messages leave in
// the order of the calls.
type Client struct {
	conn    *fdconn.Conn
	log     *slog.Logger
	version uint64
	exits   chan Exit
	done    chan struct{}

	mu      sync.Mutex
	seq     uint64
	calls   map[uint64]*call
	backlog []Exit        // exits that nobody has received from the channel yet
	more    chan struct{} // says that the backlog grew
}

// call is a request that waits for its Done.
type call struct {
	what    string
	seq     uint64
	records []Record
	err     error
	done    chan struct{}
}

// Connect greets the keeper on the inherited descriptor, which it takes over, and starts to receive.
func Connect(f *os.File, log *slog.Logger) (*Client, error) {
	conn, err := fdconn.New(f)
	if err != nil {
		return nil, fmt.Errorf("connect to the keeper: %w", err)
	}
	version, err := greet(conn)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to the keeper: %w", err)
	}
	c := &Client{
		conn: conn, log: log, version: version,
		exits: make(chan Exit), done: make(chan struct{}),
		calls: map[uint64]*call{}, more: make(chan struct{}, 1),
	}
	go c.receive()
	go c.deliver()
	return c, nil
}

func greet(conn *fdconn.Conn) (uint64, error) {
	hello := message{kind: kindHello, version: protocolVersion, oldest: protocolOldest}
	if err := conn.Send(hello.encode(nil)); err != nil {
		return 0, err
	}
	b, _, err := conn.Recv(maxMsg)
	if err != nil {
		return 0, err
	}
	m, err := decode(b)
	if err != nil {
		return 0, err
	}
	if m.kind != kindWelcome || m.version < protocolOldest || m.version > protocolVersion {
		return 0, fmt.Errorf("the keeper speaks version %d of the protocol, this program %d to %d: %w",
			m.version, protocolOldest, protocolVersion, errdefs.ErrFailedPrecondition)
	}
	return m.version, nil
}

// Registration is a record on its way to the keeper.
type Registration struct {
	c     *Client
	key   string
	asked *call
}

// Register makes a record, and gives the keeper duplicates of the descriptors. It returns when that is on its way; what the
// keeper says to it is for [Registration.Wait].
func (c *Client) Register(key string, fds ...*os.File) (*Registration, error) {
	if key == "" || len(key) > MaxKey || len(fds) > MaxFDs {
		return nil, fmt.Errorf("register %q with the keeper: %d descriptors: %w", key, len(fds), errdefs.ErrOutOfRange)
	}
	asked, err := c.ask("register "+key, message{kind: kindRegister, keys: []string{key}}, fds...)
	return &Registration{c, key, asked}, err
}

// Wait returns when the keeper has the record.
func (r *Registration) Wait(ctx context.Context) error {
	_, err := r.c.answer(ctx, r.asked)
	return err
}

// Born names the record's process, after the record is there. It must be called after the clone and before the child gets its
// program, and returns when the message is sent: the keeper reads messages in their order, so nothing has to be waited for.
func (r *Registration) Born(ctx context.Context, pid int) error {
	if err := r.Wait(ctx); err != nil {
		return err
	}
	return r.c.born(r.key, pid)
}

func (c *Client) born(key string, pid int) error {
	m := message{kind: kindBorn, keys: []string{key}, pid: pid}
	if err := c.conn.Send(m.encode(nil)); err != nil {
		return fmt.Errorf("tell the keeper of process %d of %s: %w", pid, key, c.gone(err))
	}
	return nil
}

// Add gives the keeper duplicates of more descriptors of a record, after those that it has.
func (c *Client) Add(ctx context.Context, key string, fds ...*os.File) error {
	if len(fds) > MaxFDs {
		return fmt.Errorf("add to %s: %d descriptors: %w", key, len(fds), errdefs.ErrOutOfRange)
	}
	_, err := c.call(ctx, "add to "+key, message{kind: kindAdd, keys: []string{key}}, fds...)
	return err
}

// Forget drops records with their exits and descriptors. Keys that the keeper does not know are fine.
func (c *Client) Forget(ctx context.Context, keys ...string) error {
	for len(keys) > 0 {
		n, size := 0, 0
		for n < len(keys) && (n == 0 || size+len(keys[n]) <= maxKeys) {
			size += len(keys[n]) + 4
			n++
		}
		if _, err := c.call(ctx, "forget", message{kind: kindForget, keys: keys[:n]}); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// Records returns everything that the keeper holds, in the order of registration. The descriptors are the caller's.
func (c *Client) Records(ctx context.Context) ([]Record, error) {
	return c.call(ctx, "list", message{kind: kindList})
}

// Exits delivers every exit once for each connection: those of records that were not forgotten first, then the others as
// they happen. It is closed when the keeper is gone. However slowly it is read, nothing else waits for it.
func (c *Client) Exits() <-chan Exit { return c.exits }

// Done is closed when the keeper is gone. The daemon can only exit then.
func (c *Client) Done() <-chan struct{} { return c.done }

// Ready tells the keeper that the daemon serves: who asked for its start is answered.
func (c *Client) Ready() error {
	m := message{kind: kindReady}
	if err := c.conn.Send(m.encode(nil)); err != nil {
		return fmt.Errorf("tell the keeper that the daemon is ready: %w", c.gone(err))
	}
	return nil
}

// OpenProcess returns a pidfd that certainly is of the record's process: had its number gone to another one, the keeper
// would have reaped it before. It is not found when the process has ended.
func (c *Client) OpenProcess(ctx context.Context, key string, pid int) (*os.File, error) {
	f, err := linux.PidfdOpen(pid)
	if errors.Is(err, unix.ESRCH) {
		err = fmt.Errorf("%w: %w", err, errdefs.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("open process %d of %s: %w", pid, key, err)
	}
	if _, err := c.call(ctx, "check "+key, message{kind: kindCheck, keys: []string{key}, pid: pid}); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

func (c *Client) call(ctx context.Context, what string, m message, fds ...*os.File) ([]Record, error) {
	asked, err := c.ask(what, m, fds...)
	if err != nil {
		return nil, err
	}
	return c.answer(ctx, asked)
}

// ask sends a message that is answered.
func (c *Client) ask(what string, m message, fds ...*os.File) (*call, error) {
	asked := &call{what: what, done: make(chan struct{})}
	c.mu.Lock()
	c.seq++
	m.seq, asked.seq = c.seq, c.seq
	c.calls[m.seq] = asked
	c.mu.Unlock()
	if err := c.conn.Send(m.encode(nil), fds...); err != nil {
		c.drop(asked)
		return nil, fmt.Errorf("ask the keeper to %s: %w", what, c.gone(err))
	}
	return asked, nil
}

// answer waits for the answer.
func (c *Client) answer(ctx context.Context, asked *call) ([]Record, error) {
	select {
	case <-asked.done:
	case <-c.done:
		return nil, fmt.Errorf("ask the keeper to %s: it is gone: %w", asked.what, errdefs.ErrUnavailable)
	case <-ctx.Done():
		c.drop(asked)
		return nil, fmt.Errorf("ask the keeper to %s: %w", asked.what, context.Cause(ctx))
	}
	if asked.err != nil {
		return nil, fmt.Errorf("ask the keeper to %s: %w", asked.what, asked.err)
	}
	return asked.records, nil
}

// drop forgets a call that nobody waits for any more, answered or not, with the descriptors that came for it.
func (c *Client) drop(asked *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.calls, asked.seq)
	closeRecords(asked.records)
	asked.records = nil
}

func (c *Client) gone(err error) error {
	if errors.Is(err, fdconn.ErrTooLarge) {
		return err
	}
	return errors.Join(errdefs.ErrUnavailable, err)
}

func (c *Client) receive() {
	defer close(c.done)
	for {
		b, fds, err := c.conn.Recv(maxMsg)
		if err == nil {
			err = c.handle(b, fds)
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed) {
				c.log.Error("the keeper's connection broke", "err", err)
			}
			c.conn.Close()
			return
		}
	}
}

func (c *Client) handle(b []byte, fds []*os.File) error {
	m, err := decode(b)
	if err != nil {
		closeFiles(fds)
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.calls[m.seq]
	switch {
	case m.kind == kindExited && m.ended:
		c.backlog = append(c.backlog, *m.exit())
		select {
		case c.more <- struct{}{}:
		default:
		}
	case m.kind == kindRecord && w != nil:
		w.records = append(w.records, Record{Key: m.key(), FDs: fds, PID: m.pid, Exit: m.exit()})
		fds = nil
	case m.kind == kindDone && w != nil:
		if m.class != "" {
			w.err = fmt.Errorf("%s: %w", m.text, errorOf(m.class))
		}
		delete(c.calls, m.seq)
		close(w.done)
	case m.kind == kindDone && m.class != "":
		c.log.Error("the keeper refused a message", "key", m.key(), "err", m.text)
	}
	closeFiles(fds) // of a call that nobody waits for
	return nil
}

// deliver moves exits from the backlog to the channel, so that receiving never waits for the channel's reader.
func (c *Client) deliver() {
	defer close(c.exits)
	for {
		c.mu.Lock()
		batch := c.backlog
		c.backlog = nil
		c.mu.Unlock()
		for _, e := range batch {
			select {
			case c.exits <- e:
			case <-c.done:
				return
			}
		}
		if len(batch) > 0 {
			continue
		}
		select {
		case <-c.more:
		case <-c.done:
			return
		}
	}
}

func closeFiles(fds []*os.File) {
	for _, f := range fds {
		f.Close()
	}
}

func closeRecords(rs []Record) {
	for _, r := range rs {
		closeFiles(r.FDs)
	}
}
