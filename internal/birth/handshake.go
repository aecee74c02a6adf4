package birth

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// The words between hulld and a process that runs hull-init, over a SOCK_SEQPACKET pair whose other end is its descriptor 3.
//
//	hulld                                                   hull-init
//	  │  clone, execve of hull-init                             │
//	  │────────────────────────────────────────────────────────▶│  1  marks descriptor 3 close-on-exec
//	  │  the image, in one or several messages, with descriptors │
//	  │────────────────────────────────────────────────────────▶│  2  checks all of it, then makes the calls
//	  │                                                          │
//	  │                                 (told, value, descriptors)│  3  if the program has Tell steps
//	  │◀────────────────────────────────────────────────────────│
//	  │  a word                                                  │  4  if the program has Wait steps
//	  │────────────────────────────────────────────────────────▶│
//	  │                                                          │
//	  │                              (failed, step, errno); exit 1│  5a a call failed: step 0 is the image itself; exit 2
//	  │◀────────────────────────────────────────────────────────│
//	  │                                              end of file │  5b execve: the socket closed on it
//	  │◀────────────────────────────────────────────────────────│
//	  │                                   (resting); end of file │  5c it rests, all descriptors closed
//	  │◀────────────────────────────────────────────────────────│
//
// If hulld dies:
//   - before or within 2: hull-init reads the end of file and exits 2; no call was made.
//   - after 2: hull-init goes on to its execve or its rest, as the image is whole; whoever recovers finds the process by its
//     record, which was made before 2. At 4 it reads the end of file, and exits 1; its reports meet a closed socket: that is
//     SIGPIPE, or exit 1.
//
// If hull-init dies, at any arrow, hulld reads the end of file. That looks like 5b, and is told from it by the process's exit:
// one that came with no execve behind it is that of a container killed as it started. A program that has a Tell step just
// before its execve makes the doubt as small as that one call. Status 2 with no report means that the image did not arrive
// whole.
//
// A filter that the program installed may forbid write, and then 5a is an end of file with exit status 1. So what can be
// found out before the filter, such as which of the paths is the program, had better be.
const (
	failed  = 1
	resting = 2
	told    = 3

	reportSize   = 12
	continueWord = "go"
	refused      = 0 // the step of a report about the image itself
)

// Conn is what the handshake needs of a connection: messages, with descriptors.
type Conn interface {
	Send(msg []byte, fds ...*os.File) error
	Recv(max int) (msg []byte, fds []*os.File, err error)
}

// Send sends an encoded program, and the descriptors in the order of [Program.Descriptors].
func Send(c Conn, image []byte, fds []*os.File) error {
	if len(image) < headerSize+len(fds)/perMessage {
		return errors.New("send birth program: not one")
	}
	if want := binary.LittleEndian.Uint32(image[20:]); int(want) != controlSize(len(fds)) {
		return fmt.Errorf("send birth program: %d descriptors are not what it was encoded for", len(fds))
	}
	for len(image) > 0 {
		nfds := min(len(fds), perMessage)
		later := (len(fds) - nfds + perMessage - 1) / perMessage // messages, for each of which a byte is kept
		n := min(len(image)-later, messageBytes)
		if err := c.Send(image[:n], fds[:nfds]...); err != nil {
			return fmt.Errorf("send birth program: %w", err)
		}
		image, fds = image[n:], fds[nfds:]
	}
	return nil
}

// Continue lets a process go on that stands at a [Program.Wait].
func Continue(c Conn) error {
	if err := c.Send([]byte(continueWord)); err != nil {
		return fmt.Errorf("let the new process go on: %w", err)
	}
	return nil
}

// State is how far a process has come.
type State uint8

// The states that [Await] reports.
const (
	Executed State = iota + 1 // the socket closed: execve, or the process died
	Resting                   // it rests
	Told                      // a Tell step: Await again for what follows
)

// Event is what a process reported.
type Event struct {
	State State
	Value int32      // of a Tell step
	FDs   []*os.File // of a Tell step
}

// Failure is the error of [Await] for a program whose step failed. Step 0 is a program that was refused as a whole.
type Failure struct {
	Step  int
	Errno unix.Errno
}

func (f *Failure) Error() string {
	if f.Step == refused {
		return "hull-init refused its program"
	}
	return fmt.Sprintf("step %d: %s", f.Step, f.Errno.Error())
}

// Unwrap makes errors.Is find the errno.
func (f *Failure) Unwrap() error { return f.Errno }

// Await waits for the next thing that a process reports. A step that failed is a *[Failure].
func Await(c Conn) (Event, error) {
	msg, fds, err := c.Recv(reportSize)
	reset := errors.Is(err, unix.ECONNRESET)
	if reset || errors.Is(err, io.EOF) {
		// Once more, as a report may be there in spite of either. Of a process that ended without reading all that was sent,
		// the kernel says so first. And it may say that the other side has gone when a report and the end arrive between its
		// look at the queue, then empty, and its look at the other side.
		msg, fds, err = c.Recv(reportSize)
	}
	switch {
	case errors.Is(err, io.EOF) && reset:
		return Event{}, fmt.Errorf("wait for the new process: it ended before it had read its program: %w", unix.ECONNRESET)
	case errors.Is(err, io.EOF):
		return Event{State: Executed}, nil
	case err != nil:
		return Event{}, fmt.Errorf("wait for the new process: %w", err)
	}
	if len(msg) == reportSize {
		second, third := binary.LittleEndian.Uint32(msg[4:]), binary.LittleEndian.Uint32(msg[8:])
		switch kind := binary.LittleEndian.Uint32(msg); {
		case kind == told:
			return Event{State: Told, Value: int32(second), FDs: fds}, nil
		case kind == failed && len(fds) == 0:
			return Event{}, &Failure{Step: int(second), Errno: unix.Errno(third)}
		case kind == resting && len(fds) == 0:
			return Event{State: Resting}, nil
		}
	}
	for _, f := range fds {
		f.Close()
	}
	return Event{}, fmt.Errorf("wait for the new process: a report of %d bytes that means nothing", len(msg))
}
