package birth

import (
	"encoding/binary"
	"os"
	"slices"
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
		"no magic":                 set(header(0), 0),
		"another architecture":     func(b []byte) []byte { b[2] ^= 'x' ^ 'a'; return b },
		"another version":          func(b []byte) []byte { b[3]++; return b },
		"size too small":           add(header(4), -8),
		"size zero":                set(header(4), 0),
		"size above the limit":     set(header(4), controlOffset+1),
		"size far above the limit": set(header(4), 1<<32-1),
		"steps in the header":      set(header(8), headerSize-8),
		"steps in the header, and all else in order": func(b []byte) []byte {
			b = b[:headerSize]
			for i, v := range []uint32{headerSize, headerSize - ruleSize, 0, 1} {
				le.PutUint32(b[4+4*i:], v)
			}
			return b
		},
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
	t.Run("credentials in the place of descriptors", func(t *testing.T) {
		onEach(t, func(t *testing.T, arch linux.Arch) {
			p := New("four")
			for i := range 4 { // which take as many bytes as credentials
				p.FD(itoa(i))
			}
			leave(p, 0)
			b, err := p.Encode(arch)
			if err != nil {
				t.Fatal(err)
			}
			h := startOn(t, arch, nil, func(s int) error { return unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
			if err := h.conn.Send(b); err != nil {
				t.Fatal(err)
			}
			h.fails(refused, unix.EINVAL)
		})
	})
	t.Run("a last message that is too long", func(t *testing.T) {
		onEach(t, func(t *testing.T, arch linux.Arch) {
			m, err := decode(sound(t, arch))
			if err != nil {
				t.Fatal(err)
			}
			m.data = append(m.data, make([]byte, controlOffset-len(sound(t, arch)))...)
			b, err := m.encode(nil)
			if err != nil || len(b) != controlOffset {
				t.Fatal(len(b), err)
			}
			for _, extra := range []int{0, 8} {
				h := start(t, arch, nil)
				r, w := pipe(t)
				last := controlOffset - messageBytes
				if err := Send(h.conn, b[:last], []*os.File{w}); err != nil {
					t.Fatal(err)
				}
				if err := h.conn.Send(append(slices.Clone(b[last:]), make([]byte, extra)...)); err != nil {
					t.Fatal(err)
				}
				if extra == 0 {
					h.ends(0)
				} else {
					h.fails(refused, unix.EINVAL)
				}
				if got := all(t, r, w); (got == "") != (extra > 0) {
					t.Errorf("with %d bytes too many: wrote %q", extra, got)
				}
			}
		})
	})
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
