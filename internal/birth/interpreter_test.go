package birth

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// write appends a step that writes a text.
func write(p *Program, fd Arg, s string) Result {
	return p.Call("write "+s, linux.SysWrite, fd, Bytes([]byte(s)), Value(len(s)))
}

func leave(p *Program, status int) {
	p.Call("leave", linux.SysExitGroup, Value(status))
}

func TestValueIsTheStatus(t *testing.T) {
	onEach(t, func(t *testing.T, arch linux.Arch) {
		p := New("leave")
		leave(p, 77)
		h := start(t, arch, nil)
		h.perform(p, nil)
		h.ends(77)
	})
}

// TestWrites has every kind of argument write into one pipe.
func TestWrites(t *testing.T) {
	for name, build := range map[string]func(p *Program, out Arg) string{
		"bytes of a sent descriptor": func(p *Program, out Arg) string {
			write(p, out, "hello")
			return "hello"
		},
		"string": func(p *Program, out Arg) string {
			p.Call("write", linux.SysWrite, out, String("text"), Value(5))
			return "text\x00"
		},
		"pointers": func(p *Program, out Arg) string {
			// The last word of the array is the zero that ends it.
			two := Strings("a", "b")
			p.Call("write", linux.SysWrite, out, two, Value(24))
			return "\x18\x00\x20\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00"
		},
		"result": func(p *Program, out Arg) string {
			fd := p.Call("again", linux.SysFcntl, out, Value(unix.F_DUPFD_CLOEXEC), Value(100))
			write(p, fd, "through a result")
			return "through a result"
		},
		"results keep": func(p *Program, out Arg) string {
			first := p.Call("first", linux.SysFcntl, out, Value(unix.F_DUPFD_CLOEXEC), Value(100))
			second := p.Call("second", linux.SysFcntl, first, Value(unix.F_DUPFD_CLOEXEC), Value(200))
			p.Call("close the first", linux.SysClose, first)
			write(p, second, "two")
			write(p, first, "closed").Allow(unix.EBADF)
			return "two"
		},
		"what a buffer holds": func(p *Program, out Arg) string {
			ends := NewBuffer("ends", 8)
			p.Call("pipe", linux.SysPipe2, ends, Value(unix.O_CLOEXEC))
			write(p, ends.Int32(4), "round")
			word := NewBuffer("word", 8)
			n := p.Call("read", linux.SysRead, ends.Int32(0), word, Value(8))
			p.Call("write", linux.SysWrite, out, word, n)
			return "round"
		},
		"variable": func(p *Program, out Arg) string {
			v := p.Variable("out", -1)
			p.Set("choose", v, out)
			write(p, v, "chosen")
			p.Set("forget", v, Value(-1))
			write(p, v, "nowhere").Allow(unix.EBADF)
			return "chosen"
		},
		"six arguments": func(p *Program, out Arg) string {
			// The second page of a file, mapped where nothing else is.
			file := p.Call("file", linux.SysMemfdCreate, String("pages"), Value(0))
			p.Call("grow", linux.SysFtruncate, file, Value(8192))
			p.Call("seek", linux.SysLseek, file, Value(4096), Value(0))
			write(p, file, "second page")
			const there = 0x700000
			p.Call("map", linux.SysMmap, Value(there), Value(4096), Value(unix.PROT_READ),
				Value(unix.MAP_PRIVATE|unix.MAP_FIXED_NOREPLACE), file, Value(4096))
			p.Call("write", linux.SysWrite, out, Value(there), Value(11))
			return "second page"
		},
		"same structure twice": func(p *Program, out Arg) string {
			// The second use must have the descriptor of the second time.
			v := p.Variable("out", -1)
			both := &structure{fields: []field{{"", 4, v, nil}, {"", 4, Value(0x64636261), nil}}}
			p.Set("one", v, Value(1))
			p.Call("write", linux.SysWrite, out, both, Value(8))
			p.Set("two", v, Value(2))
			p.Call("write", linux.SysWrite, out, both, Value(8))
			return "\x01\x00\x00\x00abcd\x02\x00\x00\x00abcd"
		},
		"sizes in a structure": func(p *Program, out Arg) string {
			s := &structure{fields: []field{{"", 1, Value(1), nil}, {"", 2, Value(0x3232), nil}, {}, {"", 8, Value(-1), nil}}}
			p.Call("write", linux.SysWrite, out, s, Value(16))
			return "\x0122\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, arch linux.Arch) {
				p := New(name)
				want := build(p, p.FD("out"))
				leave(p, 0)
				h := start(t, arch, nil)
				r, w := pipe(t)
				h.perform(p, map[string]*os.File{"out": w})
				h.ends(0)
				got := all(t, r, w)
				if name == "pointers" {
					got = "\x18\x00\x20\x00\x00\x00\x00\x00" + got[16:] // addresses are TestPointers' concern
				}
				if got != want {
					t.Errorf("wrote %q, want %q", got, want)
				}
			})
		})
	}
}

// TestRules has each way of going on after a result.
func TestRules(t *testing.T) {
	for name, c := range map[string]struct {
		build func(p *Program)
		step  int // that fails, 0: the status is 0
		errno unix.Errno
	}{
		"no rule and no error": {func(p *Program) {
			p.Call("a PID", linux.SysGettid)
			leave(p, 0)
		}, 0, 0},
		"no rule and an error": {func(p *Program) {
			p.Call("fine", linux.SysGetpid)
			p.Call("close", linux.SysClose, Value(-1))
			leave(p, 9)
		}, 2, unix.EBADF},
		"allowed": {func(p *Program) {
			p.Call("close", linux.SysClose, Value(-1)).Allow(unix.ENOENT, unix.EBADF)
			leave(p, 0)
		}, 0, 0},
		"another is allowed": {func(p *Program) {
			p.Call("close", linux.SysClose, Value(-1)).Allow(unix.ENOENT, unix.EPERM)
			leave(p, 9)
		}, 1, unix.EBADF},
		"goes on later after an error": {func(p *Program) {
			l := p.Label()
			p.Call("close", linux.SysClose, Value(-1)).OnError(l, unix.EBADF)
			leave(p, 9)
			p.Mark(l)
			leave(p, 0)
		}, 0, 0},
		"goes on later after a value": {func(p *Program) {
			l := p.Label()
			p.Call("umask", linux.SysUmask, Value(0o27))
			p.Call("umask", linux.SysUmask, Value(0)).On(l, 0o27)
			leave(p, 9)
			p.Mark(l)
			leave(p, 0)
		}, 0, 0},
		"another value": {func(p *Program) {
			l := p.Label()
			p.Call("umask", linux.SysUmask, Value(0o27))
			p.Call("umask", linux.SysUmask, Value(0)).On(l, 0o22)
			leave(p, 0)
			p.Mark(l)
			leave(p, 9)
		}, 0, 0},
		"goes on at rest": {func(p *Program) {
			l := p.Label()
			p.Call("close", linux.SysClose, Value(-1)).OnError(l, unix.EBADF)
			p.Call("hull's socket", linux.SysClose, Control())
			p.Mark(l)
			p.Call("leave", linux.SysExitGroup, Value(0))
		}, 0, 0},
		"the largest errno": {func(p *Program) { p.Fail("as told", 4095) }, 1, 4095},
		"no errno":          {func(p *Program) { p.Check("a number", Value(-4096)); leave(p, 0) }, 0, 0},
		"checks a variable": {func(p *Program) {
			v := p.Variable("reason", 0)
			p.Check("nothing yet", v)
			p.Set("remember", v, Value(-int32(unix.EISDIR)))
			p.Check("something", v)
		}, 3, unix.EISDIR},
		"an error in a structure": {func(p *Program) {
			r := p.Call("close", linux.SysClose, Value(-1)).Allow(unix.EBADF)
			p.Call("use it", linux.SysMountSetattr, Value(-1), String(""), Value(0), MountAttr(0, 0, 0, r), Value(MountAttrSize))
			leave(p, 9)
		}, 2, unix.EBADF},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, arch linux.Arch) {
				p := New(name)
				c.build(p)
				h := start(t, arch, nil)
				h.perform(p, nil)
				if c.step == 0 {
					h.ends(0)
				} else {
					h.fails(c.step, c.errno)
				}
			})
		})
	}
}

// TestManyDescriptors sends more than one message of them, and looks at those on each side of a message's end.
func TestManyDescriptors(t *testing.T) {
	for _, n := range []int{1, 252, 253, 254, 506, 507, 600} {
		t.Run(itoa(n), func(t *testing.T) {
			onEach(t, func(t *testing.T, arch linux.Arch) {
				null, err := os.Open(os.DevNull)
				if err != nil {
					t.Fatal(err)
				}
				defer null.Close()
				r, w := pipe(t)
				p, files := New("many"), map[string]*os.File{}
				for i := range n {
					name := itoa(i)
					p.FD(name)
					files[name] = null
				}
				var want strings.Builder
				for _, i := range []int{0, 1, 251, 252, 253, 254, 505, 506, 507, n - 1} {
					if name := itoa(i); i < n {
						files[name] = w
						write(p, p.FD(name), name+" ")
						want.WriteString(name + " ")
					}
				}
				leave(p, 0)
				h := start(t, arch, nil)
				h.perform(p, files)
				h.ends(0)
				if got := all(t, r, w); got != want.String() {
					t.Errorf("wrote %q, want %q", got, want.String())
				}
			})
		})
	}
}

// TestExec looks at what a program inherits from hull-init: an image of several messages, and nothing else.
func TestExec(t *testing.T) {
	onEach(t, func(t *testing.T, arch linux.Arch) {
		big := strings.Repeat("x", 100<<10)
		r, w := pipe(t)
		p := New("exec")
		p.Call("what the test itself was started with", linux.SysCloseRange, Value(6), Value(-1), Value(0))
		p.Call("standard output", linux.SysDup3, p.FD("out"), Value(1), Value(0))
		p.FD("unused")
		p.Exec("run sh", []string{"/bin/sh"}, Strings("sh", "-c", `echo ${#A} ${#B} ${#C} $0 "$1"; grep SigBlk /proc/self/status; ls /proc/self/fd; test -S /proc/$$/fd/3 && echo still connected; :`, "zero", "one two"),
			Environ("A="+big, "B="+big, "C="+big, "PATH=/usr/bin:/bin"))
		h := start(t, arch, nil)
		h.perform(p, map[string]*os.File{"out": w, "unused": w})
		h.ends(0)
		got := lines(all(t, r, w))
		// ls itself has the directory open as 3.
		want := []string{"102400 102400 102400 zero one two", "SigBlk:\t0000000000000000", "0", "1", "2", "3"}
		if !slices.Equal(got, want) {
			t.Errorf("the program says %q, want %q", got, want)
		}
	})
}

func TestExecThroughPath(t *testing.T) {
	dir := t.TempDir()
	script := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\nexit 5\n"), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, forbidden, absent := script("good", 0o755), script("forbidden", 0o644), filepath.Join(dir, "absent")
	notDir := filepath.Join(good, "below a file")
	for name, c := range map[string]struct {
		paths []string
		errno unix.Errno
	}{
		"first":           {[]string{good, absent}, 0},
		"only":            {[]string{good}, 0},
		"last":            {[]string{absent, notDir, forbidden, good}, 0},
		"none":            {[]string{absent, notDir}, unix.ENOENT},
		"forbidden":       {[]string{absent, forbidden, absent}, unix.EACCES},
		"only, forbidden": {[]string{forbidden}, unix.EACCES},
		"empty":           {nil, unix.ENOENT},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, arch linux.Arch) {
				p := New("exec")
				p.Exec("run it", c.paths, Strings("it"), Environ())
				h := start(t, arch, nil)
				h.perform(p, nil)
				if c.errno == 0 {
					h.ends(5)
					return
				}
				h.fails(p.Len(), c.errno)
				if p.Name(p.Len()) != "run it" {
					t.Errorf("the step that fails is %q", p.Name(p.Len()))
				}
			})
		})
	}
}

// TestNoSocket starts hull-init with no descriptor 3, and with one that is no socket.
func TestNoSocket(t *testing.T) {
	onEach(t, func(t *testing.T, arch linux.Arch) {
		dir := t.TempDir()
		elf, err := Memfd()
		if err != nil {
			t.Fatal(err)
		}
		defer elf.Close()
		foreign := filepath.Join(dir, "hull-init")
		if err := os.WriteFile(foreign, initELF(arch), 0o700); err != nil {
			t.Fatal(err)
		}
		file, err := os.Create(filepath.Join(dir, "file"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		for _, extra := range [][]*os.File{nil, {file}} {
			cmd := exec.Command(path(elf))
			if arch != linux.Native {
				cmd = exec.Command(emulator(t, arch), foreign)
			}
			cmd.ExtraFiles = extra
			cmd.Run()
			if got := cmd.ProcessState.ExitCode(); got != 2 {
				t.Errorf("with %d extra descriptors: status %d, want 2", len(extra), got)
			}
		}
		if info, err := file.Stat(); err != nil || info.Size() != 0 {
			t.Errorf("a file as descriptor 3 was written to: %v, %v", info, err)
		}
	})
}
