package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/hull-pods/hull/internal/failpoint"
)

// contents counts what the store has on its disk: blobs, unfinished blobs, layers.
func (f *fixture) contents(t *testing.T) (blobs, ingests, layers int) {
	t.Helper()
	count := func(dir string) int {
		entries, err := os.ReadDir(filepath.Join(f.root, dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return len(entries)
	}
	return count("content/blobs/sha256"), count("content/ingest"), count("snapshots/snapshots")
}

// settle waits for what Open does in the background.
func (f *fixture) settle(t *testing.T) {
	t.Helper()
	f.kept.wg.Wait()
}

func (f *fixture) wantNothing(t *testing.T) {
	t.Helper()
	f.settle(t)
	if b, i, l := f.contents(t); b+i+l != 0 {
		t.Errorf("left over: %d blobs, %d unfinished blobs, %d layers", b, i, l)
	}
}

func TestPullGoesOn(t *testing.T) {
	f := newFixture(t)
	img := randomImage(t, 256<<10, 2)
	f.push(t, "library/x:latest", img)
	digest, packed := lowest(t, img)
	half := len(packed) / 2
	f.on(func(w http.ResponseWriter, r *http.Request) bool {
		if !isBlob(r, digest) {
			return false
		}
		if r.Header.Get("Range") != "" {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(packed)))
		_, _ = w.Write(packed[:half])
		panic(http.ErrAbortHandler)
	})
	if _, err := f.Pull(t.Context(), "x", PullOptions{}); err == nil {
		t.Fatal("pulled from a registry that hangs up")
	}
	f.reopen(t)
	var asked []string
	f.on(func(w http.ResponseWriter, r *http.Request) bool {
		if !isBlob(r, digest) {
			return false
		}
		asked = append(asked, r.Header.Get("Range"))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(packed))
		return true
	})
	f.checkLayers(t, f.pull(t, "x").ID, img)
	if want := fmt.Sprintf("[bytes=%d-]", half); fmt.Sprint(asked) != want {
		t.Errorf("asked for %q, want %s", asked, want)
	}
	if err := f.Remove(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	f.wantNothing(t)
}

// A registry that cannot begin in the middle: the blob comes again from its beginning.
func TestPullGoesOnWithoutRanges(t *testing.T) {
	f := newFixture(t)
	img := randomImage(t, 256<<10, 1)
	f.push(t, "library/x:latest", img)
	digest, packed := lowest(t, img)
	f.on(func(w http.ResponseWriter, r *http.Request) bool {
		if !isBlob(r, digest) {
			return false
		}
		if r.Header.Get("Range") != "" {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return true
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(packed)))
		_, _ = w.Write(packed[:1000])
		panic(http.ErrAbortHandler)
	})
	if _, err := f.Pull(t.Context(), "x", PullOptions{}); err == nil {
		t.Fatal("pulled")
	}
	f.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Range") == "" {
			return false
		}
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		return true
	})
	f.checkLayers(t, f.pull(t, "x").ID, img)
}

func TestPartialPullIsCollected(t *testing.T) {
	f := newFixture(t)
	img := randomImage(t, 256<<10, 2)
	f.push(t, "library/x:latest", img)
	digest, packed := lowest(t, img)
	f.on(func(w http.ResponseWriter, r *http.Request) bool {
		if isBlob(r, digest) {
			_, _ = w.Write(packed[:1000])
			panic(http.ErrAbortHandler)
		}
		return false
	})
	if _, err := f.Pull(t.Context(), "x", PullOptions{}); err == nil {
		t.Fatal("pulled")
	}
	if b, _, _ := f.contents(t); b == 0 {
		t.Error("nothing was kept for the next try")
	}
	// The time to go on is over when the store opens again.
	f.config.KeepPartial = time.Nanosecond
	f.reopen(t)
	f.waitFor(t, func() bool { b, i, l := f.contents(t); return b+i+l == 0 })
	// And while it is open.
	if _, err := f.Pull(t.Context(), "x", PullOptions{}); err == nil {
		t.Fatal("pulled")
	}
	f.waitFor(t, func() bool { b, i, l := f.contents(t); return b+i+l == 0 })
}

// waitFor waits for what a timer of the store starts, until the test's own end.
func (f *fixture) waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatal("still not so after a minute")
		}
	}
}

// TestKilledChild is what TestKilled starts: a process that pulls and is killed at a failpoint.
func TestKilledChild(t *testing.T) {
	root := os.Getenv("HULL_IMAGE_TEST_ROOT")
	if root == "" {
		t.Skip("only as a child of TestKilled")
	}
	s, err := Open(t.Context(), Config{Root: root, RegistryConfig: os.Getenv("HULL_IMAGE_TEST_CERTS"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := failpoint.Set(os.Getenv("HULL_IMAGE_TEST_FAILPOINT")); err != nil {
		t.Fatal(err)
	}
	_, err = s.Pull(t.Context(), "x", PullOptions{})
	t.Fatalf("still alive: %v", err)
}

func TestKilled(t *testing.T) {
	f := newFixture(t)
	img := randomImage(t, 64<<10, 3)
	f.push(t, "library/x:latest", img)
	for _, point := range imagePoints() {
		for _, hit := range []string{"", "@2"} {
			if hit != "" && (point == "image.lease" || point == "image.record") {
				continue
			}
			t.Run(point+hit, func(t *testing.T) {
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
				cmd := exec.Command(os.Args[0], "-test.run=^TestKilledChild$")
				cmd.Env = append(os.Environ(), "HULL_IMAGE_TEST_ROOT="+f.root, "HULL_IMAGE_TEST_CERTS="+f.config.RegistryConfig,
					"HULL_IMAGE_TEST_FAILPOINT="+point+"=kill"+hit)
				out, err := cmd.CombinedOutput()
				if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
					t.Fatalf("child: %v\n%s", err, out)
				}
				f.Store = nil
				f.reopen(t)
				f.settle(t)
				if _, err := f.Get(t.Context(), "x"); !errdefs.IsNotFound(err) {
					t.Errorf("half an image is here: %v", err)
				}
				f.checkLayers(t, f.pull(t, "x").ID, img)
				if err := f.Remove(t.Context(), "x"); err != nil {
					t.Fatal(err)
				}
				f.wantNothing(t)
			})
		}
	}
}

// imagePoints are the failpoints of a pull.
func imagePoints() []string {
	return slices.DeleteFunc(failpoint.All(), func(n string) bool { return !strings.HasPrefix(n, "image.") || n == "image.overlayfs" })
}

func TestFailpoints(t *testing.T) {
	f := newFixture(t)
	f.config.KeepPartial = -1
	f.reopen(t)
	f.push(t, "library/x:latest", randomImage(t, 1000, 2))
	t.Cleanup(func() { _ = failpoint.Set("") })
	for _, point := range imagePoints() {
		if err := failpoint.Set(point + "=error"); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Pull(t.Context(), "x", PullOptions{}); !errors.Is(err, failpoint.ErrInjected) {
			t.Errorf("%s: %v", point, err)
		}
		f.wantNothing(t)
	}
}

func TestDiskFull(t *testing.T) {
	f := newFixture(t)
	dir := f.onSmallDisk(t, "16m")
	f.push(t, "library/large:latest", randomImage(t, 9<<20, 2)) // does not even come
	f.push(t, "library/wide:latest", randomImage(t, 8<<20, 1))  // comes, and cannot be unpacked
	f.push(t, "library/small:latest", randomImage(t, 1<<20, 1))
	before := used(t, dir)
	for _, ref := range []string{"large", "wide"} {
		_, err := f.Pull(t.Context(), ref, PullOptions{})
		if !errdefs.IsResourceExhausted(err) || !strings.Contains(err.Error(), "no space left on device") || !strings.Contains(err.Error(), "is full") {
			t.Errorf("%s: %v", ref, err)
		}
		f.wantNothing(t)
		if after := used(t, dir); after > before+1<<20 {
			t.Errorf("%s: %d bytes used before, %d after", ref, before, after)
		}
	}
	f.pull(t, "small")
	if _, err := os.Stat(f.ballast()); err != nil {
		t.Error(err)
	}
}

func used(t *testing.T, dir string) int64 {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Blocks-st.Bfree) * st.Bsize
}

func TestOneProcessAtATime(t *testing.T) {
	f := newFixture(t)
	if s, err := Open(t.Context(), f.config); !errdefs.IsUnavailable(err) || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("opened twice: %v %v", s, err)
	}
}

func TestClosePullEnds(t *testing.T) {
	f := newFixture(t)
	asked := make(chan struct{})
	f.on(func(_ http.ResponseWriter, r *http.Request) bool {
		close(asked)
		<-r.Context().Done()
		return true
	})
	done := make(chan error)
	go func() {
		_, err := f.Pull(context.Background(), "x", PullOptions{})
		done <- err
	}()
	<-asked
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("pull ended with %v", err)
	}
	if _, err := f.Pull(t.Context(), "x", PullOptions{}); !errdefs.IsUnavailable(err) {
		t.Errorf("pull from a closed store: %v", err)
	}
	f.Store = nil
	f.reopen(t)
}

// A document that the disk has damaged is as good as gone: the image counts as absent, and a pull brings it anew.
func TestDamagedDocument(t *testing.T) {
	f := newFixture(t)
	img := randomImage(t, 1000, 2)
	f.push(t, "library/x:1", img)
	got := f.pull(t, "x:1")
	manifest := strings.TrimPrefix(got.Digests[0][strings.LastIndexByte(got.Digests[0], '@'):], "@sha256:")
	for what, damage := range map[string]func(path string) error{
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"half":    func(path string) error { return os.Truncate(path, 100) },
		"garbage": func(path string) error { return os.WriteFile(path, make([]byte, 500), 0o600) },
		"another": func(path string) error { return os.WriteFile(path, []byte("{}"), 0o600) },
		"gone":    os.Remove,
	} {
		for _, digest := range []string{manifest, strings.TrimPrefix(got.ID, "sha256:")} {
			if err := damage(filepath.Join(f.root, "content/blobs/sha256", digest)); err != nil {
				t.Fatal(err)
			}
			f.reopen(t)
			if img, err := f.Get(t.Context(), "x:1"); !errdefs.IsNotFound(err) {
				t.Errorf("%s %s: the image is %+v, %v", what, digest, img, err)
			}
			if again := f.pull(t, "x:1"); again.ID != got.ID {
				t.Errorf("%s %s: pulled %s, want %s", what, digest, again.ID, got.ID)
			}
			f.checkLayers(t, got.ID, img)
		}
	}
}
