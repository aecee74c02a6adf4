package network

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/hulltest/golden"
	"github.com/hull-pods/hull/internal/network/addresses"
	"github.com/hull-pods/hull/internal/network/instances"
	"github.com/hull-pods/hull/internal/network/rtnl"
)

const (
	goldenInstance = "1a2b3c4d"
	goldenID       = "9f86d081884c7d659a2feaa0c55ad015"
)

var goldenHost = []netip.Addr{netip.MustParseAddr("10.88.0.1"), netip.MustParseAddr("fd12:3456::1")}

func goldenLease() *lease {
	return &lease{ID: goldenID, Name: "default/web", IPv4: netip.MustParseAddr("10.88.0.5"), IPv6: netip.MustParseAddr("fd12:3456::5"),
		Interface: hostNames(goldenInstance, goldenID)[0],
		Ports: []Port{
			{HostPort: 8080, ContainerPort: 80, Protocol: "TCP"},
			{HostPort: 53, ContainerPort: 53, Protocol: "UDP", HostIP: netip.MustParseAddr("127.0.0.1")},
			{HostPort: 132, ContainerPort: 1132, Protocol: "SCTP", HostIP: netip.MustParseAddr("2001:db8::7")},
		}}
}

// listing is for people: what each message is, and its bytes after the header.
func listing(msgs []rtnl.Message) string {
	var b strings.Builder
	for _, m := range msgs {
		fmt.Fprintf(&b, "%s\n", m.What)
		for i := 0; i < len(m.Body); i += 32 {
			fmt.Fprintf(&b, "    %x\n", m.Body[i:min(i+32, len(m.Body))])
		}
	}
	return b.String()
}

func TestWiringIsThisListOfMessages(t *testing.T) {
	l := goldenLease()
	for _, tc := range []struct {
		file     string
		ips      []netip.Addr
		localnet bool
	}{
		{"wiring.txt", l.ips(), false},
		{"wiring_ipv4_ports.txt", l.ips()[:1], true},
	} {
		w := wiring{instance: goldenInstance, id: l.ID, host: l.Interface, group: 0x1a2b3c4d, mtu: 1400, ips: tc.ips, localnet: tc.localnet,
			hostIPs: goldenHost[:len(tc.ips)]}
		const namespace, hostIndex, podIndex = 7, 42, 2
		text := "on the host\n\n" + listing([]rtnl.Message{w.makeVeth(namespace)}) +
			"\nin the sandbox\n\n" + listing(w.podSide(podIndex)) +
			"\non the host\n\n" + listing(w.hostSide(hostIndex))
		golden.Check(t, filepath.Join("testdata", tc.file), []byte(text))
	}
}

func TestHomeIsThisListOfMessages(t *testing.T) {
	h := home{instance: goldenInstance, group: 0x1a2b3c4d, ips: goldenHost}
	p, err := addresses.New(netip.MustParsePrefix("10.88.0.0/16"), netip.MustParsePrefix("fd12:3456::/64"), 0)
	if err != nil {
		t.Fatal(err)
	}
	msgs := append((&instances.Instance{Group: h.group}).Routes(p.V4, p.V6), h.make())
	msgs = append(append(msgs, h.side(0, 40)...), h.side(1, 39)...)
	golden.Check(t, filepath.Join("testdata", "home.txt"), []byte(listing(msgs)))
}

// The rules as bytes: the same on every machine, and compared without root.
func TestRulesetIsThisListOfMessages(t *testing.T) {
	var text bytes.Buffer
	conn, err := nftables.New(nftables.WithTestDial(func(req []netlink.Message) ([]netlink.Message, error) {
		var acks []netlink.Message
		for _, m := range req {
			if m.Header.Type>>8 != 10 { // begin and end of the transaction
				continue
			}
			fmt.Fprintf(&text, "%04x %04x\n", uint16(m.Header.Type), uint16(m.Header.Flags))
			for line := range strings.Lines(hex.Dump(m.Data)) {
				text.WriteString("    " + line)
			}
			acks = append(acks, netlink.Message{Header: netlink.Header{Type: netlink.Error, Sequence: m.Header.Sequence, PID: m.Header.PID}, Data: make([]byte, 4)})
		}
		return acks, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	r := newRuleset(goldenInstance, 0x1a2b3c4d, goldenHost)
	if err := r.fill(conn, []*lease{goldenLease()}); err != nil {
		t.Fatal(err)
	}
	_ = conn.Flush() // what the pretended kernel answers does not matter: it has been told
	golden.Check(t, filepath.Join("testdata", "ruleset.hex"), text.Bytes())
}

// The rules as nft reads them back from the kernel.
func TestRulesetReadByNft(t *testing.T) {
	hulltest.NeedRoot(t)
	nft, err := exec.LookPath("nft")
	if err != nil {
		t.Skip("nft is not installed: the rules are compared as bytes alone")
	}
	f, err := newForwarder(goldenInstance, 0x1a2b3c4d, goldenHost)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(nft, "delete", "table", "inet", instances.Table(goldenInstance)).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		_ = f.close()
	})
	f.adopt(goldenLease())
	for range 2 { // the second replaces the first
		if err := f.install(); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(nft, "list", "table", "inet", instances.Table(goldenInstance)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	golden.Check(t, filepath.Join("testdata", "ruleset.nft"), out)
}
