package birth

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Arg is an argument of a call, or a field of a structure that a call is given: [Value], [String], [Bytes], [Strings],
// [Environ], [Control], [Program.FD], a [Result], a [Variable], a [Buffer] or what it holds, or a structure.
type Arg interface {
	// text is the argument as the listing has it. The format belongs to the call or the structure; only numbers use it.
	text(f format) string
	// place puts what the argument points at into the image and says how hull-init comes by its value.
	place(e *encoder) (operand, error)
}

// operand is an argument as hull-init sees it: a number, or the place of a 32-bit number to load when the call is made.
type operand struct {
	value uint64
	load  bool
}

// Integer is any integer type.
type Integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

type number uint64

// Value is a number. The listing spells it out where the call has names for it.
func Value[T Integer](v T) Arg { return number(v) }

func (n number) text(f format) string {
	if f == nil {
		f = decimal
	}
	return f(uint64(n))
}

func (n number) place(*encoder) (operand, error) { return operand{value: uint64(n)}, nil }

// Control is hull-init's own socket.
func Control() Arg { return control{} }

type control struct{}

func (control) text(format) string              { return "<socket>" }
func (control) place(*encoder) (operand, error) { return operand{value: Socket}, nil }

type descriptor struct {
	index int
	name  string
}

func (d descriptor) text(format) string { return "<" + d.name + ">" }

func (d descriptor) place(*encoder) (operand, error) {
	return operand{value: uint64(descriptorOffset(d.index)), load: true}, nil
}

func (r Result) text(format) string { return "#" + strconv.Itoa(r.index+1) }

func (r Result) place(e *encoder) (operand, error) {
	if r.p != e.p || r.index >= len(e.results) {
		return operand{}, errors.New("uses a result that is not there yet")
	}
	return operand{value: uint64(e.results[r.index]), load: true}, nil
}

// Variable is a 32-bit value that the program changes: see [Program.Variable].
type Variable struct {
	name    string
	initial int32
}

func (v *Variable) text(format) string { return v.name }

func (v *Variable) place(e *encoder) (operand, error) {
	return operand{value: uint64(e.variable(v)), load: true}, nil
}

// Buffer is memory that calls write: its argument is its address.
type Buffer struct {
	name string
	size int
}

// NewBuffer makes a buffer of size zero bytes.
func NewBuffer(name string, size int) *Buffer { return &Buffer{name, size} }

func (b *Buffer) text(format) string { return "&" + b.name }

func (b *Buffer) place(e *encoder) (operand, error) { return address(e.buffer(b)), nil }

// Int32 is what the buffer holds at that offset when the call is made: one of the two descriptors that pipe2 wrote.
func (b *Buffer) Int32(offset int) Arg { return within{b, offset} }

type within struct {
	buffer *Buffer
	offset int
}

func (w within) text(format) string { return fmt.Sprintf("%s[%d]", w.buffer.name, w.offset/4) }

func (w within) place(e *encoder) (operand, error) {
	if w.offset < 0 || w.offset > w.buffer.size-4 {
		return operand{}, fmt.Errorf("loads offset %d of %s, which has %d bytes", w.offset, w.buffer.name, w.buffer.size)
	}
	return operand{value: uint64(e.buffer(w.buffer) + w.offset), load: true}, nil
}

type cstring string

// String is the address of a text that ends in a zero byte.
func String(s string) Arg { return cstring(s) }

func (s cstring) text(format) string { return strconv.Quote(string(s)) }

func (s cstring) place(e *encoder) (operand, error) {
	if strings.IndexByte(string(s), 0) >= 0 {
		return operand{}, fmt.Errorf("%q has a zero byte in it", string(s))
	}
	return address(e.bytes(string(s), terminated)), nil
}

type data string

// Bytes is the address of bytes, as they are: their length is an argument of its own.
func Bytes(b []byte) Arg { return data(b) }

func (d data) text(format) string {
	for _, c := range []byte(d) {
		if (c < ' ' && c != '\n' && c != '\t') || c > '~' {
			return fmt.Sprintf("<%d bytes>", len(d))
		}
	}
	return strconv.Quote(string(d))
}

func (d data) place(e *encoder) (operand, error) { return address(e.bytes(string(d), plain)), nil }

// pointers is an array of addresses of texts that ends in a zero, as execve takes.
type pointers struct {
	strings []string
	shown   string
}

// Strings is such an array; the listing shows the texts.
func Strings(ss ...string) Arg {
	quoted := make([]string, len(ss))
	for i, s := range ss {
		quoted[i] = strconv.Quote(s)
	}
	return &pointers{ss, "[" + strings.Join(quoted, ", ") + "]"}
}

// Environ is such an array of NAME=value; the listing shows the names alone, because values may be secrets.
func Environ(ss ...string) Arg {
	names := make([]string, len(ss))
	for i, s := range ss {
		names[i], _, _ = strings.Cut(s, "=")
	}
	return &pointers{ss, "{" + strings.Join(names, ", ") + "}"}
}

func (v *pointers) text(format) string { return v.shown }

func (v *pointers) place(e *encoder) (operand, error) {
	at, placed := e.reserve(v, 8*(len(v.strings)+1))
	if placed {
		return address(at), nil
	}
	for i, s := range v.strings {
		o, err := cstring(s).place(e)
		if err != nil {
			return operand{}, err
		}
		e.put(at+8*i, 8, o.value)
	}
	return address(at), nil
}
