package starter

import (
	"hash/maphash"
	"reflect"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/seccomp"
)

// filterCache keeps compiled filters: nearly every container has one of two or three profiles.
type filterCache struct {
	mu   sync.Mutex
	seed maphash.Seed
	all  map[uint64]*filter
}

type filter struct {
	profile *oci.LinuxSeccomp
	program []unix.SockFilter
	flags   uint32
}

// maxFilters bounds the cache. Profiles come from files that an administrator writes, so it is hardly ever reached.
const maxFilters = 64

func (c *filterCache) get(p *oci.LinuxSeccomp) ([]unix.SockFilter, uint32, error) {
	if p == nil {
		return nil, 0, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all, c.seed = map[uint64]*filter{}, maphash.MakeSeed()
	}
	key := hashProfile(c.seed, p)
	if f := c.all[key]; f != nil && (f.profile == p || reflect.DeepEqual(f.profile, p)) {
		return f.program, f.flags, nil
	}
	program, flags, err := seccomp.Compile(p, runtime.GOARCH)
	if err != nil {
		return nil, 0, invalid("%v", err)
	}
	if len(c.all) >= maxFilters {
		clear(c.all)
	}
	c.all[key] = &filter{p, program, flags}
	return program, flags, nil
}

func hashProfile(seed maphash.Seed, p *oci.LinuxSeccomp) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	write := func(s string) { _, _ = h.WriteString(s); _ = h.WriteByte(0) }
	write(string(p.DefaultAction))
	for _, r := range p.Syscalls {
		write(string(r.Action))
		for _, n := range r.Names {
			write(n)
		}
		for _, a := range r.Args {
			maphash.WriteComparable(&h, a)
		}
	}
	return h.Sum64()
}
