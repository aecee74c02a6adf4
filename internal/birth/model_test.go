package birth

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

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
	b, err := m.encode(nil)
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
		again, err := m.encode(nil)
		if err != nil || !slices.Equal(b, again) {
			t.Errorf("%x encodes to %x, %v", b, again, err)
		}
	})
}
