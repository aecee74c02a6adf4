package cgroup_test

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/hull-pods/hull/internal/cgroup"
	"github.com/hull-pods/hull/internal/hulltest"
)

// TestKept follows two groups that stay for as long as their Tree is open, whether or not they were made in advance.
func TestKept(t *testing.T) {
	hulltest.NeedRoot(t)
	parent := "hull-" + hulltest.Instance(t)
	open := func() *cgroup.Tree {
		tr, err := cgroup.Open(cgroup.Config{Parent: parent, Kept: []string{"burstable", "besteffort"}, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return tr
	}
	pod := func(tr *cgroup.Tree) {
		t.Helper()
		g, err := tr.Create("besteffort/podx", cgroup.Resources{})
		if err != nil {
			t.Fatal(err)
		}
		if list, err := tr.List(); err != nil || !slices.Equal(list, []string{"besteffort/podx"}) {
			t.Errorf("List() = %v, %v", list, err)
		}
		if err := g.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := g.Prune(); err != nil {
			t.Fatal(err)
		}
	}
	there := func(want ...string) {
		t.Helper()
		plain, err := cgroup.Open(cgroup.Config{Parent: parent, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if list, err := plain.List(); err != nil || !slices.Equal(list, want) {
			t.Errorf("there is %v (%v), want %v", list, err, want)
		}
	}
	closed := func(tr *cgroup.Tree) {
		t.Helper()
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	}
	tr := open()
	pod(tr)
	there("besteffort")
	if err := tr.Keep(); err != nil {
		t.Fatal(err)
	}
	there("besteffort", "burstable")
	pod(tr)
	there("besteffort", "burstable")
	closed(tr)
	there()
	if exists("/sys/fs/cgroup/"+parent) || exists("/sys/fs/cgroup/pids/"+parent) {
		t.Errorf("%s is left", parent)
	}

	// What is in use stays, and the next one takes it over.
	tr = open()
	g, err := tr.Create("burstable/pody", cgroup.Resources{})
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Keep(); err != nil {
		t.Fatal(err)
	}
	closed(tr)
	there("burstable/pody", "burstable")
	tr = open()
	if err := g.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	closed(tr)
	there()
}
