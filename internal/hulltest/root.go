// Package hulltest is what tests share: the rule for root, and names that do not clash.
package hulltest

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"testing"
)

// NeedRoot skips the test for a plain user and says why. With HULL_TEST_NEED=root, as in CI, the skip is a failure.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	const why = "makes namespaces, mounts and cgroups: run it as root"
	if os.Getenv("HULL_TEST_NEED") == "root" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// Instance returns eight hex digits that no other test of this machine has: what a Hull under test puts into the name of
// everything that it makes in the kernel.
func Instance(t testing.TB) string {
	t.Helper()
	b := make([]byte, 4)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(b)
}
