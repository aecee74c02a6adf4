package starter_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter"
)

// openFiles is what a process has open.
func openFiles(t testing.TB) map[string]string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	all := map[string]string{}
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			all[e.Name()] = to
		}
	}
	return all
}

// A start that fails, at whichever point, leaves no descriptor and no process behind.
func TestFailuresLeaveNothing(t *testing.T) {
	n := newNative(t)
	lower := busyboxRoot(t)
	root := rootfs(t, lower)
	dead, cancel := context.WithCancel(context.Background())
	cancel()
	refuse := errors.New("refused")
	must(t, warm(t, n, lower))
	roots := []*os.File{rootfs(t, lower), rootfs(t, lower), rootfs(t, lower)}
	before := openFiles(t)
	for name, start := range map[string]func() error{
		"missing source": func() error {
			s := spec(t, oci.Config{Args: []string{"true"}, Mounts: []oci.Mount{{Source: "/no/such", Destination: "/x"}}})
			_, err := n.Start(t.Context(), starter.Request{Key: "c", Spec: s, Rootfs: root})
			return err
		},
		"missing namespace": func() error {
			s := spec(t, oci.Config{Args: []string{"true"}, Namespaces: oci.Namespaces{IPC: oci.Join("/no/such")}})
			_, err := n.Start(t.Context(), starter.Request{Key: "c", Spec: s, Rootfs: root})
			return err
		},
		"another kind of namespace": func() error {
			s := spec(t, oci.Config{Args: []string{"true"}, Namespaces: oci.Namespaces{IPC: oci.Join("/proc/self/ns/uts")}})
			_, err := n.Start(t.Context(), starter.Request{Key: "c", Spec: s, Rootfs: root})
			return err
		},
		"no command": func() error {
			_, err := n.Start(t.Context(), starter.Request{Key: "c", Spec: spec(t, oci.Config{Args: []string{"nothing"}}), Rootfs: roots[0]})
			return err
		},
		"refused by Born": func() error {
			_, err := n.Start(t.Context(), starter.Request{Key: "c", Spec: spec(t, oci.Config{Args: []string{"true"}}), Rootfs: roots[1], Born: func(int) error { return refuse }})
			return err
		},
		"ended context": func() error {
			_, err := n.Start(dead, starter.Request{Key: "c", Spec: spec(t, oci.Config{Args: []string{"true"}}), Rootfs: roots[2]})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			return err
		},
		"prepared, and started without a word": func() error {
			r := starter.Request{Key: "c", Spec: spec(t, oci.Config{Args: []string{"true"}}), Rootfs: root}
			made, err := n.Prepare(r)
			must(t, err)
			r.Prepared = made
			_, err = n.Start(t.Context(), r)
			return err
		},
		"infra name": func() error {
			_, err := n.Infra(t.Context(), starter.InfraRequest{Name: strings.Repeat("x", 200)})
			return err
		},
		"infra sysctl": func() error {
			_, err := n.Infra(t.Context(), starter.InfraRequest{Name: "hull-infra", Sysctls: map[string]string{"kernel.no_such": "1"}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := start(); err == nil {
				t.Error("no error")
			} else {
				t.Log(err)
			}
		})
	}
	for fd, to := range openFiles(t) {
		if before[fd] == "" && filepath.Base(to) != "fd" { // that of the directory being read
			t.Errorf("descriptor %s is left: %s", fd, to)
		}
	}
	for { // the test would hang here if a process lived on
		var status unix.WaitStatus
		if _, err := unix.Wait4(-1, &status, unix.WALL, nil); err == unix.ECHILD {
			return
		}
	}
}

// warm makes all that a first start makes for good.
func warm(t testing.TB, n *starter.Native, lower string) error {
	o, err := run(t, n, starter.Request{Key: "c", Spec: spec(t, oci.Config{Args: []string{"true"}}), Rootfs: rootfs(t, lower)})
	_ = o
	return err
}
