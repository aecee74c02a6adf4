package runtime

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// logDisk is a small file system for logs: fill fills it, and room makes room in it.
func logDisk(t *testing.T) (dir string, fill, room func()) {
	t.Helper()
	dir = t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"))
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	filler := filepath.Join(dir, "filler")
	fill = func() {
		f, err := os.Create(filler)
		must(t, err)
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
		must(t, f.Close())
	}
	return dir, fill, func() { must(t, os.Remove(filler)) }
}

// TestEndOnAFullLogDisk: what a container has printed is written when there is room for it, also if its end is told before, and by the
// next hulld if this one ends; and a container is removed whatever its log waits for.
func TestEndOnAFullLogDisk(t *testing.T) {
	if !underKeeper(t) {
		return
	}
	w := newWorld(t)
	w.drainLimit = time.Millisecond
	disk, fill, room := logDisk(t)
	s := w.sandbox(func(c *SandboxConfig) { c.LogDirectory = disk })
	ended := func(name string) *container {
		cfg := w.sleeper()
		cfg.Name, cfg.LogPath, cfg.Args = name, name+".log", []string{"/bin/sh", "-c", "echo I am " + name}
		st, err := w.CreateContainer(t.Context(), s.ID, cfg)
		must(t, err)
		must(t, w.StartContainer(t.Context(), st.ID, Turn{}))
		c, err := w.all.container(st.ID)
		must(t, err)
		must(t, w.exits.Await(t.Context(), c.ended))
		return c
	}
	isWritten := func(c *container) {
		log, _ := c.held.Streams()
		if log == nil {
			t.Fatalf("%s: its log is closed, and not written", c)
		}
		room()
		must(t, log.Wait(t.Context()))
		if said, err := os.ReadFile(c.logPath()); err != nil || !strings.Contains(string(said), "I am "+c.config().Name) {
			t.Errorf("%s: its log is %q, %v", c, said, err)
		}
	}
	fill()
	removed, kept := ended("removed"), ended("kept")
	must(t, w.RemoveContainer(t.Context(), removed.id))
	isWritten(kept)

	fill()
	removed, kept = ended("removed2"), ended("kept2")
	must(t, w.Close())
	var err error
	w.Runtime, err = Open(t.Context(), w.cfg)
	must(t, err)
	must(t, w.RemoveContainer(t.Context(), removed.id))
	kept, err = w.all.container(kept.id)
	must(t, err)
	isWritten(kept)

	must(t, w.RemoveSandbox(t.Context(), s.ID))
	if records, err := w.cfg.Keeper.Records(context.Background()); err != nil || len(records) > 0 {
		t.Errorf("the keeper holds %v, %v", records, err)
	}
}
