package seccomp

import (
	"math"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/oci"
)

// meaning is what a profile says, worked out for each call from the profile's text: no ranges, no trees, no steps.
type meaning struct {
	newer   func(data) bool
	profile *oci.LinuxSeccomp
	goarch  string
	def     uint32
	said    map[oci.Arch]map[uint32][]saying
}

// saying is an entry of the profile that is about a number, perhaps through the syscall that stands for it.
type saying struct {
	action uint32
	args   []oci.LinuxSeccompArg
	call   uint32
	muxed  bool
}

func meaningOf(profile *oci.LinuxSeccomp, goarch string) *meaning {
	m := &meaning{newer: tooNewFor(profile, goarch), profile: profile, goarch: goarch, said: map[oci.Arch]map[uint32][]saying{}}
	m.def, _ = actionValue(profile.DefaultAction, profile.DefaultErrnoRet)
	for _, a := range tables() {
		said := map[uint32][]saying{}
		for _, s := range profile.Syscalls {
			action, _ := actionValue(s.Action, s.ErrnoRet)
			for _, name := range s.Names {
				if mux, ok := a.muxed[name]; ok && action != m.def {
					said[mux.number] = append(said[mux.number], saying{action, s.Args, mux.call, true})
				}
				if n, ok := a.numbers[name]; ok && action != m.def {
					said[n] = append(said[n], saying{action: action, args: s.Args})
				}
			}
		}
		m.said[a.name] = said
	}
	return m
}

func (m *meaning) of(d data) uint32 {
	if m.newer(d) {
		return retErrno | uint32(unix.ENOSYS)
	}
	a := calledABI(m.profile, m.goarch, d)
	if a == "" {
		return retKillThread
	}
	wide := tables()[a].wide
	result, found := m.def, false
	for _, s := range m.said[a][d.nr] {
		if !s.muxed && argsAlwaysHold(s.args, wide) {
			return s.action // the first of these is the answer, whatever was found before
		}
		matches := argsHold(s.args, d, wide, false)
		if s.muxed {
			matches = uint32(d.args[0]) == s.call && argsHold(s.args, d, false, true)
		}
		if matches && !found {
			result, found = s.action, true
		}
	}
	return result
}

func calledABI(profile *oci.LinuxSeccomp, goarch string, d data) oci.Arch {
	asked := func(a oci.Arch) oci.Arch {
		for _, b := range profile.Architectures {
			if a == b {
				return a
			}
		}
		return ""
	}
	switch {
	case goarch == "amd64" && d.arch == auditX86_64 && (d.nr < x32Bit || d.nr == math.MaxUint32):
		return oci.ArchX86_64
	case goarch == "amd64" && d.arch == auditX86_64:
		return asked(oci.ArchX32)
	case goarch == "amd64" && d.arch == auditX86:
		return asked(oci.ArchX86)
	case goarch == "arm64" && d.arch == auditAARCH64:
		return oci.ArchAARCH64
	case goarch == "arm64" && d.arch == auditARM:
		return asked(oci.ArchARM)
	}
	return ""
}

func argsHold(args []oci.LinuxSeccompArg, d data, wide, muxed bool) bool {
	count := map[uint]int{}
	either := false
	for _, a := range args {
		count[a.Index]++
		either = either || count[a.Index] > 1
	}
	for _, a := range args {
		holds := muxed && a.Index == 0 || argHolds(a, d.args[a.Index], wide)
		if holds == either {
			return either
		}
	}
	return !either
}

func argsAlwaysHold(args []oci.LinuxSeccompArg, wide bool) bool {
	count := map[uint]int{}
	either := false
	for _, a := range args {
		count[a.Index]++
		either = either || count[a.Index] > 1
	}
	for _, a := range args {
		none := a.Op == oci.OpMaskedEqual && (a.Value == 0 || !wide && uint32(a.Value) == 0)
		if none == either {
			return either
		}
	}
	return !either
}

func argHolds(a oci.LinuxSeccompArg, v uint64, wide bool) bool {
	x, y := a.Value, a.ValueTwo&a.Value // bits outside the mask are not asked for
	if !wide {
		v, x, y = v&math.MaxUint32, x&math.MaxUint32, y&math.MaxUint32
	}
	switch a.Op {
	case oci.OpNotEqual:
		return v != x
	case oci.OpLessThan:
		return v < x
	case oci.OpLessEqual:
		return v <= x
	case oci.OpEqualTo:
		return v == x
	case oci.OpGreaterEqual:
		return v >= x
	case oci.OpGreaterThan:
		return v > x
	}
	for shift := 0; shift < 64; shift += 32 {
		if m := uint32(x >> shift); m != 0 && uint32(v>>shift)&m != uint32(y>>shift) {
			return false
		}
	}
	return true
}
