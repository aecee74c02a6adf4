package runtime

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/hull-pods/hull/internal/linux"
)

// waiting lists the keeper's children that are no infra process and run no command yet.
func waiting(t *testing.T) []int {
	t.Helper()
	keeper := strconv.Itoa(os.Getppid())
	list, err := os.ReadFile("/proc/" + keeper + "/task/" + keeper + "/children")
	must(t, err)
	var pids []int
	for _, field := range strings.Fields(string(list)) {
		line, _ := os.ReadFile("/proc/" + field + "/cmdline")
		if strings.TrimRight(string(line), "\x00") == "hull-init" {
			pid, err := strconv.Atoi(field)
			must(t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestBornAhead: a container's process is there before its start, unless it would miss what the host mounts until then, and becomes the
// container, or ends with what was made of it.
func TestBornAhead(t *testing.T) {
	if !underKeeper(t) {
		return
	}
	w := newWorld(t)
	s := w.sandbox(nil)
	c := w.container(s)
	born := waiting(t)
	if len(born) != 1 {
		t.Fatalf("waiting: %v", born)
	}
	must(t, w.StartContainer(t.Context(), c.ID, Turn{}))
	if st, err := w.Container(c.ID); err != nil || st.PID != born[0] {
		t.Errorf("process %d was waiting, and the container is %+v, %v", born[0], st, err)
	}
	c = w.container(s)
	if born = waiting(t); len(born) != 1 {
		t.Fatalf("waiting: %v", born)
	}
	pidfd, err := linux.PidfdOpen(born[0])
	must(t, err)
	defer func() { _ = pidfd.Close() }()
	must(t, w.RemoveContainer(t.Context(), c.ID))
	must(t, linux.PidfdWait(pidfd))

	dir, err := os.Open(t.TempDir())
	must(t, err)
	cfg := w.sleeper()
	cfg.Mounts = []Mount{{File: dir, Destination: "/mnt", Propagation: "HostToContainer"}}
	c, err = w.CreateContainer(t.Context(), s.ID, cfg)
	must(t, err)
	if born = waiting(t); len(born) > 0 {
		t.Errorf("waiting, without what is mounted until they start: %v", born)
	}
	must(t, w.StartContainer(t.Context(), c.ID, Turn{}))
}
