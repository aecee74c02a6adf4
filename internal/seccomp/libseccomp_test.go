package seccomp

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/oci"
)

// tooNewFor is runc's own part of the filter: a number above all that the profile names gets ENOSYS.
func tooNewFor(profile *oci.LinuxSeccomp, goarch string) func(data) bool {
	switch profile.DefaultAction {
	case oci.ActAllow, oci.ActLog, oci.ActTrace:
		return func(data) bool { return false }
	}
	highest := map[oci.Arch]uint32{}
	for _, a := range tables() {
		for _, s := range profile.Syscalls {
			for _, name := range s.Names {
				highest[a.name] = max(highest[a.name], a.numbers[name])
			}
		}
	}
	return func(d data) bool {
		var a oci.Arch
		switch {
		case goarch == "amd64" && d.arch == auditX86_64 && d.nr&x32Bit == 0:
			a = oci.ArchX86_64
		case goarch == "amd64" && d.arch == auditX86_64:
			a = oci.ArchX32
		case goarch == "amd64" && d.arch == auditX86:
			a = oci.ArchX86
		case goarch == "arm64" && d.arch == auditAARCH64:
			a = oci.ArchAARCH64
		case goarch == "arm64" && d.arch == auditARM:
			a = oci.ArchARM
		}
		if a != oci.ArchX86_64 && a != oci.ArchAARCH64 && !slices.Contains(profile.Architectures, a) {
			return false
		}
		return highest[a]&^x32Bit != 0 && d.nr > highest[a]
	}
}

// numbers are all that a filter may tell apart, with their neighbours.
func numbers() []uint32 {
	var out []uint32
	for _, base := range []uint32{0, 0x0f0000, x32Bit, 1 << 31, 3 << 30} {
		for n := uint32(0); n < 620; n++ {
			out = append(out, base+n)
		}
	}
	return append(out, x32Bit-1, 1<<31-1, 3<<30-1, math.MaxUint32-1, math.MaxUint32)
}

// values are the boundaries of what a profile compares arguments with.
func values(profile *oci.LinuxSeccomp) []uint64 {
	out := []uint64{0, 1, math.MaxUint32, math.MaxUint32 + 1, math.MaxUint64}
	for _, s := range profile.Syscalls {
		for _, a := range s.Args {
			for _, v := range []uint64{a.Value, a.ValueTwo, a.Value & a.ValueTwo, a.ValueTwo | ^a.Value} {
				out = append(out, v-1, v, v+1, v^1<<32, v+1<<32, v-1<<32, v&math.MaxUint32, v|math.MaxUint32<<32)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// calls gives each boundary case of a profile to fn until that returns false.
func calls(profile *oci.LinuxSeccomp, rng *rand.Rand, fn func(data) bool) {
	pool := values(profile)
	compared := comparedNumbers(profile)
	for _, arch := range []uint32{auditX86_64, auditX86, auditAARCH64, auditARM, 0, auditX86_64 ^ 1<<31} {
		for _, nr := range numbers() {
			if !fn(data{nr: nr, arch: arch}) {
				return
			}
			if !compared[nr] {
				continue
			}
			for arg := range 6 {
				for _, v := range pool {
					d := data{nr: nr, arch: arch}
					d.args[arg] = v
					if !fn(d) {
						return
					}
				}
			}
			for range 60 {
				d := data{nr: nr, arch: arch}
				for arg := range d.args {
					d.args[arg] = pool[rng.IntN(len(pool))]
				}
				if !fn(d) {
					return
				}
			}
		}
	}
}

// native is a machine's own architecture.
func native(goarch string) oci.Arch {
	if goarch == "arm64" {
		return oci.ArchAARCH64
	}
	return oci.ArchX86_64
}

// asRunc is what runc's filter does, by libseccomp: with all architectures in one program or, where single, in one each.
// Of a profile that libseccomp refuses it knows nothing and says otherwise.
func (p *peer) asRunc(profile *oci.LinuxSeccomp, goarch string, single bool) func(t testing.TB, d data, otherwise uint32) uint32 {
	newer := tooNewFor(profile, goarch)
	whole := p.compile(profile, append([]oci.Arch{native(goarch)}, profile.Architectures...)...)
	each := map[oci.Arch][]unix.SockFilter{}
	if single {
		for _, a := range append([]oci.Arch{native(goarch)}, profile.Architectures...) {
			each[a] = p.compile(of(profile, a), a)
		}
	}
	return func(t testing.TB, d data, otherwise uint32) uint32 {
		if newer(d) {
			return retErrno | uint32(unix.ENOSYS)
		}
		program := whole
		if program == nil {
			return otherwise
		}
		if one, ok := each[calledABI(profile, goarch, d)]; ok {
			program = one
		}
		result, _ := run(t, program, d.bytes())
		return result
	}
}

// of leaves out the syscalls that an architecture does not have: with such a one first, libseccomp's program may compare
// without having loaded the number.
func of(profile *oci.LinuxSeccomp, a oci.Arch) *oci.LinuxSeccomp {
	out := *profile
	out.Syscalls = nil
	for _, s := range profile.Syscalls {
		s.Names = slices.DeleteFunc(slices.Clone(s.Names), func(name string) bool {
			_, number := tables()[a].numbers[name]
			_, muxed := tables()[a].muxed[name]
			return !number && !muxed
		})
		out.Syscalls = append(out.Syscalls, s)
	}
	return &out
}

// agree holds our program against what the profile means and, if given, what another makes of it. It returns the first
// call in which the other contradicts the profile while ours does not.
func agree(t *testing.T, profile *oci.LinuxSeccomp, goarch string, other func(testing.TB, data, uint32) uint32, rng *rand.Rand) (odd string) {
	t.Helper()
	ours, _, err := Compile(profile, goarch)
	if err != nil {
		t.Fatal(err)
	}
	meant := meaningOf(profile, goarch)
	calls(profile, rng, func(d data) bool {
		got, _ := run(t, ours, d.bytes())
		want := meant.of(d)
		others := want
		if other != nil {
			others = other(t, d, want)
		}
		if got == want && got == others {
			return true
		}
		text, _ := json.Marshal(profile)
		say := fmt.Sprintf("%s: architecture %#x, number %#x, arguments %#x: %#x, meant %#x, libseccomp %#x\n%s",
			goarch, d.arch, d.nr, d.args, got, want, others, text)
		if got == want {
			odd = say
			return false
		}
		t.Errorf("%s\n%s", say, listing(ours))
		return false
	})
	return odd
}

// comparedNumbers are those of the syscalls, on any architecture, whose arguments a profile looks at.
func comparedNumbers(profile *oci.LinuxSeccomp) map[uint32]bool {
	out := map[uint32]bool{}
	for _, s := range profile.Syscalls {
		if len(s.Args) == 0 {
			continue
		}
		for _, name := range s.Names {
			for _, a := range tables() {
				if n, ok := a.numbers[name]; ok {
					out[n] = true
				}
				if m, ok := a.muxed[name]; ok {
					out[m.number] = true
				}
			}
		}
	}
	for _, m := range tables()[oci.ArchX86].muxed {
		out[m.number] = true
	}
	return out
}

// without leaves out what libseccomp does not know.
func without(p *peer, profile *oci.LinuxSeccomp) *oci.LinuxSeccomp {
	out := *profile
	out.Syscalls = nil
	for _, s := range profile.Syscalls {
		if s.Names = p.known(s.Names); len(s.Names) > 0 {
			out.Syscalls = append(out.Syscalls, s)
		}
	}
	return &out
}

func defaultProfile(t testing.TB, set func(*oci.Config)) *oci.LinuxSeccomp {
	t.Helper()
	c := oci.Config{Args: []string{"true"}}
	set(&c)
	s, err := oci.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s.Linux.Seccomp
}

func TestDefaultProfileAgreesWithLibseccomp(t *testing.T) {
	p := libseccomp(t)
	rng := rand.New(rand.NewPCG(1, 2))
	for name, set := range map[string]func(*oci.Config){
		"default": func(*oci.Config) {},
		"all":     func(c *oci.Config) { c.AddCapabilities = []string{"ALL"} },
		"none":    func(c *oci.Config) { c.DropCapabilities = []string{"ALL"} },
	} {
		t.Run(name, func(t *testing.T) {
			profile := without(p, defaultProfile(t, set))
			for _, arches := range [][]oci.Arch{
				{oci.ArchX86_64, oci.ArchX86, oci.ArchX32}, {oci.ArchARM, oci.ArchAARCH64}, nil, {oci.ArchX86}, {oci.ArchX32},
			} {
				goarch := "amd64"
				if slices.Contains(arches, oci.ArchARM) {
					goarch = "arm64"
				}
				profile.Architectures = arches
				if odd := agree(t, profile, goarch, p.asRunc(profile, goarch, false), rng); odd != "" {
					t.Error(odd)
				}
			}
		})
	}
}

// TestNumbersAgreeWithLibseccomp compares the tables themselves.
func TestNumbersAgreeWithLibseccomp(t *testing.T) {
	p := libseccomp(t)
	for _, a := range tables() {
		var theirs map[string]uint32
		question := map[string]any{"numbers": strings.TrimPrefix(string(a.name), "SCMP_ARCH_")}
		if err := json.Unmarshal(p.ask(question), &theirs); err != nil {
			t.Fatal(err)
		}
		if len(theirs) < 250 {
			t.Errorf("%s: libseccomp names %d syscalls only", a.name, len(theirs))
		}
		for name, number := range theirs {
			if ours, ok := a.numbers[name]; !ok || ours != number {
				t.Errorf("%s: %s is %d here, %d in libseccomp", a.name, name, ours, number)
			}
		}
		for name, number := range a.numbers {
			// Newer than Debian's libseccomp are those above map_shadow_stack's neighbours, and uretprobe.
			if _, ok := theirs[name]; !ok && number&^x32Bit < 457 && name != "uretprobe" && a.muxed[name] == (mux{}) {
				t.Errorf("%s: libseccomp has no %s (%d)", a.name, name, number)
			}
		}
	}
}
