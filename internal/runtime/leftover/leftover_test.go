package leftover

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hull-pods/hull/internal/cgroup"
	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/network"
	"github.com/hull-pods/hull/internal/runtime/record"
	"github.com/hull-pods/hull/internal/runtime/shm"
)

// known is an owner of one ID.
type known string

func (k known) IDs(into map[string]bool) { into[string(k)] = true }
func (k known) Cgroups(into map[string]bool) {
	into["pod"+string(k)], into["pod"+string(k)+"/"+string(k)] = true, true
}

// TestLeftovers makes everything twice, for one that is on record and for one that is not.
func TestLeftovers(t *testing.T) {
	hulltest.NeedRoot(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	instance, log := hulltest.Instance(t), slog.New(slog.DiscardHandler)
	tree, err := cgroup.Open(cgroup.Config{Parent: "hull-" + instance, Log: log})
	must(err)
	n, err := network.Open(t.Context(), network.Config{
		Instance: instance, StateDir: t.TempDir(), Log: log,
		IPv4: netip.MustParsePrefix(fmt.Sprintf("10.%d.%d.0/24", 128+rand.IntN(100), rand.IntN(256))),
	})
	must(err)
	t.Cleanup(func() { must(n.Purge(context.Background())) })
	kept, stray := record.NewID(), record.NewID()
	s := &Search{
		Instance: instance, Dirs: record.Dirs{Root: t.TempDir(), State: t.TempDir()}, Cgroups: tree, Network: n, Owners: known(kept),
	}
	ended := map[string]chan struct{}{}
	for _, id := range []string{kept, stray} {
		infra := exec.Command("sleep", "1000")
		infra.Args[0] = InfraName(instance, id)
		must(infra.Start())
		ended[id] = make(chan struct{})
		go func() {
			_ = infra.Wait()
			close(ended[id])
		}()
		t.Cleanup(func() { _ = infra.Process.Kill(); <-ended[id] })
		_, err = tree.Create("pod"+id, cgroup.Resources{})
		must(err)
		_, err = tree.Create("pod"+id+"/"+id, cgroup.Resources{})
		must(err)
		_, err = n.Attach(t.Context(), network.Request{ID: id, Name: "ns/pod", Netns: hulltest.Netns(t)})
		must(err)
		must(os.MkdirAll(s.Dirs.Sandbox(id), 0o711))
		must(shm.Mount(s.Dirs.Shm(id)))
		must(os.MkdirAll(filepath.Join(s.Dirs.Upper(id), "upper"), 0o711))
		must(os.MkdirAll(s.Dirs.Container(id), 0o711))
		must(os.MkdirAll(filepath.Join(s.Dirs.Programs(), "runc", id), 0o700))
	}
	t.Cleanup(func() { // not of what is on record, that is ours
		must(shm.Unmount(s.Dirs.Shm(kept)))
		for _, path := range []string{"pod" + kept + "/" + kept, "pod" + kept} {
			must(tree.Load(path).Remove(context.Background()))
		}
		must(tree.Load("pod" + kept).Prune())
		must(n.Detach(context.Background(), kept))
	})

	list := func() (what []string) {
		t.Helper()
		found, err := s.List(t.Context())
		must(err)
		for _, l := range found {
			what = append(what, l.What)
		}
		return what
	}
	found := list()
	if len(found) != 8 || !strings.HasPrefix(found[0], "process ") || slices.ContainsFunc(found, func(w string) bool { return !strings.Contains(w, stray) }) {
		t.Errorf("found:\n%s", strings.Join(found, "\n"))
	}
	// What cannot be looked at keeps nothing else from being found and removed.
	tops := slices.DeleteFunc(s.Dirs.UpperTops(), func(top string) bool {
		return slices.Contains([]string{kept[:1], stray[:1]}, filepath.Base(top))
	})
	must(os.WriteFile(tops[0], nil, 0o600))
	if found, err := s.List(t.Context()); err == nil || len(found) != 8 {
		t.Errorf("with %s unreadable: %d, %v", tops[0], len(found), err)
	}
	s.Remove(t.Context(), log)
	must(os.Remove(tops[0]))
	if left := list(); len(left) != 0 {
		t.Errorf("left:\n%s", strings.Join(left, "\n"))
	}
	<-ended[stray]
	select {
	case <-ended[kept]:
		t.Error("the process that is on record has ended")
	default:
	}
	for _, dir := range []string{s.Dirs.Shm(kept), s.Dirs.Upper(kept), s.Dirs.Container(kept)} {
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
	}
	s.Owners = known("")
	if rest := list(); len(rest) != 8 {
		t.Errorf("of what was on record there is:\n%s", strings.Join(rest, "\n"))
	}
}
