package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/containerd/errdefs"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
)

func TestPullsAtOnceAreOne(t *testing.T) {
	f := newFixture(t)
	img := randomImage(t, 64<<10, 4)
	f.push(t, "library/x:latest", img)
	var resolved, joined atomic.Int32
	go8 := make(chan struct{})
	f.on(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead {
			resolved.Add(1)
			<-go8
		}
		return false
	})
	const pulls = 8
	short, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for i := range pulls {
		wg.Go(func() {
			ctx := t.Context()
			if i == 0 {
				ctx = short // one who goes away harms nobody
			}
			var once sync.Once
			_, err := f.Pull(ctx, "x", PullOptions{Progress: func(Progress) {
				once.Do(func() {
					if joined.Add(1) == pulls {
						cancel()
						close(go8)
					}
				})
			}})
			if err != nil && (i != 0 || !errors.Is(err, context.Canceled)) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := resolved.Load(); n != 1 {
		t.Errorf("asked the registry %d times", n)
	}
}

func TestAbandonedPullEnds(t *testing.T) {
	f := newFixture(t)
	f.push(t, "library/x:latest", randomImage(t, 100, 1))
	asked, gone := make(chan struct{}), make(chan struct{})
	f.on(func(_ http.ResponseWriter, r *http.Request) bool {
		close(asked)
		<-r.Context().Done()
		close(gone)
		return true
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		f.on(nil)
		cancel()
	}()
	if _, err := f.Pull(ctx, "x", PullOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("pull: %v", err)
	}
	<-gone
	f.pull(t, "x")
}

func TestImagesShareLayers(t *testing.T) {
	f := newFixture(t)
	base := randomImage(t, 32<<10, 2)
	upon := func() v1.Image {
		l, err := random.Layer(1000, "application/vnd.docker.image.rootfs.diff.tar.gzip")
		if err != nil {
			t.Fatal(err)
		}
		img, err := mutate.AppendLayers(base, l)
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
	a, b := upon(), upon()
	f.push(t, "library/a:1", a)
	f.push(t, "library/b:1", b)
	var wg sync.WaitGroup
	for _, ref := range []string{"a:1", "b:1"} {
		wg.Go(func() {
			if _, err := f.Pull(t.Context(), ref, PullOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, _, layers := f.contents(t); layers != 4 {
		t.Errorf("%d layers on the disk, want 4", layers)
	}
	if err := f.Remove(t.Context(), "a:1"); err != nil {
		t.Fatal(err)
	}
	if blobs, _, layers := f.contents(t); layers != 3 || blobs != 5 {
		t.Errorf("%d layers and %d blobs on the disk, want 3 and 5", layers, blobs)
	}
	f.checkLayers(t, f.pull(t, "b:1").ID, b)
}

func TestRemove(t *testing.T) {
	f := newFixture(t)
	img := randomImage(t, 1000, 2)
	f.push(t, "library/x:1", img)
	f.push(t, "library/x:2", img)
	got := f.pull(t, "x:1")
	if got = f.pull(t, "x:2"); len(got.Names) != 2 || len(got.Digests) != 1 {
		t.Fatalf("pulled %+v", got)
	}
	ctx := t.Context()
	dirs, err := f.Layers(ctx, got.ID, "someone")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Layers(ctx, got.ID, "another"); err != nil {
		t.Fatal(err)
	}
	if err := f.Remove(ctx, "x:1"); err != nil { // takes the tag alone
		t.Error(err)
	}
	for _, ref := range []string{"x:2", got.ID, got.Digests[0]} {
		if err := f.Remove(ctx, ref); !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "in use by another, someone") {
			t.Errorf("remove %s: %v", ref, err)
		}
	}
	if err := f.Release(ctx, "someone"); err != nil {
		t.Error(err)
	}
	if h := f.present.holdersOf(got.ID); !slices.Equal(h, []string{"another"}) {
		t.Errorf("holders %v", h)
	}

	// Holds are said again after a start.
	f.reopen(t)
	if err := f.Retain(ctx, map[string]string{"another": got.ID, "lost": "sha256:0"}); err != nil {
		t.Errorf("retain: %v", err)
	}
	if h := f.present.holdersOf("sha256:0"); !slices.Equal(h, []string{"lost"}) {
		t.Errorf("holders of an image that the disk has lost: %v", h)
	}
	if err := f.Release(ctx, "lost"); err != nil {
		t.Error(err)
	}
	if err := f.Remove(ctx, "x:2"); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("remove: %v", err)
	}
	if err := f.Release(ctx, "another"); err != nil {
		t.Error(err)
	}
	if err := f.Remove(ctx, "x:2"); err != nil {
		t.Error(err)
	}
	f.wantNothing(t)
	if _, err := os.Stat(dirs[0]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory of a removed layer: %v", err)
	}
	for _, ref := range []string{"x:1", "x:2", got.ID} {
		if err := f.Remove(ctx, ref); !errdefs.IsNotFound(err) {
			t.Errorf("remove %s again: %v", ref, err)
		}
	}
	if _, err := f.Layers(ctx, got.ID, "late"); !errdefs.IsNotFound(err) {
		t.Errorf("layers of a removed image: %v", err)
	}
	f.checkLayers(t, f.pull(t, "x:1").ID, img)
}

// TestRemoveOneRepository: an image's digest in a repository goes with the last tag that it has there, whatever other names stay.
func TestRemoveOneRepository(t *testing.T) {
	f := newFixture(t)
	img := randomImage(t, 1000, 1)
	for _, ref := range []string{"library/x:1", "library/x:2", "library/y:1"} {
		f.push(t, ref, img)
		f.pull(t, strings.TrimPrefix(ref, "library/"))
	}
	d := f.pull(t, "x:1").Digests[0]
	d = d[strings.Index(d, "@"):]
	x, y := "docker.io/library/x", "docker.io/library/y"
	for _, step := range []struct {
		remove         string
		names, digests []string
	}{
		{"x:1", []string{x + ":2", y + ":1"}, []string{x + d, y + d}},
		{"x:2", []string{y + ":1"}, []string{y + d}},
	} {
		if err := f.Remove(t.Context(), step.remove); err != nil {
			t.Fatal(err)
		}
		for range 2 { // also as the disk has it
			list, err := f.List(t.Context())
			if err != nil || len(list) != 1 || !slices.Equal(list[0].Names, step.names) || !slices.Equal(list[0].Digests, step.digests) {
				t.Fatalf("without %s: %+v, %v", step.remove, list, err)
			}
			f.reopen(t)
		}
	}
	if _, err := f.Get(t.Context(), x+d); !errdefs.IsNotFound(err) {
		t.Errorf("by the digest that has gone: %v", err)
	}
}

func TestTagMoves(t *testing.T) {
	f := newFixture(t)
	older, newer := randomImage(t, 100, 1), randomImage(t, 100, 1)
	f.push(t, "library/x:latest", older)
	first := f.pull(t, "x")
	f.push(t, "library/x:latest", newer)
	second := f.pull(t, "x")
	if first.ID == second.ID {
		t.Fatal("the tag did not move")
	}
	if img, err := f.Get(t.Context(), "x"); err != nil || img.ID != second.ID {
		t.Errorf("x is %s, %v", img.ID, err)
	}
	if img, err := f.Get(t.Context(), first.ID); err != nil || len(img.Names) != 0 || len(img.Digests) != 1 {
		t.Errorf("the older image: %+v, %v", img, err)
	}
	if list, _ := f.List(t.Context()); len(list) != 2 || list[0].ID != second.ID || list[1].ID != first.ID {
		t.Errorf("list %+v", list)
	}
	f.checkLayers(t, first.ID, older)
}

func TestNoDescriptorIsLeaked(t *testing.T) {
	f := newFixture(t)
	f.push(t, "library/x:latest", randomImage(t, 64<<10, 3))
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, e := range entries {
			// The registry's own connections live in this process too, and end when they like.
			if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.HasPrefix(to, "socket:") {
				n++
			}
		}
		return n
	}
	f.pull(t, "x")
	before := count()
	for range 5 {
		f.pull(t, "x")
		_, _ = f.Pull(t.Context(), "nope", PullOptions{})
		if err := f.Remove(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
	}
	if after := count(); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func BenchmarkGetAndLayers(b *testing.B) {
	f := benchFixture(b)
	ctx := b.Context()
	for i := 0; b.Loop(); i++ {
		img, err := f.Get(ctx, "nginx:1.7.9")
		if err != nil {
			b.Fatal(err)
		}
		holder := fmt.Sprint("holder ", i)
		if _, err := f.Layers(ctx, img.ID, holder); err != nil {
			b.Fatal(err)
		}
		if err := f.Release(ctx, holder); err != nil {
			b.Fatal(err)
		}
	}
}
