package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	bolt "go.etcd.io/bbolt"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hull-pods/hull/internal/failpoint"
)

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func fresh(t *testing.T) *Store { return open(t, filepath.Join(t.TempDir(), "objects.db")) }

func pod(namespace, name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": name}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "toolbox"}}},
	}
}

func mustCreate(t *testing.T, s *Store, obj Object) Object {
	t.Helper()
	got, _, err := s.Create(obj)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// label is an update that sets a label.
func label(t *testing.T, s *Store, namespace, name, value string) *corev1.Pod {
	t.Helper()
	got, _, err := Update(s, namespace, name, func(p *corev1.Pod) (*corev1.Pod, error) {
		next := *p
		next.Labels = map[string]string{"app": value}
		return &next, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestCreateSetsWhatTheStoreOwns(t *testing.T) {
	s := fresh(t)
	in := pod("default", "web")
	got := mustCreate(t, s, in).(*corev1.Pod)
	if got.UID == "" || got.ResourceVersion != "1" || got.Generation != 1 || got.CreationTimestamp.IsZero() {
		t.Errorf("uid %q, version %q, generation %d, created %v", got.UID, got.ResourceVersion, got.Generation, got.CreationTimestamp)
	}
	if got.Kind != "Pod" || got.APIVersion != "v1" {
		t.Errorf("kind %q of %q", got.Kind, got.APIVersion)
	}
	if in.UID != "" || in.ResourceVersion != "" {
		t.Error("the argument was changed")
	}
	in.Labels["app"] = "other"
	if again, err := Get[*corev1.Pod](s, "default", "web"); err != nil || again != got || again.Labels["app"] != "web" {
		t.Errorf("get: %v %v", again, err)
	}
}

func TestErrorsAreKubernetesWords(t *testing.T) {
	s := fresh(t)
	mustCreate(t, s, pod("default", "web"))
	_, _, err := s.Create(pod("default", "web"))
	if want := `pods "web" already exists`; !apierrors.IsAlreadyExists(err) || err.Error() != want {
		t.Errorf("create again: %v, want %s", err, want)
	}
	_, err = s.Get(Key{"pods", "default", "db"})
	if want := `pods "db" not found`; !apierrors.IsNotFound(err) || err.Error() != want {
		t.Errorf("get: %v, want %s", err, want)
	}
	if _, _, err = s.Update(Key{"pods", "other", "web"}, func(o Object) (Object, error) { return o, nil }); !apierrors.IsNotFound(err) {
		t.Errorf("update in another namespace: %v", err)
	}
	if _, _, err = s.List("boats", "", nil); err == nil {
		t.Error("list of an unknown resource is no error")
	}
}

func TestUpdate(t *testing.T) {
	s := fresh(t)
	first := mustCreate(t, s, pod("default", "web")).(*corev1.Pod)
	second := label(t, s, "default", "web", "x")
	if second.ResourceVersion != "2" || first.Labels["app"] != "web" || second.UID != first.UID {
		t.Errorf("version %s, old label %s", second.ResourceVersion, first.Labels["app"])
	}
	if third := label(t, s, "default", "web", "x"); third != second {
		t.Error("an update that changes nothing made a version")
	}
	refuse := errors.New("no")
	if _, _, err := s.Update(Key{"pods", "default", "web"}, func(Object) (Object, error) { return nil, refuse }); !errors.Is(err, refuse) {
		t.Errorf("a refused change: %v", err)
	}
	_, _, err := Update(s, "default", "web", func(p *corev1.Pod) (*corev1.Pod, error) {
		next := *p
		next.Name = "db"
		return &next, nil
	})
	if err == nil {
		t.Error("an update can rename")
	}
}

// TestConcurrentUpdates counts in a label from many goroutines: none is lost.
func TestConcurrentUpdates(t *testing.T) {
	s := fresh(t)
	mustCreate(t, s, pod("default", "web"))
	const writers, each = 8, 50
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				_, _, err := Update(s, "default", "web", func(p *corev1.Pod) (*corev1.Pod, error) {
					next := *p
					n, _ := strconv.Atoi(p.Annotations["n"])
					next.Annotations = map[string]string{"n": strconv.Itoa(n + 1)}
					return &next, nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	p, err := Get[*corev1.Pod](s, "default", "web")
	if err != nil || p.Annotations["n"] != strconv.Itoa(writers*each) {
		t.Errorf("counted to %s, want %d: %v", p.Annotations["n"], writers*each, err)
	}
}

func TestListIsSortedAndFiltered(t *testing.T) {
	s := fresh(t)
	for _, k := range []string{"b/2", "a/2", "b/1", "a/1"} {
		ns, name, _ := strings.Cut(k, "/")
		mustCreate(t, s, pod(ns, name))
	}
	names := func(ns string, match func(*corev1.Pod) bool) string {
		pods, version, err := List(s, ns, match)
		if err != nil || version != 4 {
			t.Fatalf("version %d: %v", version, err)
		}
		var out []string
		for _, p := range pods {
			out = append(out, p.Namespace+"/"+p.Name)
		}
		return strings.Join(out, " ")
	}
	if got := names("", nil); got != "a/1 a/2 b/1 b/2" {
		t.Errorf("all: %s", got)
	}
	if got := names("b", nil); got != "b/1 b/2" {
		t.Errorf("of b: %s", got)
	}
	if got := names("", func(p *corev1.Pod) bool { return p.Name == "2" }); got != "a/2 b/2" {
		t.Errorf("matching: %s", got)
	}
}

// TestGone: the write that leaves nothing to wait for removes the object.
func TestGone(t *testing.T) {
	s := fresh(t)
	p := pod("default", "web")
	p.Finalizers = []string{"hull.test/hold"}
	mustCreate(t, s, p)
	set := func(change func(*corev1.Pod)) {
		t.Helper()
		_, commit, err := Update(s, "default", "web", func(p *corev1.Pod) (*corev1.Pod, error) {
			next := p.DeepCopy()
			change(next)
			return next, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := commit.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	exists := func(want bool) {
		t.Helper()
		if _, err := s.Get(Key{"pods", "default", "web"}); apierrors.IsNotFound(err) == want {
			t.Fatalf("there: %v, want %v", err, want)
		}
	}
	set(func(p *corev1.Pod) {
		at, grace := now(), int64(30)
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &at, &grace
	})
	exists(true)
	set(func(p *corev1.Pod) { *p.DeletionGracePeriodSeconds = 0 })
	exists(true)
	set(func(p *corev1.Pod) { p.Finalizers = nil })
	exists(false)
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "objects.db")
	s, err := Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	web := mustCreate(t, s, pod("default", "web")).(*corev1.Pod)
	mustCreate(t, s, pod("default", "db"))
	if _, _, err := s.Remove(Key{"pods", "default", "db"}, nil); err != nil {
		t.Fatal(err)
	}
	s.Recorder("kubelet", "host").Event(Ref(web, ""), corev1.EventTypeNormal, "Started", "it started")
	version := s.Version()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Create(pod("default", "late")); !errors.Is(err, ErrClosed) {
		t.Errorf("create after close: %v", err)
	}

	s = open(t, path)
	if s.Version() != version {
		t.Errorf("version %d, was %d", s.Version(), version)
	}
	pods, _, err := List[*corev1.Pod](s, "", nil)
	if err != nil || len(pods) != 1 || pods[0].UID != web.UID || pods[0].Kind != "Pod" || pods[0].ResourceVersion != web.ResourceVersion {
		t.Errorf("pods: %v %v", pods, err)
	}
	if events, _, err := List[*corev1.Event](s, "", nil); err != nil || len(events) != 1 {
		t.Errorf("events: %v %v", events, err)
	}
	if got := mustCreate(t, s, pod("default", "next")); VersionOf(got) != version+1 {
		t.Errorf("the next version is %s, want %d", got.GetResourceVersion(), version+1)
	}
}

func TestOneAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "objects.db")
	open(t, path)
	if _, err := Open(path, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "another hulld has it open") {
		t.Errorf("second open: %v", err)
	}
}

// TestFormatIsKept reads the file that the first version of Hull wrote. HULL_UPDATE_GOLDEN=1 writes it anew.
func TestFormatIsKept(t *testing.T) {
	const golden = "testdata/objects-1.db"
	if os.Getenv("HULL_UPDATE_GOLDEN") != "" {
		if err := os.RemoveAll(golden); err != nil {
			t.Fatal(err)
		}
		s, err := Open(golden, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		web := mustCreate(t, s, pod("default", "web")).(*corev1.Pod)
		s.Recorder("kubelet", "host").Event(Ref(web, "spec.containers{a}"), corev1.EventTypeNormal, "Started", "Container started")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "objects.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	p, err := Get[*corev1.Pod](s, "default", "web")
	if err != nil || p.Spec.Containers[0].Image != "toolbox" || p.Generation != 1 || s.Version() != 2 {
		t.Errorf("pod %v at version %d: %v", p, s.Version(), err)
	}
	events, _, err := List[*corev1.Event](s, "default", nil)
	if err != nil || len(events) != 1 || events[0].InvolvedObject.FieldPath != "spec.containers{a}" {
		t.Errorf("events %v: %v", events, err)
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "objects.db")
	s, err := Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	setFormat(t, path, "2")
	if _, err := Open(path, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "written by a newer Hull") {
		t.Errorf("open: %v", err)
	}
}

// onDisk says whether the file has a Pod.
func onDisk(t *testing.T, s *Store, name string) (there bool) {
	t.Helper()
	if err := s.db.View(func(tx *bolt.Tx) error {
		objects := tx.Bucket([]byte(bucketHull)).Bucket([]byte(bucketObjects))
		there = objects.Bucket([]byte("pods")).Get([]byte(name)) != nil
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return there
}

// TestCommitFails: who waits gets the error, and the write is made with the next one.
func TestCommitFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "objects.db")
	s, err := Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := failpoint.Set("store.commit=error"); err != nil {
		t.Fatal(err)
	}
	_, commit, err := s.Create(pod("default", "web"))
	if err != nil {
		t.Fatal(err)
	}
	if err := commit.Wait(t.Context()); !errors.Is(err, failpoint.ErrInjected) || !strings.Contains(err.Error(), path) {
		t.Errorf("wait: %v", err)
	}
	if _, err := s.Get(Key{"pods", "default", "web"}); err != nil {
		t.Errorf("the object is not there: %v", err)
	}
	created := Created[*corev1.Pod](s, "default", "web")
	// The second try may have been made by now.
	if created == (Commit{}) && !onDisk(t, s, "default/web") {
		t.Error("the creation counts as written")
	}
	s.mu.Lock()
	commit = s.pending(Key{"pods", "default", "web"}, false)
	s.mu.Unlock()
	for what, c := range map[string]Commit{"second try": commit, "creation": created} {
		if err := c.Wait(t.Context()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if c := Created[*corev1.Pod](s, "default", "web"); c != (Commit{}) {
		t.Error("the creation does not count as written")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, path).Get(Key{"pods", "default", "web"}); err != nil {
		t.Errorf("after reopening: %v", err)
	}
}

// TestLogOfAFullDisk: a write is tried every second, and the log is told when that begins to fail, for another reason, and to work again.
func TestLogOfAFullDisk(t *testing.T) {
	var said strings.Builder
	log := slog.New(slog.NewTextHandler(&said, nil))
	var last outcome
	full := unsaved("objects.db", syscall.ENOSPC)
	for _, err := range []error{nil, full, full, full, unsaved("objects.db", syscall.EIO), full, nil, nil, full} {
		last.tell(log, &batch{err: err})
	}
	for what, want := range map[string]int{"level=ERROR": 4, "no space left": 3, "on disk again": 1} {
		if n := strings.Count(said.String(), what); n != want {
			t.Errorf("%d times %q, not %d:\n%s", n, what, want, &said)
		}
	}
}

// TestManyCommitsAreFew: what arrives while the disk is busy goes in one transaction.
func TestManyCommitsAreFew(t *testing.T) {
	s := fresh(t)
	const n = 500
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			_, commit, err := s.Create(pod("default", fmt.Sprintf("web-%d", i)))
			if err == nil {
				err = commit.Wait(context.Background())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if commits := txID(t, s); commits >= n {
		t.Errorf("%d transactions for %d objects", commits, n)
	}
	pods, _, err := List[*corev1.Pod](s, "default", nil)
	if err != nil || len(pods) != n {
		t.Errorf("%d pods: %v", len(pods), err)
	}
}
