package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/contrib/seccomp"
)

// seccompProfile is the profile of a container whose capabilities s has; nil is none.
func seccompProfile(c *Config, s *Spec) *LinuxSeccomp {
	if c.Privileged {
		return nil
	}
	switch c.Seccomp.Kind {
	case SeccompUnconfined:
		return nil
	case SeccompLocalhost:
		return c.Seccomp.Profile
	default:
		return c.Seccomp.Defaults.of(s)
	}
}

// SeccompDefaults are the default profiles of containers, of which there is one for each set of capabilities: it is larger than
// all the rest of a spec, and nearly every container has the same. It is safe for concurrent use.
type SeccompDefaults struct {
	mu   sync.Mutex
	made map[string]*LinuxSeccomp // by capabilities
}

// seccompDefaultsLimit bounds them: sets of capabilities come from manifests.
const seccompDefaultsLimit = 64

// of is the profile of a container whose capabilities s has. It is shared: nobody changes it.
func (d *SeccompDefaults) of(s *Spec) *LinuxSeccomp {
	if d == nil {
		return seccomp.DefaultProfile(s)
	}
	key := strings.Join(s.Process.Capabilities.Bounding, ",")
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.made[key]
	if p == nil {
		if d.made == nil || len(d.made) >= seccompDefaultsLimit {
			d.made = map[string]*LinuxSeccomp{}
		}
		p = seccomp.DefaultProfile(s)
		d.made[key] = p
	}
	return p
}

func checkSeccomp(c *Config) error {
	switch c.Seccomp.Kind {
	case "", SeccompRuntimeDefault, SeccompUnconfined:
		if c.Seccomp.Profile != nil {
			return invalid("seccomp: kind %q takes no profile", c.Seccomp.Kind)
		}
	case SeccompLocalhost:
		if c.Seccomp.Profile == nil {
			return invalid("seccomp: kind %q without a profile", c.Seccomp.Kind)
		}
	default:
		return invalid("seccomp: unknown kind %q", c.Seccomp.Kind)
	}
	return nil
}

// profile is a seccomp profile as files have it: the runtime spec's fields, and comments on rules.
type profile struct {
	LinuxSeccomp
	Syscalls []struct {
		LinuxSyscall
		Comment string `json:"comment"`
	} `json:"syscalls"`
}

// ParseSeccomp decodes a profile. A field that the runtime spec does not have is an error: Docker's profiles say by such
// fields which rules to leave out, and without them would allow too much.
func ParseSeccomp(data []byte) (*LinuxSeccomp, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var p profile
	if err := decoder.Decode(&p); err != nil {
		return nil, invalid("decode seccomp profile: %v", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("decode seccomp profile: more follows the profile's end")
	}
	if p.DefaultAction == "" {
		return nil, invalid("seccomp profile has no defaultAction")
	}
	out := p.LinuxSeccomp
	for i, rule := range p.Syscalls {
		if len(rule.Names) == 0 {
			return nil, invalid("seccomp profile: rule %d names no syscall", i)
		}
		out.Syscalls = append(out.Syscalls, rule.LinuxSyscall)
	}
	return &out, nil
}

// readLimit bounds a profile's file; Docker's default one has 14 KiB.
const readLimit = 4 << 20

func readSeccomp(r io.Reader, name string) (*LinuxSeccomp, error) {
	data, err := io.ReadAll(io.LimitReader(r, readLimit+1))
	if err != nil {
		return nil, fmt.Errorf("read seccomp profile %s: %w", name, err)
	}
	if len(data) > readLimit {
		return nil, invalid("seccomp profile %s is larger than %d bytes", name, readLimit)
	}
	p, err := ParseSeccomp(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}
