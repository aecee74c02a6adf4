package seccomp

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/oci"
)

// cacheLimit bounds a Cache: profiles come from manifests. A host has a handful; one with more compiles again.
const cacheLimit = 256

// Cache compiles each profile once. It is safe for concurrent use.
type Cache struct {
	goarch string
	mu     sync.Mutex
	filter map[[sha256.Size]byte]func() (compiled, error)
	last   *oci.LinuxSeccomp // nearly all containers share one: it is not looked at again
	known  [sha256.Size]byte // its digest
}

type compiled struct {
	program []unix.SockFilter
	flags   uint32
}

// NewCache makes a cache for a machine by its GOARCH.
func NewCache(goarch string) *Cache {
	return &Cache{goarch: goarch, filter: map[[sha256.Size]byte]func() (compiled, error){}}
}

// Compile is the function Compile, remembered. Neither the program, which is shared, nor the profile is changed after that.
func (c *Cache) Compile(p *oci.LinuxSeccomp) (program []unix.SockFilter, flags uint32, err error) {
	key := c.digest(p)
	c.mu.Lock()
	get, ok := c.filter[key]
	if !ok {
		if len(c.filter) >= cacheLimit {
			clear(c.filter)
		}
		get = sync.OnceValues(func() (compiled, error) {
			program, flags, err := Compile(p, c.goarch)
			return compiled{program, flags}, err
		})
		c.filter[key] = get
	}
	c.mu.Unlock()
	made, err := get()
	return made.program, made.flags, err
}

func (c *Cache) digest(p *oci.LinuxSeccomp) [sha256.Size]byte {
	c.mu.Lock()
	last, key := c.last, c.known
	c.mu.Unlock()
	if p == last {
		return key
	}
	key = digest(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.known = p, key
	return key
}

// digest tells profiles apart by all that Compile looks at. Every part has its length before it.
func digest(p *oci.LinuxSeccomp) [sha256.Size]byte {
	d := digester{hash: sha256.New()}
	d.text(string(p.DefaultAction))
	d.errno(p.DefaultErrnoRet)
	d.number(uint64(len(p.Architectures)))
	for _, a := range p.Architectures {
		d.text(string(a))
	}
	if p.Flags == nil {
		d.number(0)
	}
	d.number(uint64(len(p.Flags)) + 1)
	for _, f := range p.Flags {
		d.text(string(f))
	}
	d.number(uint64(len(p.Syscalls)))
	for _, s := range p.Syscalls {
		d.number(uint64(len(s.Names)))
		for _, name := range s.Names {
			d.text(name)
		}
		d.text(string(s.Action))
		d.errno(s.ErrnoRet)
		d.number(uint64(len(s.Args)))
		for _, a := range s.Args {
			d.number(uint64(a.Index))
			d.number(a.Value)
			d.number(a.ValueTwo)
			d.text(string(a.Op))
		}
	}
	d.flush()
	return [sha256.Size]byte(d.hash.Sum(nil))
}

// digester gathers small parts before they are hashed.
type digester struct {
	hash hash.Hash
	buf  []byte
}

const digestChunk = 4096

func (d *digester) flush() {
	d.hash.Write(d.buf)
	d.buf = d.buf[:0]
}

func (d *digester) number(n uint64) {
	d.buf = binary.AppendUvarint(d.buf, n)
	if len(d.buf) > digestChunk {
		d.flush()
	}
}

func (d *digester) text(s string) {
	d.number(uint64(len(s)))
	d.buf = append(d.buf, s...)
}

func (d *digester) errno(e *uint) {
	if e == nil {
		d.number(0)
		return
	}
	d.number(1)
	d.number(uint64(*e))
}
