package linux

import (
	"os"
	"path/filepath"
	"testing"
)

func TestPrivateDirs(t *testing.T) {
	open := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	below := filepath.Join(open, "a", "b")
	if err := PrivateDirs(open, below); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{open, filepath.Dir(below), below} {
		if fi, err := os.Stat(dir); err != nil || fi.Mode() != os.ModeDir|0o700 {
			t.Errorf("%s: %v, %v", dir, fi.Mode(), err)
		}
	}
}
