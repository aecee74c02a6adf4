package logs

import (
	"bytes"
	"errors"
	"time"
)

// Stream is where a line was printed.
type Stream string

// The streams, by their words in a log file.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// chunk is the most bytes of a line that one line of a file holds, and the most that one batch moves.
const chunk = 16 << 10

// timeOut writes a time in a fixed width, timeIn reads any.
const (
	timeOut = "2006-01-02T15:04:05.000000000Z07:00"
	timeIn  = "2006-01-02T15:04:05.999999999Z07:00"
)

// appendHead appends what stands before a line.
func appendHead(b []byte, at time.Time, s Stream, full bool) []byte {
	b = at.UTC().AppendFormat(b, timeOut)
	b = append(b, ' ')
	b = append(b, s...)
	if full {
		return append(b, " F "...)
	}
	return append(b, " P "...)
}

// format hands the lines of a batch to emit, in pieces that fit into out; out's capacity is larger than a line and its
// head. Only the batch decides what comes out: doing it again gives the same bytes.
func format(batch []byte, at time.Time, s Stream, out []byte, emit func([]byte) error) error {
	out = out[:0]
	full := appendHead(make([]byte, 0, 64), at, s, true)
	part := appendHead(make([]byte, 0, 64), at, s, false)
	for len(batch) > 0 {
		head, line := part, batch
		if i := bytes.IndexByte(batch, '\n'); i >= 0 {
			head, line = full, batch[:i]
			batch = batch[i+1:]
		} else {
			batch = nil
		}
		if len(out)+len(head)+len(line)+1 > cap(out) {
			if err := emit(out); err != nil {
				return err
			}
			out = out[:0]
		}
		out = append(append(append(out, head...), line...), '\n')
	}
	return emit(out)
}

// cut returns how many bytes of what is at the start of a stream make a batch: up to the last newline, or a whole chunk
// of a line that has none. It is zero when the line is to be waited for.
func cut(b []byte) int {
	if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
		return i + 1
	}
	if len(b) >= chunk {
		return chunk
	}
	return 0
}

// Line is one line of a log file.
type Line struct {
	Time    time.Time
	Stream  Stream
	Partial bool   // more of the line follows
	Text    []byte // with its newline, unless it is partial
}

var errFormat = errors.New("not a line of a CRI log")

// Parse reads a line with its newline, as the kubelet does: the first of several tags counts, and others are for later
// versions. Text aliases line.
func Parse(line []byte) (Line, error) {
	var l Line
	stamp, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok {
		return l, errFormat
	}
	stream, rest, ok := bytes.Cut(rest, []byte(" "))
	if !ok {
		return l, errFormat
	}
	tags, text, ok := bytes.Cut(rest, []byte(" "))
	if !ok {
		return l, errFormat
	}
	var err error
	if l.Time, err = time.Parse(timeIn, string(stamp)); err != nil {
		return l, errFormat
	}
	switch l.Stream = Stream(stream); l.Stream {
	case Stdout, Stderr:
	default:
		return l, errFormat
	}
	tag, _, _ := bytes.Cut(tags, []byte(":"))
	l.Partial = string(tag) == "P"
	if l.Partial {
		text = bytes.TrimSuffix(text, []byte("\n"))
	}
	l.Text = text
	return l, nil
}
