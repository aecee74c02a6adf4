package keeper

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// fakeTable is a table over a kernel that says what the test wants, and counts closed descriptors.
func fakeTable(state linux.ChildState, exists bool) (*table, *[]int) {
	t := newTable()
	closed := &[]int{}
	t.state = func(int) (linux.ChildState, error) { return state, nil }
	t.exists = func(int) bool { return exists }
	t.closeFD = func(fd int) { *closed = append(*closed, fd) }
	return t, closed
}

var epoch = time.Unix(1700000000, 0)

func TestBorn(t *testing.T) {
	const pid = 77
	tests := []struct {
		name   string
		early  []unix.WaitStatus // exits of the number that came before Born
		state  linux.ChildState
		exists bool
		want   *unix.WaitStatus
	}{
		{name: "it lives", state: linux.ChildAlive, exists: true},
		{name: "it is a zombie that the next round reaps", state: linux.ChildZombie, exists: true},
		{name: "its exit came first", early: []unix.WaitStatus{9}, state: linux.NotChild, want: status(9)},
		{name: "the number was another's before", early: []unix.WaitStatus{9}, state: linux.ChildAlive, exists: true},
		{name: "the number was another's, and then its own", early: []unix.WaitStatus{9, 3 << 8}, state: linux.NotChild, want: status(3 << 8)},
		{name: "reaped and no longer known", state: linux.NotChild, want: status(255 << 8)},
		{name: "not our child yet", state: linux.NotChild, exists: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tab, _ := fakeTable(tt.state, tt.exists)
			for _, s := range tt.early {
				if e := tab.exited(pid, s, epoch); e != nil {
					t.Fatalf("an exit of nobody matched %+v", e)
				}
			}
			if err := tab.register("c1", nil); err != nil {
				t.Fatal(err)
			}
			exit, err := tab.born("c1", pid, epoch)
			if err != nil {
				t.Fatal(err)
			}
			if (exit == nil) != (tt.want == nil) || exit != nil && exit.Status != *tt.want {
				t.Fatalf("exit %+v, want %v", exit, tt.want)
			}
			if len(tab.kept) != 0 {
				t.Errorf("still kept: %+v", tab.kept)
			}
			if exit == nil {
				if e := tab.exited(pid, 5<<8, epoch); e == nil || e.Key != "c1" || e.Status != 5<<8 {
					t.Errorf("its exit later: %+v", e)
				}
			}
			if len(tab.byPID) != 0 {
				t.Errorf("still alive: %v", tab.byPID)
			}
		})
	}
}

func status(s unix.WaitStatus) *unix.WaitStatus { return &s }

func TestTableRefuses(t *testing.T) {
	tab, closed := fakeTable(linux.ChildAlive, true)
	if err := tab.register("a", []int{50}); err != nil {
		t.Fatal(err)
	}
	long := string(make([]byte, MaxKey+1))
	tests := []struct {
		name string
		err  error
		want error
	}{
		{"twice", tab.register("a", []int{51}), errdefs.ErrAlreadyExists},
		{"no key", tab.register("", []int{52}), errdefs.ErrInvalidArgument},
		{"long key", tab.register(long, nil), errdefs.ErrInvalidArgument},
		{"many descriptors", tab.register("b", make([]int, MaxFDs+1)), errdefs.ErrInvalidArgument},
		{"check nothing", tab.check("b", 1), errdefs.ErrNotFound},
		{"check the unborn", tab.check("a", 0), errdefs.ErrNotFound},
		{"birth of nothing", second(tab.born("b", 1, epoch)), errdefs.ErrNotFound},
		{"no process", second(tab.born("a", 0, epoch)), errdefs.ErrInvalidArgument},
		{"born", second(tab.born("a", 5, epoch)), nil},
		{"born twice", second(tab.born("a", 6, epoch)), errdefs.ErrAlreadyExists},
		{"check", tab.check("a", 5), nil},
		{"check another", tab.check("a", 6), errdefs.ErrNotFound},
	}
	for _, tt := range tests {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, tt.err, tt.want)
		}
	}
	if want := append([]int{51, 52}, make([]int, MaxFDs+1)...); !slices.Equal(*closed, want) {
		t.Errorf("closed %v, want %v", *closed, want)
	}
}

func second[T any](_ T, err error) error { return err }

func TestForget(t *testing.T) {
	tab, closed := fakeTable(linux.ChildAlive, true)
	for i, key := range []string{"a", "b", "c"} {
		if err := tab.register(key, []int{50 + i}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tab.born("a", 5, epoch); err != nil {
		t.Fatal(err)
	}
	tab.forget([]string{"a", "nobody", "c"})
	if got := tab.list(); len(got) != 1 || got[0].key != "b" {
		t.Errorf("left: %v", got)
	}
	if !slices.Equal(*closed, []int{50, 52}) {
		t.Errorf("closed %v", *closed)
	}
	if e := tab.exited(5, 0, epoch); e != nil {
		t.Errorf("a forgotten process exited as %+v", e)
	}
}

func TestKeptExitsAreBounded(t *testing.T) {
	tab, _ := fakeTable(linux.NotChild, false)
	for pid := range 10 * keptExits {
		tab.exited(pid+1, 0, epoch)
	}
	if len(tab.kept) > keptExits || cap(tab.kept) > 2*keptExits {
		t.Errorf("%d exits kept, room for %d", len(tab.kept), cap(tab.kept))
	}
	if tab.takeKept(10*keptExits) == nil {
		t.Error("the last exit is not kept")
	}
}

func TestBackoff(t *testing.T) {
	delay := time.Duration(-1)
	var got []time.Duration
	for range 9 {
		delay = backoff(delay, time.Second)
		got = append(got, delay/time.Millisecond)
	}
	if want := []time.Duration{0, 100, 200, 400, 800, 1600, 3200, 5000, 5000}; !slices.Equal(got, want) {
		t.Errorf("delays %v, want %v", got, want)
	}
	if d := backoff(delay, 10*time.Second); d != 0 {
		t.Errorf("after ten good seconds: %v", d)
	}
}
