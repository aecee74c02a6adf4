package network

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/network/instances"
	"github.com/hull-pods/hull/internal/network/rtnl"
)

// The tests' host is a network namespace of their own: forwarding, routes and rules of the real one stay untouched, and
// what a test leaves behind is all that there is. So TestMain runs the whole test binary once more, inside one.
const inside = "HULL_NETWORK_TEST_INSIDE"

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Geteuid() != 0 {
		os.Exit(m.Run())
	}
	if os.Getenv(crashing) != "" {
		fmt.Fprintln(os.Stderr, crashInside())
		os.Exit(1)
	}
	if os.Getenv(inside) == "" {
		os.Exit(runInside())
	}
	if err := prepareHost(); err != nil {
		fmt.Fprintln(os.Stderr, "prepare the namespace that stands for the host:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func runInside() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "run the tests in a network namespace:", err)
		return 1
	}
	return 0
}

func prepareHost() error {
	c, err := rtnl.Open()
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Do(rtnl.LoopbackUp())
}

func newID(t testing.TB) string {
	t.Helper()
	b := make([]byte, idLen/2)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(b)
}

// testConfig has pools that nobody else has.
func testConfig(t testing.TB) Config {
	t.Helper()
	instance := hulltest.Instance(t)
	b, err := hex.DecodeString(instance)
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Instance: instance,
		IPv4:     netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 64 + b[1]%24, b[0], 0}), 24),
		IPv6:     netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, b[0], b[1], b[2], b[3]}), 64),
		StateDir: t.TempDir(),
		Log:      slog.New(slog.NewTextHandler(testWriter{t}, nil)),
	}
}

var discard = slog.New(slog.DiscardHandler)

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// open opens a Network that is purged at the end; the test fails when anything of it is left.
func open(t testing.TB, cfg Config) *Network {
	t.Helper()
	hulltest.NeedRoot(t)
	n, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	n.grace = shortGrace
	t.Cleanup(func() {
		purge(t, cfg)
		noTrace(t, cfg)
	})
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func purge(t testing.TB, cfg Config) {
	t.Helper()
	n, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Purge(context.Background()); err != nil {
		t.Error(err)
	}
}

// attach makes a Pod: a namespace with a network.
func attach(t testing.TB, n *Network, ports ...Port) pod {
	t.Helper()
	p := pod{t: t, ns: hulltest.Netns(t), id: newID(t)}
	var err error
	if p.Result, err = n.Attach(t.Context(), Request{ID: p.id, Name: "test/" + p.id[:4], Netns: p.ns, Ports: ports}); err != nil {
		t.Fatal(err)
	}
	return p
}

type pod struct {
	Result
	t  testing.TB
	ns *os.File
	id string
}

// in runs fn inside the namespace; sockets that it opens stay there.
func in(t testing.TB, ns *os.File, fn func() error) {
	t.Helper()
	var err error
	if ns == nil {
		err = fn()
	} else {
		err = linux.InNetns(ns, fn)
	}
	if err != nil {
		t.Error(err)
	}
}

// end lets the namespace die and detaches.
func (p pod) end(n *Network) {
	p.t.Helper()
	_ = p.ns.Close()
	if err := n.Detach(p.t.Context(), p.id); err != nil {
		p.t.Error(err)
	}
}

// serve answers every line, or datagram, with a word and the client's address.
func serve(t testing.TB, ns *os.File, network, addr, word string) net.Addr {
	t.Helper()
	var bound net.Addr
	if strings.HasPrefix(network, "udp") {
		var conn net.PacketConn
		in(t, ns, func() (err error) {
			conn, err = (&net.ListenConfig{}).ListenPacket(context.Background(), network, addr)
			return err
		})
		if conn == nil {
			t.FailNow()
		}
		t.Cleanup(func() { _ = conn.Close() })
		go func() {
			buf := make([]byte, 100)
			for {
				_, from, err := conn.ReadFrom(buf)
				if err != nil {
					return
				}
				_, _ = conn.WriteTo([]byte(word+" "+host(from)), from)
			}
		}()
		bound = conn.LocalAddr()
	} else {
		var l net.Listener
		in(t, ns, func() (err error) {
			l, err = (&net.ListenConfig{}).Listen(context.Background(), network, addr)
			return err
		})
		if l == nil {
			t.FailNow()
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = conn.Write([]byte(word + " " + host(conn.RemoteAddr())))
				_ = conn.Close()
			}
		}()
		bound = l.Addr()
	}
	return bound
}

func host(a net.Addr) string {
	h, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return h
}

// call says hello and returns the answer: "WORD CLIENT". A name in between and Go's own resolver stay out of it: addr is
// literal, and connect is done by the thread inside the namespace.
func call(t testing.TB, ns *os.File, network, addr string) (string, error) {
	t.Helper()
	var conn net.Conn
	dial := func() (err error) {
		conn, err = net.DialTimeout(network, addr, patience)
		return err
	}
	var err error
	if ns == nil {
		err = dial()
	} else {
		err = linux.InNetns(ns, dial)
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if strings.HasPrefix(network, "udp") {
		if _, err := conn.Write([]byte("hello")); err != nil {
			return "", err
		}
	}
	if err := conn.SetReadDeadline(deadline()); err != nil {
		return "", err
	}
	buf := make([]byte, 200)
	n, err := conn.Read(buf)
	return string(buf[:n]), err
}

// expect calls and compares the answer.
func expect(t testing.TB, ns *os.File, network, addr, want string) {
	t.Helper()
	got, err := call(t, ns, network, addr)
	if err != nil {
		t.Errorf("%s %s: %v", network, addr, err)
	} else if got != want {
		t.Errorf("%s %s: answer %q, want %q", network, addr, got, want)
	}
}

func hostPort(ip netip.Addr, port int) string {
	return netip.AddrPortFrom(ip, uint16(port)).String()
}

// noTrace fails the test when a link, a route, a rule or a lease of the instance is left.
func noTrace(t testing.TB, cfg Config) {
	t.Helper()
	noTraceInKernel(t, cfg)
	if left, _ := os.ReadDir(cfg.StateDir); len(left) > 0 {
		t.Errorf("%s still has %v", cfg.StateDir, left)
	}
}

func noTraceInKernel(t testing.TB, cfg Config) {
	t.Helper()
	c, err := rtnl.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	links, err := c.Links()
	if err != nil {
		t.Fatal(err)
	}
	g, _ := group(cfg.Instance)
	for _, k := range links {
		if k.Group == g || strings.Contains(k.Alias, cfg.Instance) {
			t.Errorf("link %s (%q) is left", k.Name, k.Alias)
		}
	}
	routes, err := c.Routes()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		if instances.IsPool(r) && r.Metric == g {
			t.Errorf("route %s of this instance is left", r.Dst)
		}
		for _, p := range []netip.Prefix{cfg.IPv4, cfg.IPv6} {
			if p.Contains(r.Dst.Addr()) && r.Dst.Bits() >= p.Bits() {
				t.Errorf("route %s is left", r.Dst)
			}
		}
	}
	if tables := tableNames(t); slices.Contains(tables, instances.Table(cfg.Instance)) {
		t.Errorf("table %s is left", instances.Table(cfg.Instance))
	}
}
