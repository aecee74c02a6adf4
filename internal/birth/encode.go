package birth

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hull-pods/hull/internal/linux"
)

// Encoder encodes one program after the other in the same memory. The zero value is ready.
type Encoder struct {
	e       encoder
	message []byte
}

// encoder lays a program out. Data come first in the image, so that every address is known as soon as it is given out.
type encoder struct {
	p         *Program
	image     image
	results   []int // of each step: the offset of its result
	starts    []int // of each step: its first wire step
	variables map[*Variable]int
	buffers   map[*Buffer]int
	reserved  map[Arg]int
	shared    map[shared]int
	copies    []copied // what the step that is being laid out needs first
}

type shared struct {
	bytes string
	kind  sharing
}

type sharing bool

const (
	plain      sharing = false // aligned to 8, as the bytes may be any structure
	terminated sharing = true  // with a zero byte behind them
)

type copied struct {
	from operand
	to   int
}

// Encode is the message that makes hull-init of that architecture perform the program.
func (p *Program) Encode(arch linux.Arch) ([]byte, error) { return new(Encoder).Encode(p, arch) }

// Encode is [Program.Encode]; the message lasts until the next one.
func (r *Encoder) Encode(p *Program, arch linux.Arch) ([]byte, error) {
	if letters[arch] == 0 {
		return nil, fmt.Errorf("program %s: no hull-init for architecture %q", p.name, arch)
	}
	if err := p.ends(); err != nil {
		return nil, err
	}
	e := &r.e
	e.begin(p, arch)
	defer e.forget()
	for i := range p.steps {
		e.starts = append(e.starts, len(e.image.steps))
		if err := e.step(i, arch); err != nil {
			return nil, fmt.Errorf("program %s: step %d, %s: %w", p.name, i+1, p.steps[i].name, err)
		}
	}
	e.starts = append(e.starts, len(e.image.steps))
	if err := e.rules(e.starts); err != nil {
		return nil, fmt.Errorf("program %s: %w", p.name, err)
	}
	e.align(8) // as steps are
	var err error
	if r.message, err = e.image.encode(r.message[:0]); err != nil {
		return nil, fmt.Errorf("program %s: %w", p.name, err)
	}
	return r.message, nil
}

// begin starts with an empty image, in the memory of the one before.
func (e *encoder) begin(p *Program, arch linux.Arch) {
	if e.shared == nil {
		e.variables, e.buffers, e.reserved, e.shared = map[*Variable]int{}, map[*Buffer]int{}, map[Arg]int{}, map[shared]int{}
	}
	e.p = p
	e.image = image{
		arch: arch, control: controlSize(len(p.fds)), data: slices.Grow(e.image.data[:0], usualData),
		steps: slices.Grow(e.image.steps[:0], len(p.steps)*5/4), // with the copies between them
		rules: e.image.rules[:0],
	}
	e.results, e.starts = slices.Grow(e.results[:0], len(p.steps)), slices.Grow(e.starts[:0], len(p.steps)+1)
	e.copies = e.copies[:0]
}

// forget lets go of the program.
func (e *encoder) forget() {
	e.p = nil
	clear(e.variables)
	clear(e.buffers)
	clear(e.reserved)
	clear(e.shared)
}

// usualData is room for the data of a container's birth.
const usualData = 8 << 10

// step lays out one step, after the copies that its structures need.
func (e *encoder) step(i int, arch linux.Arch) error {
	s := e.p.steps[i]
	if len(s.args) > argCount {
		return fmt.Errorf("has %d arguments", len(s.args))
	}
	w := wireStep{nr: noCall, number: uint32(i + 1)}
	if s.kind == call {
		var ok bool
		if w.nr, ok = s.sys.Number(arch); !ok {
			return errors.New("no such system call")
		}
	}
	for j, a := range s.args {
		o, err := a.place(e)
		if err != nil {
			return err
		}
		w.args[j] = o.value
		if o.load {
			w.loads |= 1 << j
		}
	}
	for _, c := range e.copies {
		e.image.steps = append(e.image.steps, wireStep{
			nr: noCall, loads: 1, into: uint32(c.to), number: uint32(i + 1), args: [argCount]uint64{c.from.value},
		})
	}
	e.copies = e.copies[:0]
	if s.kind == assign {
		w.into = uint32(e.variable(s.into))
	} else {
		w.into = uint32(e.zeros(4, 4))
	}
	e.results = append(e.results, int(w.into))
	e.image.steps = append(e.image.steps, w)
	return nil
}

// rules adds the rules of every step, when it is known where each step starts.
func (e *encoder) rules(starts []int) error {
	m := &e.image
	for i, s := range e.p.steps {
		w := &m.steps[starts[i+1]-1]
		rules := s.rules
		if v, ok := s.assigned(); ok && int64(v) < 0 {
			// Assigning an error is not an error.
			rules = append(slices.Clone(rules), rule{int32(v), next})
		}
		if len(m.rules)+len(rules) > math.MaxUint16 || len(rules) > math.MaxUint8 {
			return fmt.Errorf("step %d, %s: too many rules", i+1, s.name)
		}
		w.first, w.rules = uint16(len(m.rules)), uint8(len(rules))
		for _, r := range rules {
			to, err := e.p.target(i, r.label)
			if err != nil {
				return err
			}
			m.rules = append(m.rules, wireRule{r.value, uint32(starts[to])})
		}
	}
	return nil
}

// assigned is the constant that a step assigns, if it does.
func (s step) assigned() (number, bool) {
	if s.kind != assign {
		return 0, false
	}
	v, ok := s.args[0].(number)
	return v, ok
}

// address is the operand of a place in the image.
func address(offset int) operand { return operand{value: uint64(regionBase + offset)} }

// align pads the data, and says at which offset of the image they then end.
func (e *encoder) align(to int) int {
	for (headerSize+len(e.image.data))%to != 0 {
		e.image.data = append(e.image.data, 0)
	}
	return headerSize + len(e.image.data)
}

// zeros appends memory to the data and says at which offset of the image.
func (e *encoder) zeros(size, align int) int {
	at := e.align(align)
	n := len(e.image.data)
	e.image.data = slices.Grow(e.image.data, size)[:n+size]
	clear(e.image.data[n:])
	return at
}

// bytes appends what never changes: the same bytes are there once.
func (e *encoder) bytes(s string, kind sharing) int {
	key := shared{s, kind}
	at, ok := e.shared[key]
	if ok {
		return at
	}
	if kind == plain {
		at = e.align(8)
		e.image.data = append(e.image.data, s...)
	} else {
		at = e.align(1)
		e.image.data = append(append(e.image.data, s...), 0)
	}
	e.shared[key] = at
	return at
}

// reserve gives an argument memory of its own, the same each time.
func (e *encoder) reserve(a Arg, size int) (at int, already bool) {
	if at, already = e.reserved[a]; !already {
		at = e.zeros(size, 8)
		e.reserved[a] = at
	}
	return at, already
}

func (e *encoder) buffer(b *Buffer) int {
	at, ok := e.buffers[b]
	if !ok {
		at = e.zeros(b.size, 8)
		e.buffers[b] = at
	}
	return at
}

func (e *encoder) variable(v *Variable) int {
	at, ok := e.variables[v]
	if !ok {
		at = e.zeros(4, 4)
		e.put(at, 4, uint64(uint32(v.initial)))
		e.variables[v] = at
	}
	return at
}

// put writes a little-endian number at an offset of the image.
func (e *encoder) put(at, size int, v uint64) {
	for i := range size {
		e.image.data[at-headerSize+i] = byte(v >> (8 * i))
	}
}

// copy makes the step begin by copying 32 bits to an offset of the image.
func (e *encoder) copy(from operand, to int) { e.copies = append(e.copies, copied{from, to}) }
