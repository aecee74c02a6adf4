// Package hulltest is what tests share: the rule for root, names that do not clash, and what the kernel says of this process.
package hulltest

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"syscall"
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

// Descriptors is how many descriptors this process has open.
func Descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// Inode is a file's inode: that of a namespace tells it from others.
func Inode(t testing.TB, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}
