package oci

import (
	"cmp"
	"errors"
	"slices"
	"strings"
)

const (
	defaultPath  = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	defaultUmask = 0o022
	hostnameMax  = 64
)

func process(c *Config, caps []string) *Process {
	p := &Process{
		Terminal:    c.Terminal,
		ConsoleSize: c.ConsoleSize,
		User: User{
			UID: c.UID, GID: c.GID, Umask: new(uint32(defaultUmask)), AdditionalGids: slices.Clone(c.Groups),
		},
		Args:            slices.Clone(c.Args),
		Env:             environment(c),
		Cwd:             cmp.Or(c.Cwd, "/"),
		NoNewPrivileges: c.NoNewPrivileges,
		OOMScoreAdj:     c.OOMScoreAdj,
		// The inheritable set stays empty, or a program with file capabilities would gain from it; so the ambient set does too.
		Capabilities: &LinuxCapabilities{Bounding: caps, Effective: slices.Clone(caps), Permitted: slices.Clone(caps)},
	}
	if c.Umask != nil {
		p.User.Umask = new(*c.Umask)
	}
	for _, r := range c.Rlimits {
		p.Rlimits = append(p.Rlimits, POSIXRlimit{Type: r.Type, Soft: r.Soft, Hard: r.Hard})
	}
	return p
}

func environment(c *Config) []string {
	env := []string{defaultPath}
	if c.Terminal {
		env = append(env, "TERM=xterm")
	}
	if c.Hostname != "" {
		env = append(env, "HOSTNAME="+c.Hostname)
	}
	return mergeEnv(env, c.Env)
}

// mergeEnv puts each of more in the place of the variable of the same name, or at the end.
func mergeEnv(env, more []string) []string {
	place := map[string]int{}
	out := make([]string, 0, len(env)+len(more))
	for _, kv := range slices.Concat(env, more) {
		name, _, _ := strings.Cut(kv, "=")
		if i, ok := place[name]; ok {
			out[i] = kv
			continue
		}
		place[name] = len(out)
		out = append(out, kv)
	}
	return out
}

// Exec is a further process of a container.
type Exec struct {
	Args        []string
	Env         []string // besides the container's own
	Cwd         string   // "" is the container's own
	Terminal    bool
	ConsoleSize *Box
}

// ExecProcess is a process for exec: the container's own, its user, capabilities and limits with it, but for what e says.
func ExecProcess(s *Spec, e Exec) (*Process, error) {
	if s.Process == nil {
		return nil, invalid("exec: the container's spec has no process")
	}
	p := *s.Process
	p.Args = slices.Clone(e.Args)
	p.Cwd = cmp.Or(e.Cwd, p.Cwd)
	p.Terminal = e.Terminal
	p.ConsoleSize = e.ConsoleSize
	var terminal []string
	if e.Terminal {
		terminal = []string{"TERM=xterm"}
	}
	p.Env = mergeEnv(terminal, slices.Concat(p.Env, e.Env))
	if err := errors.Join(checkArgs(p.Args), checkEnv(p.Env), checkPath("cwd", p.Cwd)); err != nil {
		return nil, err
	}
	return &p, nil
}

func checkProcess(c *Config) error {
	errs := []error{checkArgs(c.Args), checkEnv(c.Env), checkPath("cwd", cmp.Or(c.Cwd, "/"))}
	if len(c.Hostname) > hostnameMax {
		errs = append(errs, invalid("hostname %q is longer than %d bytes", c.Hostname, hostnameMax))
	}
	if c.Umask != nil && *c.Umask > 0o777 {
		errs = append(errs, invalid("umask %#o is above 0777", *c.Umask))
	}
	if adj := c.OOMScoreAdj; adj != nil && (*adj < -1000 || *adj > 1000) {
		errs = append(errs, invalid("oom score adjustment %d is not within -1000 and 1000", *adj))
	}
	if !mapped(c.UIDMappings, c.UID) {
		errs = append(errs, invalid("user %d is not mapped in the user namespace", c.UID))
	}
	for _, gid := range slices.Concat([]uint32{c.GID}, c.Groups) {
		if !mapped(c.GIDMappings, gid) {
			errs = append(errs, invalid("group %d is not mapped in the user namespace", gid))
		}
	}
	return errors.Join(append(errs, checkRlimits(c.Rlimits))...)
}

func checkArgs(args []string) error {
	if len(args) == 0 {
		return invalid("no command specified")
	}
	for _, arg := range args {
		if strings.ContainsRune(arg, 0) {
			return invalid("argument %q has a NUL", arg)
		}
	}
	return nil
}

func checkEnv(env []string) error {
	for _, kv := range env {
		name, _, ok := strings.Cut(kv, "=")
		if !ok || name == "" {
			return invalid("environment %q is not NAME=VALUE", kv)
		}
		if strings.ContainsRune(kv, 0) {
			return invalid("environment %q has a NUL", kv)
		}
	}
	return nil
}

// rlimits are the names of getrlimit(2), each at the place of its number.
var rlimits = [...]string{
	"RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS", "RLIMIT_NPROC", "RLIMIT_NOFILE",
	"RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RTPRIO",
	"RLIMIT_RTTIME",
}

// RlimitNumber is the kernel's number of a limit such as "RLIMIT_NOFILE".
func RlimitNumber(name string) (int, bool) {
	i := slices.Index(rlimits[:], name)
	return i, i >= 0
}

func checkRlimits(limits []Rlimit) error {
	var errs []error
	seen := map[string]bool{}
	for _, r := range limits {
		if _, ok := RlimitNumber(r.Type); !ok {
			errs = append(errs, invalid("unknown resource limit %q", r.Type))
		}
		if seen[r.Type] {
			errs = append(errs, invalid("resource limit %s is given twice", r.Type))
		}
		if r.Soft > r.Hard {
			errs = append(errs, invalid("resource limit %s: soft limit %d is above the hard limit %d", r.Type, r.Soft, r.Hard))
		}
		seen[r.Type] = true
	}
	return errors.Join(errs...)
}
