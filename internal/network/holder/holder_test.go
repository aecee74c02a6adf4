package holder

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 loopback here:", err)
	}
	defer func() { _ = l.Close() }()
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	me := strings.TrimSpace(string(comm)) + " (process " + strconv.Itoa(os.Getpid()) + ")"
	for _, addr := range []netip.Addr{netip.IPv6Loopback(), netip.IPv6Unspecified(), netip.IPv4Unspecified()} {
		if got := Of("TCP", addr, port); got != me {
			t.Errorf("port %d at %s is of %q, want %q", port, addr, got, me)
		}
	}
	if got := Of("TCP", netip.MustParseAddr("127.0.0.1"), port); got != "a process of the host" {
		t.Errorf("another address: %q", got)
	}
}

func TestBoundTo(t *testing.T) {
	any4 := netip.IPv4Unspecified()
	for _, tc := range []struct {
		line string
		c    claim
		want string
	}{
		{"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1", claim{any4, "TCP", 8080}, "4711"},
		{"   0: 0100007F:1F90 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 4711 1", claim{any4, "TCP", 8080}, ""},
		{"   0: 0100007F:1F90 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 1", claim{any4, "UDP", 8080}, "4711"},
		{"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1", claim{netip.MustParseAddr("127.0.0.2"), "TCP", 8080}, ""},
		{"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", claim{any4, "TCP", 8080}, ""},
		{"", claim{any4, "TCP", 8080}, ""},
	} {
		got, ok := boundTo(tc.line, tc.c)
		if ok != (tc.want != "") || ok && got != tc.want {
			t.Errorf("%q: %q %v, want %q", tc.line, got, ok, tc.want)
		}
	}
}
