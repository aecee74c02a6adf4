package ui

import (
	"bytes"
	"io"
	"sync"
)

// Prefixer lets several streams share one output, whole line by whole line.
type Prefixer struct {
	mu  sync.Mutex
	out io.Writer
}

// NewPrefixer writes to out.
func NewPrefixer(out io.Writer) *Prefixer { return &Prefixer{out: out} }

// PrefixWriter is one of the streams.
type PrefixWriter struct {
	to     *Prefixer
	prefix []byte
	part   []byte // a line that has not ended
}

// Writer returns a stream whose lines begin with prefix.
func (p *Prefixer) Writer(prefix string) *PrefixWriter {
	return &PrefixWriter{to: p, prefix: []byte(prefix)}
}

// partLimit is how long a line may grow before it is written in parts.
const partLimit = 64 << 10

// Write passes on the lines that are complete.
func (w *PrefixWriter) Write(data []byte) (int, error) {
	for line := range bytes.Lines(data) {
		text, ended := bytes.CutSuffix(line, []byte{'\n'})
		w.part = append(w.part, text...)
		if ended || len(w.part) >= partLimit {
			if err := w.line(); err != nil {
				return 0, err
			}
		}
	}
	return len(data), nil
}

// Flush writes what there is of an unfinished line, and ends it.
func (w *PrefixWriter) Flush() error {
	if len(w.part) == 0 {
		return nil
	}
	return w.line()
}

func (w *PrefixWriter) line() error {
	line := append(append(append([]byte{}, w.prefix...), w.part...), '\n')
	w.part = w.part[:0]
	w.to.mu.Lock()
	defer w.to.mu.Unlock()
	_, err := w.to.out.Write(line)
	return err
}
