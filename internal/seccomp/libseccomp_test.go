package seccomp

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/oci"
)

// peer is libseccomp, by Debian's python3-seccomp.
type peer struct {
	t   testing.TB
	in  io.Writer
	out *bufio.Reader
}

func libseccomp(t testing.TB) *peer {
	t.Helper()
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import seccomp").Run(); err != nil {
		t.Skipf("compares with libseccomp: install python3-seccomp (%v)", err)
	}
	cmd := exec.Command(python, "testdata/libseccomp.py")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("libseccomp.py: %v\n%s", err, stderr.String())
		}
	})
	return &peer{t, in, bufio.NewReaderSize(out, 1<<20)}
}

func (p *peer) ask(question any) []byte {
	p.t.Helper()
	line, err := json.Marshal(question)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		p.t.Fatal(err)
	}
	answer, err := p.out.ReadBytes('\n')
	if err != nil {
		p.t.Fatalf("libseccomp.py ended on %s", line)
	}
	return answer[:len(answer)-1]
}

// known are those of the names that libseccomp has heard of: Debian's is older than our tables.
func (p *peer) known(names []string) []string {
	var out []string
	if err := json.Unmarshal(p.ask(map[string]any{"known": names}), &out); err != nil {
		p.t.Fatal(err)
	}
	return out
}

type peerArg struct {
	Index uint   `json:"index"`
	Op    string `json:"op"`
	A     uint64 `json:"a"`
	B     uint64 `json:"b"`
}

type peerRule struct {
	Name   string    `json:"name"`
	Action uint32    `json:"action"`
	Args   []peerArg `json:"args"`
}

// compile has libseccomp make the program that runc would have of it.
func (p *peer) compile(profile *oci.LinuxSeccomp, goarch string) []unix.SockFilter {
	p.t.Helper()
	def, err := actionValue(profile.DefaultAction, profile.DefaultErrnoRet)
	if err != nil {
		p.t.Fatal(err)
	}
	var arches []string
	native := oci.ArchX86_64
	if goarch == "arm64" {
		native = oci.ArchAARCH64
	}
	for _, a := range append([]oci.Arch{native}, profile.Architectures...) {
		arches = append(arches, strings.TrimPrefix(string(a), "SCMP_ARCH_"))
	}
	rules := []peerRule{}
	for _, s := range profile.Syscalls {
		action, err := actionValue(s.Action, s.ErrnoRet)
		if err != nil {
			p.t.Fatal(err)
		}
		args := []peerArg{}
		count := map[uint]int{}
		for _, a := range s.Args {
			args = append(args, peerArg{a.Index, strings.TrimPrefix(string(a.Op), "SCMP_CMP_"), a.Value, a.ValueTwo})
			count[a.Index]++
		}
		for _, name := range s.Names {
			switch {
			case action == def:
			case len(args) > 0 && slices.Max(slices.Collect(maps.Values(count))) > 1:
				for _, a := range args {
					rules = append(rules, peerRule{name, action, []peerArg{a}})
				}
			default:
				rules = append(rules, peerRule{name, action, args})
			}
		}
	}
	raw := p.ask(map[string]any{"default": def, "arches": arches, "amd64": goarch == "amd64", "rules": rules})
	code, err := hex.DecodeString(string(raw))
	if err != nil {
		p.t.Fatalf("%s: %v", raw, err)
	}
	var program []unix.SockFilter
	for ; len(code) > 0; code = code[8:] {
		program = append(program, unix.SockFilter{
			Code: uint16(code[0]) | uint16(code[1])<<8, Jt: code[2], Jf: code[3],
			K: uint32(code[4]) | uint32(code[5])<<8 | uint32(code[6])<<16 | uint32(code[7])<<24,
		})
	}
	return program
}

// tooNew is runc's own part of the filter: a number above all that the profile names gets ENOSYS.
func tooNew(profile *oci.LinuxSeccomp, goarch string, d data) bool {
	switch profile.DefaultAction {
	case oci.ActAllow, oci.ActLog, oci.ActTrace:
		return false
	}
	has := func(a oci.Arch) bool { return slices.Contains(profile.Architectures, a) }
	var a oci.Arch
	switch {
	case goarch == "amd64" && d.arch == auditX86_64 && d.nr&x32Bit == 0:
		a = oci.ArchX86_64
	case goarch == "amd64" && d.arch == auditX86_64 && has(oci.ArchX32):
		a = oci.ArchX32
	case goarch == "amd64" && d.arch == auditX86 && has(oci.ArchX86):
		a = oci.ArchX86
	case goarch == "arm64" && d.arch == auditAARCH64:
		a = oci.ArchAARCH64
	case goarch == "arm64" && d.arch == auditARM && has(oci.ArchARM):
		a = oci.ArchARM
	default:
		return false
	}
	highest := uint32(0)
	for _, s := range profile.Syscalls {
		for _, name := range s.Names {
			highest = max(highest, tables()[a].numbers[name])
		}
	}
	return highest&^x32Bit != 0 && d.nr > highest
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

// agree holds our program and libseccomp's against each other.
func agree(t *testing.T, p *peer, profile *oci.LinuxSeccomp, goarch string, rng *rand.Rand) {
	t.Helper()
	ours, _, err := Compile(profile, goarch)
	if err != nil {
		t.Fatal(err)
	}
	theirs := p.compile(profile, goarch)
	pool := values(profile)
	one := func(d data) {
		in := d.bytes()
		got, _ := run(t, ours, in)
		want, _ := run(t, theirs, in)
		if tooNew(profile, goarch, d) {
			want = retErrno | uint32(unix.ENOSYS)
		}
		if got != want {
			text, _ := json.Marshal(profile)
			t.Fatalf("%s: architecture %#x, number %#x, arguments %#x: %#x, libseccomp %#x\n%s\n%s", goarch, d.arch, d.nr, d.args, got, want, text, listing(ours))
		}
	}
	compared := comparedNumbers(profile)
	for _, arch := range []uint32{auditX86_64, auditX86, auditAARCH64, auditARM, 0, auditX86_64 ^ 1<<31} {
		for _, nr := range numbers() {
			one(data{nr: nr, arch: arch})
			if !compared[nr] {
				continue
			}
			for arg := range 6 {
				for _, v := range pool {
					d := data{nr: nr, arch: arch}
					d.args[arg] = v
					one(d)
				}
			}
			for range 200 {
				d := data{nr: nr, arch: arch}
				for arg := range d.args {
					d.args[arg] = pool[rng.IntN(len(pool))]
				}
				one(d)
			}
		}
	}
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
			profile.Architectures = []oci.Arch{oci.ArchX86_64, oci.ArchX86, oci.ArchX32}
			agree(t, p, profile, "amd64", rng)
			profile.Architectures = []oci.Arch{oci.ArchARM, oci.ArchAARCH64}
			agree(t, p, profile, "arm64", rng)
			profile.Architectures = nil
			agree(t, p, profile, "amd64", rng)
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
