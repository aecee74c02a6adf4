package logs

import (
	"errors"
	"fmt"
	"os"

	"github.com/hull-pods/hull/internal/linux"
)

// Pipes are all ends of a container's output.
type Pipes struct {
	// Stdout and Stderr are the container's ends: closed here when it has been cloned. With a terminal they are nil.
	Stdout, Stderr *os.File
	// Ends are ours: what the keeper gets duplicates of before the clone, in this order, and what Open takes.
	//
	//	without a terminal: stdout, stderr, the in-flight pipe of stdout, that of stderr
	//	with a terminal:    the in-flight pipe; the master of the terminal follows as the second when there is one, and is
	//	                    added to the keeper's record then
	Ends []*os.File
}

// Ends is how many descriptors Open takes: those of Pipes.Ends, with a terminal its master too.
func Ends(tty bool) int {
	if tty {
		return 2
	}
	return 4
}

// NewPipes makes the pipes of one container.
func NewPipes(tty bool) (*Pipes, error) {
	p := &Pipes{}
	if err := p.add(tty); err != nil {
		return nil, errors.Join(fmt.Errorf("make the pipes of a container's log: %w", err), p.CloseTheirs(), p.CloseOurs())
	}
	return p, nil
}

func (p *Pipes) add(tty bool) error {
	if tty {
		return p.addOne()
	}
	var err error
	if p.Stdout, err = p.addPipe(); err != nil {
		return err
	}
	if p.Stderr, err = p.addPipe(); err != nil {
		return err
	}
	return errors.Join(p.addOne(), p.addOne())
}

func (p *Pipes) addPipe() (theirs *os.File, err error) {
	r, w, err := linux.Pipe()
	if err != nil {
		return nil, err
	}
	p.Ends = append(p.Ends, r)
	return w, nil
}

func (p *Pipes) addOne() error {
	f, err := linux.OnePipe()
	if err != nil {
		return err
	}
	p.Ends = append(p.Ends, f)
	return nil
}

// CloseTheirs closes the container's ends. They must not stay open here: a stream ends when its last writer is gone.
func (p *Pipes) CloseTheirs() error {
	err := closeFiles(p.Stdout, p.Stderr)
	p.Stdout, p.Stderr = nil, nil
	return err
}

// CloseOurs closes our ends, when they were not given to Open.
func (p *Pipes) CloseOurs() error {
	err := closeFiles(p.Ends...)
	p.Ends = nil
	return err
}

func closeFiles(files ...*os.File) error {
	var errs []error
	for _, f := range files {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}
