package keeper

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/fdconn"
)

// The state that one program hands to the next: messages of the protocol, each after its length (a varint), in a sealed
// memory file. One kindKeeper first, then kindRecord, kindUnmatched and kindQueued in their order.
const (
	stateVersion = 1
	stateOldest  = 1
	stateMost    = 256 << 20
	checkLimit   = 10 * time.Second
	checkWord    = "hull-keeper can read this state\n"
)

// Words among the keys of kindKeeper.
const (
	flagAgain   = "again"
	flagGreeted = "greeted" // followed by the version
)

// upgrade replaces this program by what is now at its path. It returns only with an error, and then nothing has changed.
func (k *Keeper) upgrade() error {
	if k.callers.first != nil {
		return fmt.Errorf("the first start is not over: %w", errdefs.ErrFailedPrecondition)
	}
	state := k.encodeState()
	mem, err := sealed(state)
	if err != nil {
		return err
	}
	defer mem.Close()
	if err := checkProgram(k.exe, mem); err != nil {
		return err
	}
	// Until the new program has its handlers, a signal would kill it: all of them are dropped for that moment. One that is
	// here already goes first.
	signal.Ignore(orders...)
	if len(k.orders) > 0 {
		signal.Notify(k.orders, orders...)
		return fmt.Errorf("another signal has arrived: %w", errdefs.ErrAborted)
	}
	err = k.become(mem)
	signal.Notify(k.orders, orders...)
	return errors.Join(err, k.inherit(mem, false))
}

// become executes the new program. It returns only when that fails.
func (k *Keeper) become(mem *os.File) error {
	if err := k.inherit(mem, true); err != nil {
		return err
	}
	args := []string{k.exe, "--state", k.state, "--log", k.file, "--"}
	env := append(withoutOurs(os.Environ()), envState+"="+strconv.Itoa(int(mem.Fd())))
	return fmt.Errorf("execute %s: %w", k.exe, syscall.Exec(k.exe, append(args, k.daemon.args...), env))
}

// inherit makes everything that the next program takes over survive the execve, or not.
func (k *Keeper) inherit(mem *os.File, yes bool) error {
	fds := []int{int(mem.Fd()), int(k.lock.Fd())}
	for _, e := range k.records.entries {
		fds = append(fds, e.fds...)
	}
	_, err := k.socket.Inheritable(yes)
	if k.link != nil && !k.link.closed {
		_, lerr := k.link.conn.Inheritable(yes)
		err = errors.Join(err, lerr)
	}
	for _, fd := range fds {
		err = errors.Join(err, cloexec(fd, !yes))
	}
	return err
}

func cloexec(fd int, yes bool) error {
	flags := 0
	if yes {
		flags = unix.FD_CLOEXEC
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, flags); err != nil {
		return fmt.Errorf("descriptor %d: %w", fd, err)
	}
	return nil
}

func sealed(b []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("hull-keeper", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL { // before Linux 6.3
		fd, err = unix.MemfdCreate("hull-keeper", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, fmt.Errorf("make a memory file: %w", err)
	}
	f := os.NewFile(uintptr(fd), "hull-keeper state")
	_, err = f.WriteAt(b, 0)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("write the state: %w", err)
	}
	return f, nil
}

// checkProgram has the new program read the state and say that it can, in a process of its own: an execve cannot be taken
// back, and a keeper that cannot read its state is the end of every container.
func checkProgram(path string, mem *os.File) error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	defer r.Close()
	pid, err := syscall.ForkExec(path, []string{path, "--check-state"}, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, w.Fd(), 2, mem.Fd()},
	})
	w.Close()
	if err != nil {
		return fmt.Errorf("start %s: %w", path, err)
	}
	// Its exit is reaped by the loop, like any child's that is in no record.
	word, err := readWord(r)
	if err != nil || word != checkWord {
		if kerr := unix.Kill(pid, unix.SIGKILL); kerr != nil && kerr != unix.ESRCH {
			err = errors.Join(err, kerr)
		}
		return errors.Join(fmt.Errorf("%s cannot take over: it said %q", path, word), err)
	}
	return nil
}

func readWord(r *os.File) (string, error) {
	if err := r.SetReadDeadline(time.Now().Add(checkLimit)); err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(r, 4096))
	return string(b), err
}

// checkState is the other side of checkProgram.
func checkState(mem *os.File, say io.Writer) error {
	if _, err := readState(mem); err != nil {
		return err
	}
	_, err := io.WriteString(say, checkWord)
	return err
}

func (k *Keeper) encodeState() []byte {
	d := &k.daemon
	head := message{
		kind: kindKeeper, version: stateVersion, oldest: stateOldest, pid: d.pid, at: d.started.UnixNano(),
		text: d.state, class: d.last, args: d.args, env: d.env, count: d.failures, delay: uint64(max(0, d.delay)),
	}
	// Connections have their numbers already: marking them does nothing until upgrade does it for good.
	sock, _ := k.socket.Inheritable(false)
	head.fds = []int{int(k.lock.Fd()), sock}
	if d.again {
		head.keys = append(head.keys, flagAgain)
	}
	if k.link != nil && !k.link.closed {
		conn, _ := k.link.conn.Inheritable(false)
		head.fds = append(head.fds, conn)
		head.keys = append(head.keys, flagGreeted+strconv.FormatUint(k.link.version, 10))
	}
	b := frame(nil, &head)
	for _, e := range k.records.list() {
		m := message{kind: kindRecord, keys: []string{e.key}, pid: e.pid, fds: e.fds}
		m.setExit(e.exit)
		b = frame(b, &m)
	}
	for _, e := range k.records.kept {
		m := message{kind: kindUnmatched}
		m.setExit(&e)
		b = frame(b, &m)
	}
	if k.link != nil {
		for _, out := range k.link.queue {
			m := message{kind: kindQueued, raw: out.b}
			if out.entry != nil {
				m.keys = []string{out.entry.key}
			}
			b = frame(b, &m)
		}
	}
	return b
}

func frame(b []byte, m *message) []byte {
	body := m.encode(nil)
	return append(binary.AppendUvarint(b, uint64(len(body))), body...)
}

func readState(mem *os.File) ([]*message, error) {
	b, err := io.ReadAll(io.NewSectionReader(mem, 0, stateMost))
	if err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	ms, err := decodeState(b)
	if err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	return ms, nil
}

func decodeState(b []byte) ([]*message, error) {
	var ms []*message
	for len(b) > 0 {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, errMalformed
		}
		m, err := decode(b[n : n+int(size)])
		if err != nil {
			return nil, err
		}
		switch {
		case (len(ms) == 0) != (m.kind == kindKeeper),
			m.kind == kindKeeper && (len(m.fds) < 2 || len(m.fds) > 3),
			m.kind == kindRecord && m.key() == "":
			return nil, errMalformed
		}
		ms = append(ms, m)
		b = b[n+int(size):]
	}
	if len(ms) == 0 {
		return nil, errMalformed
	}
	if v := ms[0]; v.version < stateOldest || v.oldest > stateVersion {
		return nil, fmt.Errorf("version %d: %w", v.version, errdefs.ErrFailedPrecondition)
	}
	return ms, nil
}

// resume takes over from the program before, if there was one.
func (k *Keeper) resume() (bool, error) {
	number := os.Getenv(envState)
	if number == "" {
		return false, nil
	}
	if err := os.Unsetenv(envState); err != nil {
		return false, fmt.Errorf("take over: %w", err)
	}
	fd, err := strconv.Atoi(number)
	if err != nil {
		return false, fmt.Errorf("take over: %s=%q: %w", envState, number, err)
	}
	mem := os.NewFile(uintptr(fd), "hull-keeper state")
	defer mem.Close()
	ms, err := readState(mem)
	if err != nil {
		return false, err
	}
	if err := k.takeOver(ms[0]); err != nil {
		return false, err
	}
	for _, m := range ms[1:] {
		if err := k.restore(m); err != nil {
			return false, err
		}
	}
	k.log.Info("took over from the program before", "records", len(k.records.entries), "daemon", k.daemon.pid)
	return true, nil
}

func (k *Keeper) takeOver(m *message) error {
	k.daemon = daemon{
		args: m.args, env: m.env, state: m.text, pid: m.pid, started: time.Unix(0, m.at), last: m.class,
		failures: m.count, delay: time.Duration(m.delay),
		again: slices.Contains(m.keys, flagAgain),
	}
	k.lock = os.NewFile(uintptr(m.fds[0]), PIDName)
	if err := cloexec(m.fds[0], true); err != nil {
		return fmt.Errorf("take over the lock: %w", err)
	}
	var err error
	if k.socket, err = fdconn.NewListener(os.NewFile(uintptr(m.fds[1]), SocketName)); err != nil {
		return fmt.Errorf("take over %s: %w", SocketName, err)
	}
	if len(m.fds) < 3 {
		return nil
	}
	conn, err := fdconn.New(os.NewFile(uintptr(m.fds[2]), "daemon"))
	if err != nil {
		return fmt.Errorf("take over the daemon's connection: %w", err)
	}
	k.link = newLink(k, conn)
	for _, key := range m.keys {
		if v, ok := strings.CutPrefix(key, flagGreeted); ok {
			if k.link.version, err = strconv.ParseUint(v, 10, 64); err != nil {
				return fmt.Errorf("take over the daemon's connection: %w", err)
			}
		}
	}
	return nil
}

func (k *Keeper) restore(m *message) error {
	t := k.records
	switch m.kind {
	case kindRecord:
		for _, fd := range m.fds {
			if err := cloexec(fd, true); err != nil {
				return fmt.Errorf("take over %s: %w", m.key(), err)
			}
		}
		t.n++
		e := &entry{key: m.key(), fds: m.fds, pid: m.pid, exit: m.exit(), n: t.n}
		t.entries[e.key] = e
		if e.lives() {
			t.byPID[e.pid] = e
		}
	case kindUnmatched:
		t.kept = append(t.kept, *m.exit())
	case kindQueued:
		if k.link != nil {
			k.link.queue = append(k.link.queue, outgoing{b: m.raw, entry: t.entries[m.key()]})
		}
	}
	return nil
}
