package birth

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// sound is a program that writes if it is performed at all, and takes one descriptor.
func sound(t *testing.T, arch linux.Arch) []byte {
	t.Helper()
	p := New("sound")
	l := p.Label()
	n := write(p, p.FD("out"), "performed").Allow(unix.EPERM)
	p.Call("close", linux.SysClose, n).OnError(l, unix.EBADF)
	p.Mark(l)
	leave(p, 0)
	b, err := p.Encode(arch)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRefuses has everything that is checked be wrong, one at a time. No call is made then.
func TestRefuses(t *testing.T) {
	le := binary.LittleEndian
	at := func(b []byte, step int) []byte { return b[int(le.Uint32(b[8:]))+stepSize*step:] }
	rules := func(b []byte) []byte { return at(b, int(le.Uint32(b[12:]))) }
	set := func(field func(b []byte) []byte, v uint32) func(b []byte) []byte {
		return func(b []byte) []byte { le.PutUint32(field(b), v); return b }
	}
	add := func(field func(b []byte) []byte, n int) func(b []byte) []byte {
		return func(b []byte) []byte { le.PutUint32(field(b), le.Uint32(field(b))+uint32(n)); return b }
	}
	header := func(offset int) func(b []byte) []byte { return func(b []byte) []byte { return b[offset:] } }
	into := func(b []byte) []byte { return at(b, 1)[8:] }
	target := func(i int) func(b []byte) []byte { return func(b []byte) []byte { return rules(b)[ruleSize*i+4:] } }

	for name, spoil := range map[string]func(b []byte) []byte{
		"no magic":                  set(header(0), 0),
		"another architecture":      func(b []byte) []byte { b[2] ^= 'x' ^ 'a'; return b },
		"another version":           func(b []byte) []byte { b[3]++; return b },
		"size too small":            add(header(4), -8),
		"size zero":                 set(header(4), 0),
		"size above the limit":      set(header(4), controlOffset+1),
		"size far above the limit":  set(header(4), 1<<32-1),
		"steps in the header":       set(header(8), headerSize-8),
		"steps not aligned":         add(header(8), 4),
		"steps further on":          add(header(8), 8),
		"steps far away":            set(header(8), 1<<32-8),
		"one step more":             add(header(12), 1),
		"one step less":             add(header(12), -1),
		"very many steps":           set(header(12), 1<<32-1),
		"steps whose size wraps":    add(header(12), 1<<26),
		"one rule more":             add(header(16), 1),
		"rules whose size wraps":    add(header(16), 1<<29),
		"more descriptors":          add(header(20), 8),
		"fewer descriptors":         set(header(20), 0),
		"too many descriptors":      set(header(20), controlMax+8),
		"a seventh argument":        func(b []byte) []byte { at(b, 1)[4] |= 1 << 6; return b },
		"an eighth argument":        func(b []byte) []byte { at(b, 2)[4] |= 1 << 7; return b },
		"loads beyond the region":   func(b []byte) []byte { s := at(b, 1); s[4] = 1; le.PutUint64(s[16:], regionSize-3); return b },
		"loads from below":          func(b []byte) []byte { s := at(b, 1); s[4] = 1; le.PutUint64(s[16:], 1<<64-4); return b },
		"loads the sixth, far away": func(b []byte) []byte { s := at(b, 2); s[4] = 32; le.PutUint64(s[56:], 1<<32); return b },
		"result in the header":      set(into, headerSize-1),
		"result nowhere":            set(into, 0),
		"result behind the data":    func(b []byte) []byte { le.PutUint32(into(b), le.Uint32(b[8:])-3); return b },
		"result in the steps":       func(b []byte) []byte { le.PutUint32(into(b), le.Uint32(b[8:])); return b },
		"result far away":           set(into, 1<<32-1),
		"a rule too far":            func(b []byte) []byte { at(b, 1)[5]++; return b },
		"rules far away":            func(b []byte) []byte { le.PutUint16(at(b, 1)[6:], 1<<16-1); return b },
		"goes to itself":            set(target(1), 1),
		"goes back":                 set(target(1), 0),
		"goes too far":              set(target(1), 4),
		"goes far away":             set(target(0), 1<<32-1),
		"too long":                  func(b []byte) []byte { return append(b, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, arch linux.Arch) {
				b := spoil(sound(t, arch))
				_, err := decode(b)
				if known := le.Uint32(b[20:]); known == uint32(controlSize(1)) && b[2] == letters[arch] && err == nil {
					t.Error("decode accepts it")
				}
				h := start(t, arch, nil)
				r, w := pipe(t)
				if err := h.conn.Send(b, w); err != nil {
					t.Fatal(err)
				}
				h.fails(refused, unix.EINVAL)
				if got := all(t, r, w); got != "" {
					t.Errorf("made a call: wrote %q", got)
				}
			})
		})
	}
}

// TestSoundIsSound is what TestRefuses starts from.
func TestSoundIsSound(t *testing.T) {
	onEach(t, func(t *testing.T, arch linux.Arch) {
		b := sound(t, arch)
		if _, err := decode(b); err != nil {
			t.Fatal(err)
		}
		h := start(t, arch, nil)
		r, w := pipe(t)
		if err := h.conn.Send(b, w); err != nil {
			t.Fatal(err)
		}
		h.ends(0)
		if got := all(t, r, w); got != "performed" {
			t.Errorf("wrote %q", got)
		}
	})
}

// TestIncomplete sends programs that do not arrive whole.
func TestIncomplete(t *testing.T) {
	big := New("big")
	big.Call("close", linux.SysClose, big.FD("out"), Bytes(make([]byte, 3*messageBytes)))
	leave(big, 0)
	for name, c := range map[string]struct {
		send    func(c Conn, b []byte, out *os.File) error
		refused bool // else it waits for more, until the end
	}{
		"nothing":               {func(c Conn, b []byte, out *os.File) error { return nil }, false},
		"half":                  {func(c Conn, b []byte, out *os.File) error { return c.Send(b[:len(b)/2], out) }, false},
		"all but one byte":      {func(c Conn, b []byte, out *os.File) error { return c.Send(b[:len(b)-1], out) }, false},
		"half a header":         {func(c Conn, b []byte, out *os.File) error { return c.Send(b[:12]) }, true},
		"no descriptor":         {func(c Conn, b []byte, out *os.File) error { return c.Send(b) }, true},
		"a descriptor too many": {func(c Conn, b []byte, out *os.File) error { return c.Send(b, out, out, out) }, true},
		"more than there is room for": {func(c Conn, b []byte, out *os.File) error {
			// Of an image of the largest size nearly all comes, then too much.
			binary.LittleEndian.PutUint32(b[4:], controlOffset)
			if err := c.Send(b, out); err != nil {
				return err
			}
			chunk := make([]byte, messageBytes)
			for sent := len(b); sent < controlOffset; sent += len(chunk) {
				if err := c.Send(chunk); err != nil {
					return err
				}
			}
			return nil
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, arch linux.Arch) {
				h := start(t, arch, nil)
				r, w := pipe(t)
				if err := c.send(h.conn, sound(t, arch), w); err != nil {
					t.Fatal(err)
				}
				if c.refused {
					h.fails(refused, unix.EINVAL)
				} else {
					if err := h.conn.CloseWrite(); err != nil {
						t.Fatal(err)
					}
					h.ends(2)
				}
				if got := all(t, r, w); got != "" {
					t.Errorf("made a call: wrote %q", got)
				}
			})
		})
	}
	t.Run("part of a big one", func(t *testing.T) {
		onEach(t, func(t *testing.T, arch linux.Arch) {
			b, err := big.Encode(arch)
			if err != nil {
				t.Fatal(err)
			}
			h := start(t, arch, nil)
			r, w := pipe(t)
			defer r.Close()
			for _, part := range [][]byte{b[:messageBytes], b[messageBytes : 2*messageBytes]} {
				fds := []*os.File{w}
				if &part[0] != &b[0] {
					fds = nil
				}
				if err := h.conn.Send(part, fds...); err != nil {
					t.Fatal(err)
				}
			}
			if err := h.conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			h.ends(2)
		})
	})
}

// outcome is what a program without a single call comes to.
type outcome struct {
	refused, rests bool
	step           uint32
	errno          unix.Errno
}

// model is the interpreter once more, in Go, for images whose steps are not calls.
func model(b []byte, arch linux.Arch) outcome {
	m, err := decode(b)
	if err != nil || m.arch != arch || m.control != 0 {
		return outcome{refused: true}
	}
	le := binary.LittleEndian
	memory := make([]byte, regionSize)
	copy(memory, b)
	for i := 0; i < len(m.steps); {
		s := m.steps[i]
		r := int64(s.args[0])
		if s.loads&1 != 0 {
			r = int64(int32(le.Uint32(memory[s.args[0]:])))
		}
		le.PutUint32(memory[s.into:], uint32(r))
		rules := m.rules[s.first : int(s.first)+int(s.rules)]
		if j := slices.IndexFunc(rules, func(w wireRule) bool { return w.value == int32(r) }); j >= 0 {
			i = int(rules[j].to)
			continue
		}
		if r < 0 && r >= -4095 {
			return outcome{step: s.number, errno: unix.Errno(-r)}
		}
		i++
	}
	return outcome{rests: true}
}

// harmless makes every step of an image that is otherwise in order one without a call.
func harmless(b []byte) {
	if len(b) < headerSize {
		return
	}
	at, steps := int(binary.LittleEndian.Uint32(b[8:])), int(binary.LittleEndian.Uint32(b[12:]))
	for i := range min(steps, len(b)/stepSize) {
		if s := at + stepSize*i; s+4 <= len(b) {
			binary.LittleEndian.PutUint32(b[s:], noCall)
		}
	}
}

// random is an image that is in order, with values that make its steps and rules meet.
func random(r *rand.Rand) []byte {
	value := func() int32 { return []int32{0, 1, 2, -1, -2, -4095, -4096, 1 << 30}[r.IntN(8)] }
	m := image{arch: linux.Native, data: make([]byte, 8*(1+r.IntN(8)))}
	for i := range m.data {
		m.data[i] = byte(value())
	}
	steps := r.IntN(12)
	for i := range steps {
		s := wireStep{nr: noCall, number: uint32(r.IntN(100)), into: uint32(headerSize + r.IntN(len(m.data)-3)), first: uint16(len(m.rules))}
		s.args[0] = uint64(value())
		if r.IntN(2) == 0 {
			s.loads, s.args[0] = 1, uint64(headerSize+r.IntN(len(m.data)-3))
		}
		for range r.IntN(4) {
			m.rules = append(m.rules, wireRule{value(), uint32(i + 1 + r.IntN(steps-i))})
			s.rules++
		}
		m.steps = append(m.steps, s)
	}
	b, err := m.encode()
	if err != nil {
		panic(err)
	}
	// Half of them are spoiled.
	for range r.IntN(2) * (1 + r.IntN(3)) {
		b[r.IntN(len(b))] = byte(r.IntN(256))
	}
	return b
}

// FuzzInterpreter compares hull-init with its model, on images of any kind.
func FuzzInterpreter(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		f.Add(random(r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 || len(b) > messageBytes {
			t.Skip("not one message")
		}
		b = slices.Clone(b)
		harmless(b)
		want := model(b, linux.Native)
		h := start(t, linux.Native, nil)
		if err := h.conn.Send(b); err != nil {
			t.Fatal(err)
		}
		if want.refused {
			// Refused at once, or when no more comes of one that is longer by its own account.
			h.conn.CloseWrite()
			e, fail := h.await()
			if e.State == Resting || (fail != nil && fail.Step != refused) {
				t.Errorf("reports %+v, %v; want it refused", e, fail)
			}
			if got := h.status(); got != 2 {
				t.Errorf("status %d, want 2", got)
			}
			return
		}
		if !want.rests {
			e, fail := h.await()
			if fail == nil || fail.Step != int(want.step) || fail.Errno != want.errno {
				t.Errorf("reports %+v, %v; want %+v", e, fail, want)
			}
			h.status()
			return
		}
		h.want(Resting)
		if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		h.status()
	})
}

// FuzzDecode wants what decode accepts to encode to the same bytes.
func FuzzDecode(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		f.Add(random(r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b)
		if err != nil {
			return
		}
		again, err := m.encode()
		if err != nil || !slices.Equal(b, again) {
			t.Errorf("%x encodes to %x, %v", b, again, err)
		}
	})
}

// TestAwait has reports of every kind, good and bad, without a process.
func TestAwait(t *testing.T) {
	word := func(n ...uint32) []byte {
		var b []byte
		for _, v := range n {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
		return b
	}
	for name, c := range map[string]struct {
		msg  []byte
		fds  []*os.File
		err  error
		want Event
		text string // of the error
	}{
		"executed":                  {err: io.EOF, want: Event{State: Executed}},
		"resting":                   {msg: word(resting, 0, 0), want: Event{State: Resting}},
		"told":                      {msg: word(told, 1<<32-5, 0), want: Event{State: Told, Value: -5}},
		"failed":                    {msg: word(failed, 7, uint32(unix.EPERM)), text: "step 7: operation not permitted"},
		"refused":                   {msg: word(failed, 0, uint32(unix.EINVAL)), text: "hull-init refused its program"},
		"short":                     {msg: word(resting, 0), text: "wait for the new process: a report of 8 bytes that means nothing"},
		"unknown":                   {msg: word(9, 0, 0), text: "wait for the new process: a report of 12 bytes that means nothing"},
		"a failure with descriptor": {msg: word(failed, 1, 1), fds: []*os.File{nil}, text: "wait for the new process: a report of 12 bytes that means nothing"},
		"error":                     {err: unix.ENOMEM, text: "wait for the new process: cannot allocate memory"},
		"reset":                     {err: unix.ECONNRESET, text: "wait for the new process: it ended before it had read its program: connection reset by peer"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := Await(&scripted{c.msg, c.fds, c.err})
			if c.text != "" {
				if err == nil || err.Error() != c.text {
					t.Errorf("error %v, want %q", err, c.text)
				}
				return
			}
			if err != nil || e.State != c.want.State || e.Value != c.want.Value {
				t.Errorf("%+v, %v; want %+v", e, err, c.want)
			}
		})
	}
}

// scripted receives one thing, and then the end.
type scripted struct {
	msg []byte
	fds []*os.File
	err error
}

func (s *scripted) Send([]byte, ...*os.File) error { return s.err }

func (s *scripted) Recv(int) ([]byte, []*os.File, error) {
	msg, fds, err := s.msg, s.fds, s.err
	*s = scripted{err: io.EOF}
	return msg, fds, err
}
