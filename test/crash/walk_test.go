package crash

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/hulltest/live"
)

// unreached are failpoints that the walk's Pod does not come to, and why; where each is tried.
var unreached = map[string]string{}

// hulls is how many Hulls the walk is shared by.
const hulls = 4

// TestFailpoints lets every failpoint fail, and kill hulld, while a Pod that has something of everything starts, is executed in
// and is removed. Then, without the failpoint, what was begun comes to its end, and when it is removed nothing is left.
// The runtime's are walked a second time, with a PID namespace that the Pod's containers share: there a process is born in another way.
func TestFailpoints(t *testing.T) {
	hulltest.NeedRoot(t)
	points := failpoints(t)
	type step struct {
		point, what string
		shared      bool
	}
	steps := make(chan step, 4*len(points))
	for _, what := range []string{"kill", "error"} {
		for _, p := range points {
			steps <- step{p, what, false}
			if strings.HasPrefix(p, "runtime.") {
				steps <- step{p, what, true}
			}
		}
	}
	close(steps)
	var lock sync.Mutex
	fired := map[string]bool{}
	t.Run("walk", func(t *testing.T) {
		for i := range hulls {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				w := newWalker(t, i)
				for s := range steps {
					w.shared = s.shared
					hit := w.walk(s.point, s.what)
					for range 4 { // how much a log's batch holds, say, is the machine's to decide
						if hit || t.Failed() {
							break
						}
						hit = w.walk(s.point, s.what)
					}
					switch {
					case s.shared && !hit:
						t.Errorf("failpoint %s, with a shared PID namespace: %s does not fire", s.point, s.what)
					case hit && !s.shared:
						lock.Lock()
						fired[s.point+"="+s.what] = true
						lock.Unlock()
					}
					if t.Failed() {
						return
					}
				}
			})
		}
	})
	reached := 0
	for _, p := range points {
		both := fired[p+"=kill"] && fired[p+"=error"]
		if why, known := unreached[p]; known == both {
			t.Errorf("failpoint %s: fired by error %t, by kill %t; the table says %q", p, fired[p+"=error"], fired[p+"=kill"], why)
		}
		if both {
			reached++
		}
	}
	for p := range unreached {
		if !slices.Contains(points, p) {
			t.Errorf("there is no failpoint %s any more", p)
		}
	}
	t.Logf("%d failpoints, %d of them fired by an error and by a kill", len(points), reached)
}

func failpoints(t *testing.T) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), filepath.Join(live.Binaries(t), "hulld"), "--list-failpoints").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// walker is one Hull with its Pod, again and again.
type walker struct {
	*hull
	registry    string
	port        int
	descriptors int
	n           int
	shared      bool        // the Pod's containers share a PID namespace
	said        func() bool // whether the failpoint has fired, while one is armed
}

// over tells whether what is begun is to be left to the Hull after this one.
func (w *walker) over() bool { return w.ctx.Err() != nil || w.said != nil && w.said() }

func newWalker(t *testing.T, i int) *walker {
	h := start(t, "--container-log-max-size", "2000", "--container-log-max-files", "100")
	return &walker{hull: h, registry: registry(t), port: freePort(t), descriptors: h.KeeperDescriptors(), n: 1000 * i}
}

// freePort is one that nobody listens on. Another may take it before we do; then the Pod says so.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

const walkerLines = 300

func (w *walker) manifest(host string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"walk"},"spec":{"restartPolicy":"Never","shareProcessNamespace":%t,"terminationGracePeriodSeconds":5,
	"volumes":[{"name":"disk","emptyDir":{}},{"name":"mem","emptyDir":{"medium":"Memory"}},{"name":"host","hostPath":{"path":%q,"type":"DirectoryOrCreate"}}],
	"initContainers":[{"name":"init","image":"localhost/hull/toolbox","command":["sh","-c","echo made > /disk/file; echo init >> /host/runs"],
	  "volumeMounts":[{"name":"disk","mountPath":"/disk"},{"name":"host","mountPath":"/host"}]}],
	"containers":[
	{"name":"main","image":"localhost/hull/toolbox","ports":[{"containerPort":80,"hostPort":%d}],
	  "command":["sh","-c","echo main >> /host/runs; i=0; while test $i -lt %d; do i=$((i+1)); echo line $i; test $((i%%30)) -ne 0 || sleep 0.02; done; exec sleep infinity"],
	  "volumeMounts":[{"name":"disk","mountPath":"/disk","subPath":"sub"},{"name":"mem","mountPath":"/mem"},{"name":"host","mountPath":"/host"}]},
	{"name":"terminal","image":"localhost/hull/toolbox","tty":true,"stdin":true,"command":["sh","-c","echo terminal >> /host/runs; echo on a terminal; exec sleep infinity"],
	  "volumeMounts":[{"name":"host","mountPath":"/host"}]},
	{"name":"tiny","image":"%s/tiny:t%d","imagePullPolicy":"IfNotPresent"}]}}`, w.shared, host, w.port, walkerLines, w.registry, w.n)
}

// walk arms one failpoint and lets the Pod come and go until it fires; disarmed, all comes to the end that it would have come to.
func (w *walker) walk(point, what string) bool {
	w.n++
	t, host := w.t, filepath.Join(w.t.TempDir(), "made")
	failed := t.Failed()
	defer func() {
		if t.Failed() && !failed {
			t.Logf("that was at %s=%s, shared PIDs %t; hulld said meanwhile:\n%s", point, what, w.shared, w.Log())
		}
	}()
	if err := os.Truncate(filepath.Join(w.State, "hulld.log"), 0); err != nil {
		t.Fatal(err)
	}
	said := func() bool { return strings.Contains(w.Log(), "failpoint "+point+": "+what) }
	armed := *w
	armed.said = said
	armed.hull = &hull{Hull: w.Hull, t: t}
	var disarm context.CancelCauseFunc
	armed.ctx, disarm = context.WithCancelCause(w.ctx)
	defer disarm(nil)
	watching := w.watchLog(armed.ctx, said, disarm)
	deleting := armed.come(point+"="+what, host)

	if err := w.Restart(w.ctx); err != nil {
		t.Fatalf("hulld does not come back: %v", err)
	}
	disarm(nil)
	watching.Wait()
	fired := armed.cutOff() || said()
	if !deleting {
		w.create(w.manifest(host))
		p := w.await("walk", "the start of all", settled)
		if what == "kill" {
			w.whole(p)
		}
	}
	w.atMostOnce(host)
	w.remove("walk", -1)
	w.clean(w.descriptors)
	if f := w.Faults(); f != "" {
		t.Errorf("hulld has a fault: %s", f)
	}
	return fired
}

// settled tells whether nothing of the Pod is on its way: it has ended, or each container runs that goes on for ever, and the one
// that does not has ended.
func settled(p *pod) bool {
	if p == nil || p.Status.Phase == "Failed" || p.Status.Phase == "Succeeded" {
		return p != nil
	}
	for _, c := range p.Status.ContainerStatuses {
		if c.State.Terminated == nil && (c.State.Running == nil || c.Name == "tiny") {
			return false
		}
	}
	return len(p.Status.ContainerStatuses) > 0
}

// come is the Pod's life from its creation to its removal, or to where the failpoint fires. It tells whether the removal has
// begun.
func (w *walker) come(failpoint, host string) (deleting bool) {
	if err := w.Restart(w.ctx, "--failpoints", failpoint); err != nil && !w.cutOff() {
		w.t.Errorf("hulld does not start: %v", err)
	}
	w.create(w.manifest(host))
	p := w.await("walk", "the start of all", settled)
	if w.over() {
		return false
	}
	w.whole(p)
	if out, ok := w.exec("walk", "main", "cat", "/host/runs"); (!ok || !strings.Contains(out, "main")) && !w.over() {
		w.t.Errorf("exec said %q", out)
	}
	if w.over() {
		return false
	}
	w.remove("walk", -1)
	for !w.over() && len(w.Remains()) > 0 { // the kernel takes the namespace down in its own time, and then there is more to do
	}
	return true
}

// watchLog cancels with errFired when hulld's log says that the failpoint has fired. What it returns is done when nothing can be
// said any more.
func (w *walker) watchLog(ctx context.Context, said func() bool, cancel context.CancelCauseFunc) *sync.WaitGroup {
	t, path := w.t, filepath.Join(w.State, "hulld.log")
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	events := os.NewFile(uintptr(fd), "inotify")
	if _, err := unix.InotifyAddWatch(fd, path, unix.IN_MODIFY); err != nil {
		t.Fatal(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = events.SetReadDeadline(time.Unix(1, 0)) })
	var work sync.WaitGroup
	work.Go(func() {
		defer stop()
		defer func() { _ = events.Close() }()
		buf := make([]byte, 4096)
		for {
			if said() {
				cancel(errFired)
				return
			}
			if _, err := events.Read(buf); err != nil {
				return
			}
		}
	})
	return &work
}

// whole wants all containers as they would be had hulld not died, and every line of the log there.
func (w *walker) whole(p *pod) {
	w.t.Helper()
	for _, name := range []string{"init", "tiny"} {
		if c := p.container(name); c.State.Terminated == nil || c.State.Terminated.ExitCode != 0 || c.RestartCount != 0 {
			w.t.Errorf("%s ended so: %+v, and was restarted %d times", name, c.State.Terminated, c.RestartCount)
		}
	}
	for _, name := range []string{"main", "terminal"} {
		if c := p.container(name); c.State.Running == nil || c.RestartCount != 0 {
			w.t.Errorf("%s is like this: %+v, and was restarted %d times", name, c.State, c.RestartCount)
		}
	}
	w.allLines(p)
}

// allLines waits until the log of main, with what was rotated away from it, has every line once and in order.
func (w *walker) allLines(p *pod) {
	w.t.Helper()
	dir := filepath.Join(w.Root, "log/pods", "default_walk_"+p.Metadata.UID, "main")
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	for {
		got, err := readLog(dir)
		if err == nil && len(got) == walkerLines && slices.IsSortedFunc(got, func(a, b int) int { return a - b }) && got[0] == 1 && got[walkerLines-1] == walkerLines {
			return
		}
		if w.over() {
			return
		}
		if ctx.Err() != nil {
			w.t.Errorf("the log of main has %d lines, want %d: %v, %v", len(got), walkerLines, got, err)
			return
		}
	}
}

// readLog reads the numbers of the lines of a log and of its rotated files, the oldest first.
func readLog(dir string) (numbers []int, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "0.log.*"))
	if err != nil {
		return nil, err
	}
	// A compression that was killed leaves this, for the next to write over.
	files = slices.DeleteFunc(files, func(path string) bool { return strings.HasSuffix(path, ".tmp") })
	slices.Sort(files)
	for _, path := range append(files, filepath.Join(dir, "0.log")) {
		f, err := os.Open(path)
		if err != nil {
			return numbers, err
		}
		defer func() { _ = f.Close() }()
		var r io.Reader = f
		if strings.HasSuffix(path, ".gz") {
			if r, err = gzip.NewReader(f); err != nil {
				return numbers, err
			}
		}
		lines := bufio.NewScanner(r)
		for lines.Scan() {
			_, text, _ := strings.Cut(lines.Text(), " F line ")
			n, err := strconv.Atoi(text)
			if err != nil {
				return numbers, err
			}
			numbers = append(numbers, n)
		}
		if err := lines.Err(); err != nil {
			return numbers, err
		}
	}
	return numbers, nil
}

// atMostOnce wants no container to have run twice, as the Pod's are never to be run again.
func (w *walker) atMostOnce(host string) {
	w.t.Helper()
	runs, err := os.ReadFile(filepath.Join(host, "runs"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Error(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(runs)) {
		if seen[line] {
			w.t.Errorf("its containers ran like this: %q", runs)
		}
		seen[line] = true
	}
}
