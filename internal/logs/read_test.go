package logs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/hull-pods/hull/internal/hulltest"
)

// sample is a log of four lines, one of them in two parts, with one in the middle that is none.
const sample = `2026-01-01T00:00:01Z stdout F one
2026-01-01T00:00:02Z stderr F two
rubbish
2026-01-01T00:00:03Z stdout P thr
2026-01-01T00:00:03.5Z stdout F ee
2026-01-01T00:00:04Z stdout F four
`

func writeLog(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "0.log")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func tail(n int64) *int64 { return &n }

func TestRead(t *testing.T) {
	at := func(s int) time.Time { return time.Date(2026, 1, 1, 0, 0, s, 0, time.UTC) }
	tests := []struct {
		name           string
		o              Options
		stdout, stderr string
	}{
		{"all", Options{}, "one\nthree\nfour\n", "two\n"},
		{"tail", Options{Tail: tail(2)}, "ee\nfour\n", ""},
		{"tail of more", Options{Tail: tail(100)}, "one\nthree\nfour\n", "two\n"},
		{"tail of nothing", Options{Tail: tail(0)}, "", ""},
		{"since", Options{Since: at(3)}, "three\nfour\n", ""},
		{"since the future", Options{Since: at(50)}, "", ""},
		{"timestamps", Options{Timestamps: true},
			"2026-01-01T00:00:01.000000000Z one\n2026-01-01T00:00:03.000000000Z three\n2026-01-01T00:00:04.000000000Z four\n",
			"2026-01-01T00:00:02.000000000Z two\n"},
		{"limit", Options{Limit: 6}, "one\n", "tw"},
		{"limit at a line", Options{Limit: 4}, "one\n", ""},
		{"limit of all", Options{Limit: 1000}, "one\nthree\nfour\n", "two\n"},
		{"tail and since", Options{Tail: tail(4), Since: at(4)}, "four\n", ""},
		{"follow what has ended", Options{Follow: true, Ended: closed(), Tail: tail(1)}, "four\n", ""},
		{"follow to a limit", Options{Follow: true, Limit: 2}, "on", ""},
	}
	path := writeLog(t, sample)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			if err := Read(guarded(t), path, tt.o, &stdout, &stderr); err != nil {
				t.Fatal(err)
			}
			if stdout.String() != tt.stdout || stderr.String() != tt.stderr {
				t.Errorf("stdout %q, stderr %q; want %q, %q", stdout.String(), stderr.String(), tt.stdout, tt.stderr)
			}
		})
	}
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func TestReadOneStream(t *testing.T) {
	path := writeLog(t, sample)
	var out strings.Builder
	if err := Read(t.Context(), path, Options{Limit: 3}, nil, &out); err != nil || out.String() != "two" {
		t.Errorf("stderr %q, %v", out.String(), err)
	}
}

func TestReadErrors(t *testing.T) {
	var out strings.Builder
	if err := Read(t.Context(), filepath.Join(t.TempDir(), "none"), Options{}, &out, &out); !errors.Is(err, errdefs.ErrNotFound) {
		t.Errorf("no log: %v", err)
	}
	if err := Read(t.Context(), writeLog(t, "not a log\n"), Options{}, &out, &out); err == nil {
		t.Error("something else was read as a log")
	}
	if err := Read(t.Context(), writeLog(t, ""), Options{}, &out, &out); err != nil || out.String() != "" {
		t.Errorf("an empty log: %q, %v", out.String(), err)
	}
	if err := Read(t.Context(), writeLog(t, sample), Options{}, failing{}, failing{}); !errors.Is(err, errFailing) {
		t.Errorf("a client that went away: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Read(ctx, writeLog(t, sample), Options{Follow: true}, &out, &out); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

var errFailing = errors.New("gone")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFailing }

func TestReadSkipsWhatIsTooLongOrNotComplete(t *testing.T) {
	const good = "2026-01-01T00:00:01Z stdout F good\n"
	long := "2026-01-01T00:00:01Z stdout F " + strings.Repeat("x", 3*maxLine) + "\n"
	var out strings.Builder
	if err := Read(t.Context(), writeLog(t, good+long+good+"2026-01-01T00:00:02Z stdout F half"), Options{}, &out, &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != "good\ngood\n" {
		t.Errorf("%.100q", out.String())
	}
}

func TestFollow(t *testing.T) {
	path := writeLog(t, "2026-01-01T00:00:01Z stdout F one\n2026-01-01T00:00:02Z stdout F two\n")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ended, done, out := make(chan struct{}), make(chan error, 1), newBuffer()
	go func() { done <- Read(t.Context(), path, Options{Follow: true, Ended: ended, Tail: tail(1)}, out, out) }()
	out.wait(t, "two\n")
	printTo(t, f, "2026-01-01T00:00:03Z std")
	printTo(t, f, "out F three\n2026-")
	out.wait(t, "three\n")
	printTo(t, f, "01-01T00:00:04Z stdout F four\n")
	close(ended)
	if err := <-done; err != nil || out.String() != "two\nthree\nfour\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func TestFollowEndsWithItsContext(t *testing.T) {
	path := writeLog(t, "2026-01-01T00:00:01Z stdout F one\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	before := hulltest.Descriptors(t)
	done, out := make(chan error, 1), newBuffer()
	go func() { done <- Read(ctx, path, Options{Follow: true}, out, out) }()
	out.wait(t, "one\n")
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if after := hulltest.Descriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// TestFollowAcrossRotations follows a log that is rotated every few lines, from its first line to its last.
func TestFollowAcrossRotations(t *testing.T) {
	cfg := newConfig(t)
	cfg.MaxSize, cfg.MaxFiles = 20000, 1000
	w, p := open(t, newCollector(t), cfg)
	ended, done, out := make(chan struct{}), make(chan error, 1), newBuffer()
	go func() { done <- Read(guarded(t), cfg.Path, Options{Follow: true, Ended: ended}, out, out) }()
	var want strings.Builder
	for i := range 5000 {
		line := fmt.Sprintf("line %d of a log that is rotated\n", i)
		want.WriteString(line)
		printTo(t, p.Stdout, line)
		if i%100 == 0 {
			out.wait(t, line)
		}
	}
	finished(t, w, p)
	close(ended)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if out.String() != want.String() {
		t.Error(firstDifference(out.String(), want.String()))
	}
	names, err := siblings(cfg.Path)
	if err != nil || len(names) < 10 {
		t.Errorf("only %d rotated files, %v", len(names), err)
	}
	for _, name := range names[:len(names)-1] {
		if st, err := os.Stat(name); err != nil || st.Size() > cfg.MaxSize+2*chunk {
			t.Errorf("%s: %v, %v", name, st, err)
		}
	}
}

func TestRotationKeepsMaxFiles(t *testing.T) {
	cfg := newConfig(t)
	cfg.MaxSize, cfg.MaxFiles = 1000, 3
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o755); err != nil {
		t.Fatal(err)
	}
	// What a rotation that was killed may leave.
	for _, name := range []string{".20200101-000000.tmp", ".20200102-000000", ".20200102-000000.gz"} {
		if err := os.WriteFile(cfg.Path+name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w, p := open(t, newCollector(t), cfg)
	seen := newBuffer()
	attach(t, w, seen, nil)
	for i := range 500 {
		line := fmt.Sprintf("line %d\n", i)
		printTo(t, p.Stdout, line)
		seen.wait(t, line)
	}
	finished(t, w, p)
	names, err := siblings(cfg.Path)
	if err != nil || len(names) != 2 {
		t.Fatalf("%q, %v", names, err)
	}
	if strings.HasSuffix(names[1], gzSuffix) {
		t.Errorf("the latest is compressed: %q", names)
	}
	got := text(lines(t, cfg.Path), Stdout)
	if !strings.HasSuffix(got, "line 498\nline 499\n") || strings.Contains(got, "line 1\n") {
		t.Errorf("%.100q", got)
	}
}

func TestRotatedName(t *testing.T) {
	tests := []struct {
		others []string
		want   string
	}{
		{nil, "l.20260102-120000"},
		{[]string{"l.20260102-115959.gz"}, "l.20260102-120000"},
		{[]string{"l.20260102-120000"}, "l.20260102-120001"},
		{[]string{"l.20260102-115959", "l.20260102-235959.gz"}, "l.20260103-000000"},
		{[]string{"l.zzz"}, "l.20260102-120000"},
	}
	for _, tt := range tests {
		if got := rotatedName("l", noon, tt.others); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.others, got, tt.want)
		}
	}
}

func TestTailStart(t *testing.T) {
	content := strings.Repeat(strings.Repeat("x", 99)+"\n", 1000) + "half"
	path := writeLog(t, content)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, n := range []int64{0, 1, 2, 163, 164, 165, 999, 1000, 1001, 5000} {
		want := max(0, (1000-n)*100)
		if got, err := tailStart(f, n); err != nil || got != want {
			t.Errorf("tail %d: %d, %v; want %d", n, got, err, want)
		}
	}
}
