package oci

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
)

func TestParseSeccomp(t *testing.T) {
	p, err := ParseSeccomp([]byte(`{
		"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86_64"],
		"flags": ["SECCOMP_FILTER_FLAG_LOG"],
		"syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW", "comment": "why not",
			"args": [{"index": 0, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if p.DefaultAction != ActErrno || *p.DefaultErrnoRet != 38 || len(p.Syscalls) != 1 || p.Syscalls[0].Names[0] != "read" ||
		p.Syscalls[0].Args[0].ValueTwo != 2 {
		t.Errorf("profile %+v", p)
	}
	for text, want := range map[string]string{
		``:                                   "EOF",
		`{}`:                                 "no defaultAction",
		`{"defaultAction":"x"} {}`:           "more follows",
		`{"defaultAction":"x","archMap":[]}`: `unknown field "archMap"`,
		`{"defaultAction":"x","syscalls":[{"names":["a"],"includes":{}}]}`: `unknown field "includes"`,
		`{"defaultAction":"x","syscalls":[{"action":"y"}]}`:                "rule 0 names no syscall",
	} {
		if _, err := ParseSeccomp([]byte(text)); err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, errdefs.ErrInvalidArgument) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}

func FuzzParseSeccomp(f *testing.F) {
	f.Add([]byte(`{"defaultAction":"SCMP_ACT_KILL","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseSeccomp(data)
		if (p == nil) == (err == nil) {
			t.Errorf("profile %v with error %v", p, err)
		}
	})
}

func TestReadSeccomp(t *testing.T) {
	file := filepath.Join(t.TempDir(), "p.json")
	if _, err := ReadSeccomp(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(file, []byte(`{"defaultAction":"SCMP_ACT_LOG"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := ReadSeccomp(file)
	if err != nil {
		t.Fatal(err)
	}
	c := base()
	c.Seccomp = Seccomp{Kind: SeccompLocalhost, Profile: p}
	s, err := New(c)
	if err != nil || s.Linux.Seccomp.DefaultAction != ActLog {
		t.Errorf("spec %+v, %v", s, err)
	}
	if err := os.Truncate(file, readLimit+1); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSeccomp(file); err == nil || !strings.Contains(err.Error(), "is larger than") {
		t.Errorf("huge file: %v", err)
	}
}

func TestHostCapabilities(t *testing.T) {
	got, err := HostCapabilities()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range got {
		if _, ok := CapabilityNumber(name); !ok {
			t.Errorf("capability %q has no number", name)
		}
	}
	if os.Geteuid() == 0 && !slices.Contains(got, "CAP_CHOWN") {
		t.Errorf("root without CAP_CHOWN: %v", got)
	}
}

// TestCapabilityNumbers holds the table against the kernel's constants.
func TestCapabilityNumbers(t *testing.T) {
	for name, want := range map[string]int{
		"CAP_CHOWN": unix.CAP_CHOWN, "CAP_NET_RAW": unix.CAP_NET_RAW, "CAP_SYS_ADMIN": unix.CAP_SYS_ADMIN, "CAP_MKNOD": unix.CAP_MKNOD,
		"CAP_SETFCAP": unix.CAP_SETFCAP, "CAP_SYSLOG": unix.CAP_SYSLOG, "CAP_CHECKPOINT_RESTORE": unix.CAP_CHECKPOINT_RESTORE,
	} {
		if got, ok := CapabilityNumber(name); !ok || got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
	if len(capabilities) != unix.CAP_LAST_CAP+1 {
		t.Errorf("%d capabilities, the kernel's headers have %d", len(capabilities), unix.CAP_LAST_CAP+1)
	}
	for name, want := range map[string]int{"RLIMIT_CPU": 0, "RLIMIT_NOFILE": unix.RLIMIT_NOFILE, "RLIMIT_MEMLOCK": unix.RLIMIT_MEMLOCK, "RLIMIT_RTTIME": 15} {
		if got, ok := RlimitNumber(name); !ok || got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
}

func TestHostDevices(t *testing.T) {
	hulltest.NeedRoot(t)
	root := t.TempDir()
	for _, dir := range []string{"pts", "net"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []struct {
		name string
		mode uint32
		dev  uint64
	}{
		{"net/tun", unix.S_IFCHR | 0o660, unix.Mkdev(10, 200)},
		{"vda", unix.S_IFBLK | 0o600, unix.Mkdev(254, 0)},
		{"console", unix.S_IFCHR | 0o600, unix.Mkdev(5, 1)},
		{"ptmx", unix.S_IFCHR | 0o666, unix.Mkdev(5, 2)},
		{"pts/0", unix.S_IFCHR | 0o600, unix.Mkdev(136, 0)},
		{"fifo", unix.S_IFIFO | 0o600, 0},
	} {
		if err := unix.Mknod(filepath.Join(root, n.name), n.mode, int(n.dev)); err != nil {
			t.Fatal(err)
		}
		if err := unix.Chmod(filepath.Join(root, n.name), n.mode&0o777); err != nil {
			t.Fatal(err)
		}
	}
	got, err := devicesBelow(root)
	if err != nil {
		t.Fatal(err)
	}
	want := []Device{
		{Path: "/dev/net/tun", Type: "c", Major: 10, Minor: 200, FileMode: 0o660},
		{Path: "/dev/vda", Type: "b", Major: 254, FileMode: 0o600},
	}
	if !slices.Equal(got, want) {
		t.Errorf("devices %+v, want %+v", got, want)
	}
	if all, err := HostDevices(); err != nil || len(all) == 0 {
		t.Errorf("this host's devices: %v, %v", all, err)
	}
}
