// Package crash kills hulld, the keeper, infra processes and containers at the worst moments, and looks at what is lost:
// nothing that docs/failures.md does not say.
package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// kills is how often TestKills kills hulld.
const kills = 50

// seedOf is $HULL_SEED, or a new seed: a run that failed can be made again, as far as the machine lets it.
func seedOf(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("HULL_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("HULL_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// TestKills kills hulld at random moments while Pods start, run, log, are executed in, end, and are removed.
func TestKills(t *testing.T) {
	h := start(t)
	random := seedOf(t)
	descriptors := h.KeeperDescriptors()
	steady := newSteady(h)
	before := steady.processes()

	over := make(chan struct{})
	var work sync.WaitGroup
	var done [4]int
	for i := range 3 {
		r := rand.New(rand.NewPCG(random.Uint64(), 2))
		work.Go(func() { done[i] = h.enders(fmt.Sprintf("ender%d", i), r, over) })
	}
	work.Go(func() { done[3] = h.stoppers("stopper", over) })
	var execs int
	work.Go(func() { execs = h.execs(over) })

	began, starting := time.Now(), 0
	var reviving sync.WaitGroup
	for range kills {
		<-time.After(time.Duration(random.IntN(600)) * time.Millisecond) // the moment is what is random
		dead := h.Kill()
		if reviveNow(h, dead, &reviving) {
			starting++
		}
	}
	took := time.Since(began)
	reviving.Wait()
	close(over)
	work.Wait()
	t.Logf("%d kills in %v: %d containers ended by themselves, %d Pods were stopped, %d commands executed",
		kills, took.Round(time.Millisecond), done[0]+done[1]+done[2], done[3], execs)

	for name, was := range before {
		if now := steady.processes()[name]; now != was {
			t.Errorf("%s was process %s, and is %s", name, was, now)
		}
	}
	steady.end()
	h.clean(descriptors)
}

// reviveNow has hulld started again at once, in the background, so that the next kill may come at any moment of it.
func reviveNow(h *hull, dead int, work *sync.WaitGroup) bool {
	work.Go(func() {
		if err := h.Revive(h.ctx, dead); err != nil {
			h.t.Errorf("hulld does not come back: %v", err)
		}
	})
	return dead == 0
}

// steady is a Pod that runs all the time and numbers its lines: as fast as it can now and then, with pauses, and on a terminal.
type steady struct {
	h   *hull
	dir string // of the host, mounted at /host
	uid string
}

var loggers = []string{"paced", "bursts", "terminal"}

func newSteady(h *hull) *steady {
	h.t.Helper()
	s := &steady{h: h, dir: h.t.TempDir()}
	h.create(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"steady"},"spec":{"restartPolicy":"Never",
	"volumes":[{"name":"host","hostPath":{"path":"` + s.dir + `"}}],
	"containers":[
	{"name":"paced","image":"localhost/hull/toolbox","volumeMounts":[{"name":"host","mountPath":"/host"}],"command":["sh","-c",
	  "i=0; while ! test -e /host/stop; do i=$((i+1)); echo line $i; echo err $i >&2; sleep 0.005; done; echo total $i; exit 3"]},
	{"name":"bursts","image":"localhost/hull/toolbox","volumeMounts":[{"name":"host","mountPath":"/host"}],"command":["sh","-c",
	  "i=0; while ! test -e /host/stop; do n=$((i+500)); while test $i -lt $n; do i=$((i+1)); echo line $i; done; sleep 0.2; done; echo total $i; exit 4"]},
	{"name":"terminal","image":"localhost/hull/toolbox","tty":true,"volumeMounts":[{"name":"host","mountPath":"/host"}],"command":["sh","-c",
	  "i=0; while ! test -e /host/stop; do i=$((i+1)); echo line $i; sleep 0.02; done; echo total $i; exit 5"]}]}}`)
	p := h.await("steady", "its containers to run", func(p *pod) bool { return p != nil && p.running(loggers...) })
	s.uid = p.Metadata.UID
	return s
}

func (s *steady) processes() map[string]string {
	s.h.t.Helper()
	in := s.h.inspect("steady")
	list := map[string]string{"infra": s.h.born(in.Infra.PID)}
	for _, c := range in.Containers {
		list[c.Name] = s.h.born(c.PID)
	}
	return list
}

// end lets the containers end, and looks at how they did and at what they logged.
func (s *steady) end() {
	t := s.h.t
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, "stop"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	p := s.h.await("steady", "its end", func(p *pod) bool { return p != nil && p.Status.Phase == "Failed" })
	for i, name := range loggers {
		c := p.container(name)
		if c.State.Terminated == nil || c.State.Terminated.ExitCode != 3+i || c.RestartCount != 0 {
			t.Errorf("%s ended so: %+v, and was restarted %d times; want exit code %d", name, c.State.Terminated, c.RestartCount, 3+i)
		}
		s.checkLog(name)
	}
	s.h.remove("steady", -1)
}

// checkLog wants each line once, in order, in a log in CRI's format, from line 1 to the total that the container told last.
func (s *steady) checkLog(name string) {
	t := s.h.t
	t.Helper()
	path := filepath.Join(s.h.Root, "log/pods", "default_steady_"+s.uid, name, "0.log")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return
	}
	next, errs, total := 1, 1, 0
	for line := range strings.Lines(string(data)) {
		parts := strings.SplitN(strings.TrimRight(line, "\r\n"), " ", 4)
		if len(parts) != 4 || parts[2] != "F" {
			t.Errorf("%s: not a whole line of a CRI log: %q", name, line)
			return
		}
		word, number, _ := strings.Cut(strings.TrimRight(parts[3], "\r"), " ")
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Errorf("%s: %q", name, line)
			return
		}
		switch {
		case word == "line" && n == next:
			next++
		case word == "err" && parts[1] == "stderr" && n == errs:
			errs++
		case word == "total":
			total = n
		default:
			t.Errorf("%s: got %q, want line %d or err %d", name, line, next, errs)
			return
		}
	}
	if total == 0 || next-1 != total || name == "paced" && errs-1 != total {
		t.Errorf("%s: %d lines and %d on stderr, of %d", name, next-1, errs-1, total)
	}
	t.Logf("%s: %d lines", name, total)
}

// enders runs one Pod after the other whose container ends with a code of its own, and returns how many.
func (h *hull) enders(name string, random *rand.Rand, over <-chan struct{}) (count int) {
	for {
		select {
		case <-over:
			return count
		default:
		}
		dir := h.t.TempDir()
		code := []int{0, 1, 2, 3, 126, 141, 255}[random.IntN(7)]
		h.create(fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q},"spec":{"restartPolicy":"Never","terminationGracePeriodSeconds":1,
		"volumes":[{"name":"host","hostPath":{"path":%q}},{"name":"mem","emptyDir":{"medium":"Memory"}}],
		"initContainers":[{"name":"first","image":"localhost/hull/toolbox","volumeMounts":[{"name":"host","mountPath":"/host"}],"command":["sh","-c","echo first >> /host/runs"]}],
		"containers":[{"name":"c","image":"localhost/hull/toolbox","volumeMounts":[{"name":"host","mountPath":"/host"},{"name":"mem","mountPath":"/mem"}],
		"command":["sh","-c","echo run >> /host/runs; echo ran; sleep 0.%03d; echo ends; exit %d"]}]}}`, name, dir, random.IntN(300), code))
		p := h.await(name, "its end", func(p *pod) bool { return p != nil && (p.Status.Phase == "Failed" || p.Status.Phase == "Succeeded") })
		c := p.container("c")
		if c.State.Terminated == nil || c.State.Terminated.ExitCode != code || c.RestartCount != 0 {
			h.t.Errorf("%s: %+v, %d restarts; want exit code %d\n%+v", name, c.State.Terminated, c.RestartCount, code, p.Status)
		}
		runs, err := os.ReadFile(filepath.Join(dir, "runs"))
		if err != nil || string(runs) != "first\nrun\n" {
			h.t.Errorf("%s: its containers ran like this: %q, %v", name, runs, err)
		}
		logged, err := os.ReadFile(filepath.Join(h.Root, "log/pods", "default_"+name+"_"+p.Metadata.UID, "c", "0.log"))
		if lines := strings.Split(string(logged), "\n"); err != nil || len(lines) != 3 || !strings.HasSuffix(lines[0], " ran") || !strings.HasSuffix(lines[1], " ends") {
			h.t.Errorf("%s: its log: %q, %v", name, logged, err)
		}
		h.remove(name, -1)
		count++
		if h.t.Failed() {
			return count
		}
	}
}

// stoppers runs and stops one Pod after the other.
func (h *hull) stoppers(name string, over <-chan struct{}) (count int) {
	for {
		select {
		case <-over:
			return count
		default:
		}
		h.create(fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q},"spec":{"terminationGracePeriodSeconds":5,
		"volumes":[{"name":"data","emptyDir":{}}],
		"containers":[{"name":"a","image":"localhost/hull/toolbox","volumeMounts":[{"name":"data","mountPath":"/data"}],"command":["sleep","infinity"]},
		{"name":"b","image":"localhost/hull/toolbox","command":["httpd","-f","-p","80","-h","/"]}]}}`, name))
		if count%2 == 0 {
			h.await(name, "its containers to run", func(p *pod) bool { return p != nil && p.running("a", "b") })
		}
		h.remove(name, -1)
		count++
		if h.t.Failed() {
			return count
		}
	}
}

// execs runs commands in the steady Pod. What was answered is right; what was not, died with hulld.
func (h *hull) execs(over <-chan struct{}) (count int) {
	for i := 0; ; i++ {
		select {
		case <-over:
			return count
		default:
		}
		want := fmt.Sprint("number ", i, "\n")
		got, ok := h.exec("steady", "paced", "echo", "number", strconv.Itoa(i))
		if ok && got != want {
			h.t.Errorf("exec said %q, want %q", got, want)
		}
		if ok {
			count++
		}
	}
}
