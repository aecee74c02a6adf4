package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hull-pods/hull/internal/hulltest"
)

// built is a directory with the toolbox and a link for each command.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hull-toolbox-test-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "toolbox"), ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("build: %w\n%s", err, out)
	}
	for _, n := range names() {
		if err := os.Symlink("toolbox", filepath.Join(dir, n)); err != nil {
			return dir, err
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := built(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// command runs a command of the toolbox in a directory of its own.
func command(t *testing.T, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(bin, name), args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + bin, "HOME=/", "LANG=C"}
	return cmd
}

func TestScripts(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		script, want string
		code         int
	}{
		{`echo hello $((1+2)) "$0" $1`, "hello 3 name arg\n", 0},
		{`exit 7`, "", 7},
		{`nosuchcommand`, "sh: nosuchcommand: not found\n", 127},
		{`if true; then echo a; fi; false || echo b; ! false && echo c`, "a\nb\nc\n", 0},
		{`set -e; false; echo no`, "", 1},
		{`for i in 1 2 3; do echo $i; done | tail -n 2 | head -1`, "2\n", 0},
		{`x=$(printf 'a\nb\n' | wc -l); echo "[$x]"`, "[2]\n", 0},
		{`echo text > f; cat f; rm f; ls; test -e f || echo gone`, "text\ngone\n", 0},
		{`mkdir -p d/e; cd d/e; echo 1 > x; pwd | tail -c 5; ls; cp x y; mv y z; ls; cd ../..; rm -r d`, "/d/e\nx\nx\nz\n", 0},
		{`printf 'b\na\nb\n' | sort | uniq -c`, "      1 a\n      2 b\n", 0},
		{`printf 'one\ntwo\nthree\n' | grep -n t`, "2:two\n3:three\n", 0},
		{`printf 'x=1\n' | grep -q 'x=2'; echo $?`, "1\n", 0},
		{`printf 'a+b\n' | grep -F 'a+b'; printf 'aab\n' | grep -o 'a\+'; printf 'ab\n' | grep -E '^(a|c)b$'`, "a+b\naa\nab\n", 0},
		{`echo a:b:c | cut -d: -f2,3; echo hello | cut -c1-2; echo hello | tr a-y b-z; echo hello | tr -d l`, "b:c\nhe\nifmmp\nheo\n", 0},
		{`seq 3 | tee f | tail -1; cat f; rm f`, "3\n1\n2\n3\n", 0},
		{`echo 10 9 8 | tr ' ' '\n' | sort -n`, "8\n9\n10\n", 0},
		{`ln -s target link; readlink link; rm link`, "target\n", 0},
		{`touch a; chmod 640 a; stat -c '%a %s %F' a; rm a`, "640 0 regular file\n", 0},
		{`basename /a/b.c .c; dirname /a/b; dirname a; dirname /`, "b\n/a\n.\n/\n", 0},
		{`echo hi | gzip | gunzip; echo hi > f; gzip f; ls; zcat f.gz; rm f.gz`, "hi\nf.gz\nhi\n", 0},
		{`mkdir s; echo 1 > s/f; tar -cf s.tar s; rm -r s; tar -xf s.tar; cat s/f; mkdir o; tar -cz s | tar -xzvf - -C o; cat o/s/f; tar tf s.tar; rm -r s s.tar o`, "1\ns/\ns/f\n1\ns/\ns/f\n", 0},
		{`mkdir -p q/r; touch q/a.txt q/r/b.txt; find q -name '*.txt'; find q -type d -maxdepth 1; find q -delete; ls`, "q/a.txt\nq/r/b.txt\nq\nq/r\n", 0},
		{`echo a b | xargs echo x`, "x a b\n", 0},
		{`env -i A=1 env; A=2 printenv A`, "A=1\n2\n", 0},
		{`sh -c 'kill -TERM $$'; echo $?`, "143\n", 0},
		{`timeout 0.05 sleep 10; echo $?`, "124\n", 0},
		{`timeout 0 sh -c 'exit 3'; echo $?`, "3\n", 0},
		{`timeout infinity sh -c 'exit 4'; echo $?`, "4\n", 0},
		{`sleep 0.01 & wait; echo done`, "done\n", 0},
		{`umask 077; touch m; stat -c %a m; rm m; umask`, "600\n0077\n", 0},
		{`trap 'echo bye' EXIT; echo hi`, "hi\nbye\n", 0},
		{`trap 'echo no' INT; trap INT; kill -INT $$; echo never`, "", -1},
		{`trap 'echo no' INT TERM; trap 2 15; kill -TERM $$; echo never`, "", -1},
		{`[ 1 -lt 2 ] && /bin/../` + "x" + ` 2>/dev/null; echo $?`, "127\n", 0},
		{`printf '#!\n' > s; printf 'echo from a script $1\n' > p; chmod +x p; ./p arg; rm s p`, "from a script arg\n", 0},
		{`date -u +%Y | grep -q '^20..$' && echo year`, "year\n", 0},
		{`dd if=/dev/zero of=z bs=1k count=3 2>/dev/null; wc -c z; rm z`, "3072 z\n", 0},
		{`echo -n a; echo -e 'b\tc'`, "ab\tc\n", 0},
		{`f() { echo "f $1"; }; f x; case abc in a*) echo match;; esac`, "f x\nmatch\n", 0},
		{`while read a b; do echo "$b $a"; done <<E
1 2
3 4
E`, "2 1\n4 3\n", 0},
		{`syntax error (`, "", 2},
	} {
		cmd := command(t, dir, "sh", "-c", c.script, "name", "arg")
		out, err := cmd.CombinedOutput()
		code := 0
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			code = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if code != c.code || c.code != 2 && string(out) != c.want {
			t.Errorf("%s\n gave %d %q\nwanted %d %q", c.script, code, out, c.code, c.want)
		}
	}
}

func TestScriptFromInput(t *testing.T) {
	cmd := command(t, t.TempDir(), "sh")
	cmd.Stdin = strings.NewReader("x=1\nif true\nthen echo $x\nfi\nexit 3\necho no\n")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || string(out) != "1\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// process1 starts a command as process 1 of a PID namespace and waits until it has written a line.
func process1(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	hulltest.NeedRoot(t)
	cmd := command(t, t.TempDir(), name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, Unshareflags: syscall.CLONE_NEWNS}
	return cmd
}

func TestSignalsToProcess1(t *testing.T) {
	for _, c := range []struct {
		name, script, out string
		code              int
	}{
		{"child", `sleep 1000 & echo up; wait`, "up\n", 143},
		{"foreground child", `echo up; sleep 1000; echo no`, "up\n", 143},
		{"applet inside", `echo up; cat`, "up\n", 143},
		{"trap", `trap 'echo bye; exit 5' TERM; echo up; while true; do sleep 1000; done`, "up\nbye\n", 5},
		{"trap and wait", `trap 'exit 6' TERM; echo up; sleep 1000 & wait $!`, "up\n", 6},
		{"child that says goodbye", `sh -c 'trap "echo child ends; exit" TERM; echo up; sleep 1000'`, "up\nchild ends\n", 143},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := process1(t, "sh", "-c", c.script)
			stdin, err := cmd.StdinPipe() // open, so that cat waits
			if err != nil {
				t.Fatal(err)
			}
			defer stdin.Close()
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if cmd.ProcessState == nil {
					_ = cmd.Process.Kill()
				}
			}()
			r := bufio.NewReader(out)
			first, err := r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			rest, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			err = cmd.Wait()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != c.code {
				t.Errorf("ended with %v, want exit code %d", err, c.code)
			}
			if got := first + string(rest); got != c.out {
				t.Errorf("wrote %q, want %q", got, c.out)
			}
		})
	}
}

// TestProcess1OfAnyKind: a command that has no mind of its own about signals ends by them too when it is process 1.
func TestProcess1OfAnyKind(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT} {
		cmd := process1(t, "cat")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(in, "up\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // its state is looked at
		if code := cmd.ProcessState.ExitCode(); code != 128+int(sig) {
			t.Errorf("%v: %v", sig, cmd.ProcessState)
		}
	}
}

func TestProcess1BuriesOrphans(t *testing.T) {
	// The subshell's background child becomes an orphan of process 1; its burial is seen in /proc, mounted for the namespace.
	cmd := process1(t, "sh", "-c", `
		/bin/mount -t proc proc /proc || exit 1
		sh -c 'sh -c "sleep 0.05; exit 0" & kill -9 $$'
		while ls -d /proc/[0-9]* | grep -qv '^/proc/1$'; do
			grep -q '^State:.Z' /proc/[0-9]*/status 2>/dev/null && zombies=$((zombies+1))
			test "${zombies:-0}" -gt 300 && exit 3
			sleep 0.01
		done`)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v %s", err, out)
	}
}

func TestSleepEnds(t *testing.T) {
	cmd := process1(t, "sleep", "infinity")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitForHandlers(t, cmd.Process.Pid)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	// A signal that comes before sleep has begun is handled by Go's own handler, which ends process 1 with 2.
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 143 && exit.ExitCode() != 2 {
		t.Errorf("ended with %v", err)
	}
}

func TestConversation(t *testing.T) {
	hulltest.NeedRoot(t)
	person, tty := hulltest.Terminal(t, 80)
	cmd := command(t, "/", "sh")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	r := bufio.NewReader(person)
	expect := func(what string) {
		t.Helper()
		var seen strings.Builder
		for !strings.Contains(seen.String(), what) {
			b, err := r.ReadByte()
			if err != nil {
				t.Fatalf("saw %q, want %q: %v", seen.String(), what, err)
			}
			seen.WriteByte(b)
		}
	}
	type line struct{ in, out string }
	expect("/ # ")
	for _, l := range []line{
		{"echo $((6*7))\n", "42\r\n/ # "},
		{"cd /proc\n", "/proc # "},
		{"if true\n", "> "}, {"then echo yes\n", "> "}, {"fi\n", "yes\r\n/proc # "},
		{"sleep 1000\n", "sleep 1000\r\n"},
	} {
		if _, err := io.WriteString(person, l.in); err != nil {
			t.Fatal(err)
		}
		expect(l.out)
	}
	waitForChild(t, cmd.Process.Pid)
	if _, err := io.WriteString(person, "\x03"); err != nil { // Ctrl-C ends sleep, not the shell
		t.Fatal(err)
	}
	expect("/proc # ")
	if _, err := io.WriteString(person, "exit 4\n"); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 4 {
		t.Errorf("ended with %v", err)
	}
}
