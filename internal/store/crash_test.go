package store

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	bolt "go.etcd.io/bbolt"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hull-pods/hull/internal/failpoint"
)

const crashFile = "HULL_STORE_CRASH_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashFile); path != "" {
		fmt.Fprintln(os.Stderr, writeUntilKilled(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeUntilKilled creates, changes and removes pods from several goroutines, and prints a line for each write that is safe.
func writeUntilKilled(path string) error {
	if err := failpoint.Set(os.Getenv("HULL_FAILPOINTS")); err != nil {
		return err
	}
	s, err := Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	var out sync.Mutex
	say := func(format string, args ...any) {
		out.Lock()
		defer out.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	say("version %d", s.Version())
	told, err := s.Watch(context.Background(), WatchOptions{Resource: "pods", Settled: true})
	if err != nil {
		return err
	}
	go func() {
		for ev := range told {
			if ev.Type == watch.Deleted {
				say("told %s", ev.Object.(*corev1.Pod).Name)
			}
		}
	}()
	errs := make(chan error)
	for w := range 4 {
		go func() { errs <- writeForever(s, w, say) }()
	}
	return <-errs
}

func writeForever(s *Store, w int, say func(string, ...any)) error {
	ctx := context.Background()
	for i := 0; ; i++ {
		name := fmt.Sprintf("p-%d-%d-%d", os.Getpid(), w, i)
		obj, commit, err := s.Create(pod("default", name))
		if err != nil {
			return err
		}
		say("seen %s", obj.GetResourceVersion())
		if err := commit.Wait(ctx); err != nil {
			return err
		}
		say("created %s", name)
		if i%3 != 0 {
			continue
		}
		say("removing %s", name) // before: the removal may be on disk, and this process dead, as soon as it is made
		if _, commit, err = s.Remove(Key{"pods", "default", name}, nil); err != nil {
			return err
		}
		if err := commit.Wait(ctx); err != nil {
			return err
		}
		say("removed %s", name)
	}
}

// TestKill: a process that writes is killed at a random moment, again and again on one file. Everything that it said was
// done is there, what a watch told is gone stays gone, and no version is given twice.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "objects.db")
	known := map[string]string{} // name → the last that was said about it
	highest := uint64(0)
	for round := range 12 {
		env := ""
		switch round {
		case 3:
			env = "store.commit=kill@20"
		case 7:
			env = "store.committed=kill@20"
		}
		lines := runAndKill(t, path, env, 50+rand.IntN(400))
		for i, line := range lines {
			word, arg, _ := strings.Cut(line, " ")
			var v uint64
			switch word {
			case "version", "seen":
				if _, err := fmt.Sscan(arg, &v); err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				if i == 0 && v < highest {
					t.Fatalf("round %d starts at version %d, and %d was seen before", round, v, highest)
				}
				highest = max(highest, v)
			default:
				known[arg] = word
			}
		}
		check(t, path, known)
	}
	t.Logf("%d objects, version %d", len(known), highest)
}

func runAndKill(t *testing.T, path, failpoints string, after int) []string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashFile+"="+path, "HULL_FAILPOINTS="+failpoints)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	sc := bufio.NewScanner(stdout)
	for sc.Scan() {
		lines = append(lines, sc.Text())
		if len(lines) == after && failpoints == "" {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the writer ended otherwise: %v", err)
	}
	return lines
}

func check(t *testing.T, path string, known map[string]string) {
	t.Helper()
	s, err := Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.db.Close() // not Close: the ceiling stays where the killed process left it
	for name, last := range known {
		_, err := Get[*corev1.Pod](s, "default", name)
		if last == "created" && err != nil {
			t.Errorf("%s was answered: %v", name, err)
		}
		if (last == "removed" || last == "told") && err == nil {
			t.Errorf("%s was removed, the last word is %s, and it is there", name, last)
		}
	}
}

func setFormat(t *testing.T, path, format string) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(bucketHull)).Bucket([]byte(bucketMeta)).Put([]byte(keyFormat), []byte(format))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// txID is the number of transactions that the file has seen.
func txID(t *testing.T, s *Store) int {
	t.Helper()
	tx, err := s.db.Begin(false)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	return tx.ID()
}
