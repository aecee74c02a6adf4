package seccomp

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
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
	Action int32     `json:"action"` // its bits, as Python takes them
	Args   []peerArg `json:"args"`
}

// compile has libseccomp make a program for some architectures as runc would ask for it. It refuses, with nothing, the
// same conditions with two actions.
func (p *peer) compile(profile *oci.LinuxSeccomp, arches ...oci.Arch) []unix.SockFilter {
	p.t.Helper()
	def, err := actionValue(profile.DefaultAction, profile.DefaultErrnoRet)
	if err != nil {
		p.t.Fatal(err)
	}
	var names []string
	for _, a := range arches {
		names = append(names, strings.TrimPrefix(string(a), "SCMP_ARCH_"))
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
					rules = append(rules, peerRule{name, int32(action), []peerArg{a}})
				}
			default:
				rules = append(rules, peerRule{name, int32(action), args})
			}
		}
	}
	raw := p.ask(map[string]any{"default": int32(def), "arches": names, "rules": rules})
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
