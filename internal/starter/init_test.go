package starter

import "testing"

// A daemon whose descriptor 3 was free gave it to hull-init, and every clone put its socket there before the execve.
func TestInitIsAboveTheClonesDescriptors(t *testing.T) {
	f, err := initAbove(cloneFiles)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if f.Fd() < cloneFiles {
		t.Errorf("hull-init has descriptor %d, which a clone replaces", f.Fd())
	}
}
