package store

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
)

func BenchmarkCreateDurable(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "objects.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() {
		i++
		_, commit, err := s.Create(pod("default", fmt.Sprintf("web-%d", i)))
		if err != nil {
			b.Fatal(err)
		}
		if err := commit.Wait(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkCreate(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "objects.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() {
		i++
		if _, _, err := s.Create(pod("default", fmt.Sprintf("web-%d", i))); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
