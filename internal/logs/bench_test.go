package logs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkThroughput is a container that prints lines of 100 bytes as fast as it can.
func BenchmarkThroughput(b *testing.B) {
	dir := b.TempDir()
	w, p := open(b, newCollector(b), Config{Path: filepath.Join(dir, "0.log"), State: filepath.Join(dir, "record"), MaxSize: 10 << 20, MaxFiles: 2})
	block := []byte(strings.Repeat(strings.Repeat("x", 99)+"\n", 327))
	b.SetBytes(int64(len(block)))
	for b.Loop() {
		if _, err := p.Stdout.Write(block); err != nil {
			b.Fatal(err)
		}
	}
	finished(b, w, p)
}

// BenchmarkLine is one line until it is seen by an attached client.
func BenchmarkLine(b *testing.B) {
	dir := b.TempDir()
	w, p := open(b, newCollector(b), Config{Path: filepath.Join(dir, "0.log"), State: filepath.Join(dir, "record")})
	seen := make(seenLines)
	attach(b, w, seen, nil)
	for b.Loop() {
		if _, err := p.Stdout.WriteString("hello\n"); err != nil {
			b.Fatal(err)
		}
		<-seen
	}
	finished(b, w, p)
}

type seenLines chan struct{}

func (s seenLines) Write(p []byte) (int, error) {
	s <- struct{}{}
	return len(p), nil
}

// BenchmarkOpen is the making and the end of a container's log.
func BenchmarkOpen(b *testing.B) {
	c, dir := newCollector(b), b.TempDir()
	for b.Loop() {
		p, err := NewPipes(false)
		if err != nil {
			b.Fatal(err)
		}
		w, err := c.Open(Config{Path: filepath.Join(dir, "0.log"), State: filepath.Join(dir, "record")}, p.Ends)
		if err != nil {
			b.Fatal(err)
		}
		finished(b, w, p)
		if err := os.Remove(filepath.Join(dir, "record")); err != nil {
			b.Fatal(err)
		}
	}
}
