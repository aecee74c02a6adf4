package starter_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter"
)

func TestInfraHoldsNamespaces(t *testing.T) {
	n := newNative(t)
	var born int
	p := infra(t, n, starter.InfraRequest{
		Key: "s", Name: "hull-infra abcd1234 s1", Hostname: "web", Sysctls: map[string]string{"kernel.shm_rmid_forced": "1"},
		NewIPC: true, NewUTS: true, Born: func(pid int) error { born = pid; return nil },
	})
	if born != p.PID {
		t.Errorf("Born was told %d, the process is %d", born, p.PID)
	}
	for name, own := range map[string]bool{"net": true, "ipc": true, "uts": true, "mnt": true, "pid": false, "user": false} {
		theirs, err := os.Readlink(nsPath(p.PID, name))
		must(t, err)
		ours, err := os.Readlink(nsPath(os.Getpid(), name))
		must(t, err)
		if (theirs != ours) != own {
			t.Errorf("%s namespace: theirs %s, ours %s", name, theirs, ours)
		}
	}
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID))
	must(t, err)
	if got := strings.TrimRight(string(cmdline), "\x00"); got != "hull-infra abcd1234 s1" {
		t.Errorf("cmdline %q", got)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
	must(t, err)
	for _, want := range []string{
		"Uid:\t65534\t65534\t65534\t65534\n", "Gid:\t65534\t65534\t65534\t65534\n", "CapPrm:\t0000000000000000\n", "CapBnd:\t0000000000000000\n",
		"NoNewPrivs:\t1\n", "Seccomp:\t2\n", "Groups:\t \n",
	} {
		if !strings.Contains(string(status), want) {
			t.Errorf("status lacks %q:\n%s", want, status)
		}
	}
	root, err := os.ReadDir(fmt.Sprintf("/proc/%d/root/", p.PID))
	if err != nil || len(root) != 0 {
		t.Errorf("its root holds %v, %v", root, err)
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID))
	if err != nil || len(fds) != 0 {
		t.Errorf("it has descriptors %v, %v", fds, err)
	}
	mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", p.PID))
	if err != nil || strings.Count(string(mounts), "\n") != 1 || !strings.Contains(string(mounts), " ro,") {
		t.Errorf("its mounts: %q, %v", mounts, err)
	}
}

// podSpec is a container's that joins an infra process' namespaces.
func podSpec(t testing.TB, infra *starter.Process, args ...string) *oci.Spec {
	t.Helper()
	ns := oci.Namespaces{Net: oci.Join(nsPath(infra.PID, "net")), IPC: oci.Join(nsPath(infra.PID, "ipc")), UTS: oci.Join(nsPath(infra.PID, "uts"))}
	return spec(t, oci.Config{Args: args, Namespaces: ns})
}

func TestContainerJoinsInfra(t *testing.T) {
	n := newNative(t)
	p := infra(t, n, starter.InfraRequest{
		Key: "s", Name: "hull-infra", Hostname: "web", Sysctls: map[string]string{"kernel.shm_rmid_forced": "1"}, NewIPC: true, NewUTS: true,
	})
	o, err := run(t, n, starter.Request{
		Key: "c", Rootfs: rootfs(t, busyboxRoot(t)),
		Spec: podSpec(t, p, "sh", "-c", "hostname; cat /proc/sys/kernel/shm_rmid_forced; for n in net ipc uts; do readlink /proc/self/ns/$n; done"),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "web\n1\n"
	for _, name := range []string{"net", "ipc", "uts"} {
		link, err := os.Readlink(nsPath(p.PID, name))
		must(t, err)
		want += link + "\n"
	}
	if o.Out != want {
		t.Errorf("got %q, want %q", o.Out, want)
	}
}

func TestSharedPIDNamespace(t *testing.T) {
	n := newNative(t)
	sharedPID(t, n)
	n.SetOldProc() // as before Linux 6.17
	sharedPID(t, n)
}

func sharedPID(t *testing.T, n *starter.Native) {
	p := infra(t, n, starter.InfraRequest{Key: "s", Name: "hull-infra x", NewIPC: true, NewUTS: true, NewPID: true})
	s := podSpec(t, p, "sh", "-c", "readlink /proc/self/ns/pid; cat /proc/1/cmdline; echo; ls -d /proc/[0-9]* | wc -l")
	for i := range s.Linux.Namespaces {
		if s.Linux.Namespaces[i].Type == oci.PIDNamespace {
			s.Linux.Namespaces[i].Path = nsPath(p.PID, "pid")
		}
	}
	var born []int
	o, err := run(t, n, starter.Request{Key: "c", Rootfs: rootfs(t, busyboxRoot(t)), Spec: s, Born: func(pid int) error { born = append(born, pid); return nil }})
	if err != nil {
		t.Fatal(err)
	}
	link, err := os.Readlink(nsPath(p.PID, "pid"))
	must(t, err)
	if !strings.HasPrefix(o.Out, link+"\nhull-infra x\x00\n") {
		t.Errorf("got %q, want PID namespace %s with the infra process as its first", o.Out, link)
	}
	if len(born) != 1 {
		t.Errorf("Born was called with %v, want the child alone", born)
	}
	reapStage(t)
}
