// Package stdio makes what a container's first process reads from and writes to: the pipes of its log, of its input, and of
// the witness of its birth.
package stdio

import (
	"os"

	"github.com/hull-pods/hull/internal/logs"
	"github.com/hull-pods/hull/internal/runtime/record"
	"github.com/hull-pods/hull/internal/runtime/streams"
)

// Set is what a start gives to the process, the pipes' Stdout and Stderr among it, and what it keeps for itself.
type Set struct {
	logs.Pipes
	Stdin   *os.File // the process' end; nil is /dev/null
	Witness *os.File // the process' end
	Input   *os.File // our end of Stdin

	witness *os.File
	once    bool
}

// Make makes the pipes that a container wants. What of it could be made is in the set also when it fails.
func Make(c *record.ContainerConfig) (s Set, err error) {
	s.once = c.StdinOnce
	log, err := logs.NewPipes(c.TTY)
	if err != nil {
		return s, err
	}
	s.Pipes = *log
	if s.Witness, s.witness, err = streams.Pipe(true); err != nil {
		return s, err
	}
	if c.Stdin && !c.TTY {
		s.Stdin, s.Input, err = streams.Pipe(false)
	}
	return s, err
}

// Held is what the keeper holds for the next hulld: first the witness, then the log's ends, then our end of the input. With
// StdinOnce the end of the first client's input is the container's, and nobody else may hold it.
func (s *Set) Held() []*os.File {
	held := append([]*os.File{s.witness}, s.Ends...)
	if s.Input != nil && !s.once {
		held = append(held, s.Input)
	}
	return held
}

// CloseTheirs closes what the process has by now, and the witness, which the keeper holds.
func (s *Set) CloseTheirs() {
	_ = s.Pipes.CloseTheirs()
	for _, f := range []*os.File{s.Stdin, s.Witness, s.witness} {
		if f != nil {
			_ = f.Close()
		}
	}
}
