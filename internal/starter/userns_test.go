package starter_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter"
)

const mappedRoot = 200000

var mappings = []oci.IDMapping{{ContainerID: 0, HostID: mappedRoot, Size: 65536}}

func specMappings() []oci.LinuxIDMapping {
	return []oci.LinuxIDMapping{{ContainerID: 0, HostID: mappedRoot, Size: 65536}}
}

// mappedRootfs is an overlay for a user namespace: its layer is mapped, and its upper directory the mapped root's.
func mappedRootfs(t testing.TB, n *starter.Native, lower string) *os.File {
	t.Helper()
	userns, err := n.UserNamespace(specMappings(), specMappings())
	must(t, err)
	defer func() { _ = userns.Close() }()
	source, err := linux.OpenSource(lower)
	must(t, err)
	defer func() { _ = source.Close() }()
	layer, err := linux.CloneTree(source, false)
	must(t, err)
	defer func() { _ = layer.Close() }()
	must(t, linux.SetMount(layer, false, linux.Attributes{IDMap: userns}))
	dir := t.TempDir()
	upper, work := filepath.Join(dir, "upper"), filepath.Join(dir, "work")
	for _, d := range []string{upper, work} {
		must(t, os.Mkdir(d, 0o755))
		must(t, os.Chown(d, mappedRoot, mappedRoot))
	}
	f, err := linux.Overlay(linux.OverlayOptions{LowerMounts: []*os.File{layer}, Upper: upper, Work: work, Volatile: true})
	must(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestUserNamespace(t *testing.T) {
	n := newNative(t)
	lower := busyboxRoot(t)
	volume := t.TempDir()
	c := oci.Config{
		UIDMappings: mappings, GIDMappings: mappings,
		Namespaces: oci.Namespaces{User: oci.Namespace{Kind: oci.NamespaceNew}, Net: oci.Namespace{Kind: oci.NamespaceNew}},
		Mounts:     []oci.Mount{{Source: volume, Destination: "/v", IDMapped: true}},
		Args: []string{"sh", "-c", `id -u; id -g; cat /proc/self/uid_map | tr -s ' '
			stat -c %u /bin/busybox; touch /new /v/new && stat -c %u /new /v/new; echo x >/dev/null && echo null
			ls /sys/firmware | wc -l; wc -c </proc/interrupts; echo 1 2>/dev/null >/proc/sys/kernel/panic || echo refused`},
	}
	s := spec(t, c)
	o, err := run(t, n, starter.Request{Key: "c", Spec: s, Rootfs: mappedRootfs(t, n, lower)})
	must(t, err)
	expect(t, o, fmt.Sprintf("0\n0\n 0 %d 65536\n0\n0\n0\nnull\n0\n0\nrefused\n", mappedRoot))
	var st unix.Stat_t
	must(t, unix.Stat(filepath.Join(volume, "new"), &st))
	if st.Uid != 0 {
		t.Errorf("in the idmapped volume the container's root is %d on the host, want 0", st.Uid)
	}
}

// TestMappingsOfAMount has mappings that are a mount's own, with and without one for root.
func TestMappingsOfAMount(t *testing.T) {
	n := newNative(t)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "f"), nil, 0o644))
	must(t, os.Chown(filepath.Join(dir, "f"), 5, 6))
	map1 := func(from, to uint32) []oci.LinuxIDMapping {
		return []oci.LinuxIDMapping{{ContainerID: from, HostID: to, Size: 10}}
	}
	for name, m := range map[string]oci.SpecMount{
		"/root":    {UIDMappings: map1(0, 70), GIDMappings: map1(0, 80)},
		"/no-root": {UIDMappings: map1(5, 75), GIDMappings: map1(6, 86)},
	} {
		s := spec(t, oci.Config{Args: []string{"stat", "-c", "%u %g", name + "/f"}})
		m.Destination, m.Source, m.Options = name, dir, []string{"rbind", "ridmap"}
		s.Mounts = append(s.Mounts, m)
		o, err := run(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, busyboxRoot(t))})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		expect(t, o, "75 86\n")
	}
}

func TestUserNamespaceOfAPod(t *testing.T) {
	n := newNative(t)
	p := infra(t, n, starter.InfraRequest{
		Key: "s", Name: "hull-infra", Hostname: "mapped", NewIPC: true, NewUTS: true, NewPID: true,
		UIDMappings: specMappings(), GIDMappings: specMappings(), Sysctls: map[string]string{"net.ipv4.ip_unprivileged_port_start": "80"},
	})
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
	must(t, err)
	if want := fmt.Sprintf("Uid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\n", mappedRoot+65534); !strings.Contains(string(status), want) {
		t.Errorf("the infra process' user: want %q in\n%s", want, status)
	}
	for _, sharePID := range []bool{false, true} {
		t.Run(fmt.Sprintf("share PIDs %v", sharePID), func(t *testing.T) {
			ns := oci.Namespaces{
				User: oci.Join(nsPath(p.PID, "user")), Net: oci.Join(nsPath(p.PID, "net")), IPC: oci.Join(nsPath(p.PID, "ipc")), UTS: oci.Join(nsPath(p.PID, "uts")),
			}
			first := "sleep"
			if sharePID {
				ns.PID, first = oci.Join(nsPath(p.PID, "pid")), "hull-infra"
			}
			s := spec(t, oci.Config{UIDMappings: mappings, GIDMappings: mappings, Namespaces: ns, Args: []string{"sleep", "1000"}, NoNewPrivileges: true})
			var born []int
			c := running(t, n, starter.Request{Key: "c", Spec: s, Rootfs: mappedRootfs(t, n, busyboxRoot(t)), Born: func(pid int) error { born = append(born, pid); return nil }})
			if len(born) != 1 || born[0] != c.PID {
				t.Errorf("Born was told %v, the process is %d", born, c.PID)
			}
			o, err := execIn(t, n, c, s, oci.Exec{Args: []string{"sh", "-c", "id -u; hostname; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; cat /proc/1/comm; grep CapPrm /proc/self/status"}}, nil)
			must(t, err)
			expect(t, o, "0\nmapped\n80\n"+first+"\nCapPrm:\t00000000a80425fb\n")
		})
	}
}
