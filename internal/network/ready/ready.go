// Package ready keeps a network namespace ready for the next sandbox: the kernel takes longer to make one than for all else
// that an infra process is.
package ready

import (
	"os"
	"sync"

	"github.com/hull-pods/hull/internal/linux"
)

// Namespaces is one namespace, made ahead: 0.3 MiB. More would help those alone who start several Pods at the same time.
type Namespaces struct {
	made  chan *os.File
	wants chan struct{}
	stop  chan struct{}
	work  sync.WaitGroup
}

// Open begins with none: the first is made by [Namespaces.Refill].
func Open() *Namespaces {
	n := &Namespaces{made: make(chan *os.File, 1), wants: make(chan struct{}, 1), stop: make(chan struct{})}
	n.work.Go(n.run)
	return n
}

// Take is a namespace that nobody else has, which the caller closes.
func (n *Namespaces) Take() (*os.File, error) {
	select {
	case ns := <-n.made:
		return ns, nil
	default:
		return linux.NewNetns()
	}
}

// Refill has the next one made, beside the caller: when it does no more that the kernel's locks of the network slow down.
func (n *Namespaces) Refill() {
	select {
	case n.wants <- struct{}{}:
	default:
	}
}

func (n *Namespaces) run() {
	for {
		select {
		case <-n.stop:
			return
		case <-n.wants:
		}
		if len(n.made) > 0 {
			continue
		}
		if ns, err := linux.NewNetns(); err == nil { // else the next Take says why it cannot be
			n.made <- ns
		}
	}
}

// Close gives back what is ready.
func (n *Namespaces) Close() {
	close(n.stop)
	n.work.Wait()
	select {
	case ns := <-n.made:
		_ = ns.Close()
	default:
	}
}
