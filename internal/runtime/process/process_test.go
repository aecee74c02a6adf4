package process

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/image"
)

func TestArguments(t *testing.T) {
	both := &image.ImageConfig{Entrypoint: []string{"entry"}, Cmd: []string{"cmd"}}
	for _, c := range []struct {
		command, args string
		img           *image.ImageConfig
		want          string
	}{
		{"", "", both, "entry cmd"},
		{"", "a b", both, "entry a b"},
		{"c", "", both, "c"},
		{"c", "a", both, "c a"},
		{"", "", &image.ImageConfig{Cmd: []string{"cmd", "x"}}, "cmd x"},
		{"", "a", &image.ImageConfig{Cmd: []string{"cmd"}}, "a"},
		{"", "", &image.ImageConfig{}, ""},
	} {
		if got := strings.Join(Arguments(strings.Fields(c.command), strings.Fields(c.args), c.img), " "); got != c.want {
			t.Errorf("command %q, args %q, image %+v: %q, want %q", c.command, c.args, c.img, got, c.want)
		}
	}
}

func TestArgumentsAreTheCallersOwn(t *testing.T) {
	entry := append(make([]string, 0, 8), "entry")
	got := Arguments(nil, []string{"a"}, &image.ImageConfig{Entrypoint: entry})
	got[0] = "other"
	if entry[0] != "entry" || len(entry[:2][1]) != 0 {
		t.Errorf("the image's entrypoint was changed: %q", entry[:2])
	}
}

func TestEnvironment(t *testing.T) {
	for _, c := range []struct{ image, own, want []string }{
		{nil, nil, []string{"HOME=/root"}},
		{[]string{"A=1", "B=2"}, []string{"A=3", "C=4"}, []string{"A=3", "B=2", "C=4", "HOME=/root"}},
		{[]string{"HOME=/srv"}, nil, []string{"HOME=/srv"}},
		{nil, []string{"HOME="}, []string{"HOME="}},
		{nil, []string{"A=1", "A=2"}, []string{"A=2", "HOME=/root"}},
		{[]string{"bare", "=nameless", "E=a=b"}, nil, []string{"E=a=b", "HOME=/root"}},
	} {
		if got := Environment(c.own, &image.ImageConfig{Env: c.image}, "/root"); !slices.Equal(got, c.want) {
			t.Errorf("image %q, own %q: %q, want %q", c.image, c.own, got, c.want)
		}
	}
}

func TestParseSignal(t *testing.T) {
	for name, want := range map[string]int{
		"SIGTERM": 15, "TERM": 15, "term": 15, "sigquit": 3, "15": 15, "1": 1, "64": 64, "SIGWINCH": 28,
		"SIGRTMIN": 34, "SIGRTMIN+3": 37, "RTMIN+30": 64, "RTMAX": 64, "SIGRTMAX-1": 63, "rtmax-30": 34,
		"": 0, "0": 0, "65": 0, "-1": 0, "SIGFOO": 0, "SIG": 0, "SIGRTMIN-1": 0, "SIGRTMIN+31": 0, "SIGRTMAX+1": 0, "SIGRTMIN+x": 0, "SIGRTMINX": 0,
	} {
		got, err := ParseSignal(name)
		if want == 0 && err == nil || want != 0 && (err != nil || got != unix.Signal(want)) {
			t.Errorf("%q: %d, %v; want %d", name, got, err, want)
		}
	}
}

const (
	passwd = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:www:/var/www:/bin/false\n\n# broken\nshort:x\n"
	groups = "root:x:0:\nweb:x:34:\nmedia:x:40:web,root\nextra:x:41:web\n"
)

// rootfs makes a directory with these files in etc, opened as a root file system is.
func rootfs(t *testing.T, files map[string]string) *os.File {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, "etc", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.OpenFile(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestFind(t *testing.T) {
	whole := rootfs(t, map[string]string{"passwd": passwd, "group": groups})
	empty := rootfs(t, nil)
	for _, c := range []struct {
		name string
		in   *os.File
		user User
		want Identity // zero: an error
	}{
		{"root by default", whole, User{}, Identity{0, 0, []uint32{0, 40}, "/root"}},
		{"nothing known", empty, User{}, Identity{0, 0, []uint32{0}, "/"}},
		{"by name", whole, User{Spec: "web"}, Identity{33, 34, []uint32{34, 40, 41}, "/var/www"}},
		{"by number that is known", whole, User{Spec: "33"}, Identity{33, 34, []uint32{34, 40, 41}, "/var/www"}},
		{"by number that is not", whole, User{Spec: "1000"}, Identity{1000, 0, []uint32{0}, "/"}},
		{"by number without files", empty, User{Spec: "1000:1001"}, Identity{1000, 1001, []uint32{1001}, "/"}},
		{"with a group by name", whole, User{Spec: "web:media"}, Identity{33, 40, []uint32{40}, "/var/www"}},
		{"the user asked for wins", whole, User{Spec: "web", RunAsUser: new(int64(0))}, Identity{0, 0, []uint32{0, 40}, "/root"}},
		{"the group asked for wins, and memberships stay", whole, User{Spec: "web", RunAsGroup: new(int64(7))}, Identity{33, 7, []uint32{7, 40, 41}, "/var/www"}},
		{"over a group in the image", whole, User{Spec: "web:media", RunAsUser: new(int64(1000)), RunAsGroup: new(int64(7))}, Identity{1000, 7, []uint32{7}, "/"}},
		{"further groups, each once", whole, User{Spec: "web", SupplementalGroups: []int64{41, 90, 90, 34}}, Identity{33, 34, []uint32{34, 40, 41, 90}, "/var/www"}},
		{"unknown name", whole, User{Spec: "nobody-here"}, Identity{}},
		{"unknown name without files", empty, User{Spec: "web"}, Identity{}},
		{"unknown group", whole, User{Spec: "web:nobody-here"}, Identity{}},
		{"too large", whole, User{Spec: "4294967296"}, Identity{}},
	} {
		got, err := c.user.Find(c.in)
		if c.want.Home == "" {
			if err == nil {
				t.Errorf("%s: %+v, want an error", c.name, got)
			}
			continue
		}
		if err != nil || got.UID != c.want.UID || got.GID != c.want.GID || got.Home != c.want.Home || !slices.Equal(got.Groups, c.want.Groups) {
			t.Errorf("%s: %+v, %v; want %+v", c.name, got, err, c.want)
		}
	}
}

// TestHostileAccounts: an image's files cannot lead out of it, nor hold the start up.
func TestHostileAccounts(t *testing.T) {
	makers := map[string]func(path string) error{
		"symlink to the host's": func(p string) error { return os.Symlink("/etc/passwd", p) },
		"symlink upwards":       func(p string) error { return os.Symlink("../../../../../../../etc/passwd", p) },
		"symlink to itself":     func(p string) error { return os.Symlink("passwd", p) },
		"magic link":            func(p string) error { return os.Symlink("/proc/self/root/etc/passwd", p) },
		"pipe":                  func(p string) error { return unix.Mkfifo(p, 0o600) },
		"directory":             func(p string) error { return os.Mkdir(p, 0o755) },
		"too large":             func(p string) error { return errorOf(os.WriteFile(p, nil, 0o644), os.Truncate(p, accountsLimit+1)) },
	}
	for name, mk := range makers {
		root := rootfs(t, nil)
		if err := mk(filepath.Join(root.Name(), "etc/passwd")); err != nil {
			t.Fatal(err)
		}
		if id, err := (User{Spec: "daemon"}).Find(root); err == nil {
			t.Errorf("%s: found %+v", name, id)
		}
	}
}

// TestNumbersThatAreNoIDs: a number in an image's /etc/passwd or /etc/group that is none of an ID's is not made one of another user, such as root.
func TestNumbersThatAreNoIDs(t *testing.T) {
	for _, ids := range []string{"-1:0", "4294967295:0", "4294967296:0", "5:-1", "5:99999999999", "99999999999999999999:5"} {
		root := rootfs(t, map[string]string{"passwd": "web:x:" + ids + "::/:\n"})
		if id, err := (User{Spec: "web"}).Find(root); err == nil {
			t.Errorf("%s: found %+v", ids, id)
		}
	}
	for _, gid := range []string{"-1", "4294967296", "99999999999999999999"} {
		root := rootfs(t, map[string]string{"passwd": passwd, "group": "more:x:" + gid + ":web\n"})
		for _, u := range []User{{Spec: "web"}, {Spec: "web", RunAsGroup: new(int64(7))}} {
			if id, err := u.Find(root); err == nil {
				t.Errorf("further group %s: found %+v", gid, id)
			}
		}
	}
}

func errorOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestAccountsByLink: a link within the image is followed.
func TestAccountsByLink(t *testing.T) {
	root := rootfs(t, map[string]string{"real": passwd, "group": groups})
	if err := os.Symlink("/etc/real", filepath.Join(root.Name(), "etc/passwd")); err != nil {
		t.Fatal(err)
	}
	if id, err := (User{Spec: "web"}).Find(root); err != nil || id.UID != 33 {
		t.Errorf("%+v, %v", id, err)
	}
}
