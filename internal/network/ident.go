package network

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
)

const (
	podInterface = "eth0"
	idLen        = 32 // hex digits of a sandbox ID
	nameDigits   = 7  // of them in a host end's name: hull + 4 of the instance + 7 = 15, the longest name there is
)

// group is the device group of every host end of an instance: the instance itself, read as a number.
func group(instance string) (uint32, error) {
	g, err := strconv.ParseUint(instance, 16, 32)
	if err != nil || len(instance) != 8 || g == 0 {
		return 0, fmt.Errorf("instance %q: want eight hex digits that are not all zero: %w", instance, errdefs.ErrInvalidArgument)
	}
	return uint32(g), nil
}

func checkID(id string) error {
	if b, err := hex.DecodeString(id); err != nil || len(b) != idLen/2 || strings.ToLower(id) != id {
		return fmt.Errorf("sandbox ID %q: want %d hex digits: %w", id, idLen, errdefs.ErrInvalidArgument)
	}
	return nil
}

// hostNames are the names that a sandbox's host end may get, the best first: seven digits of an ID may be another's too.
func hostNames(instance, id string) []string {
	var names []string
	for i := 0; i+nameDigits <= len(id); i += nameDigits {
		names = append(names, "hull"+instance[:4]+id[i:i+nameDigits])
	}
	return names
}

// alias is what a host end says of itself, in full: "hull INSTANCE ID 10.88.0.5 fdab::5".
func alias(instance, id string, ips ...netip.Addr) string {
	words := []string{"hull", instance, id}
	for _, ip := range ips {
		if ip.IsValid() {
			words = append(words, ip.String())
		}
	}
	return strings.Join(words, " ")
}

// parseAlias reads what alias wrote; ok is false for a link that is not a sandbox's of this instance.
func parseAlias(instance, s string) (id string, ips []netip.Addr, ok bool) {
	words := strings.Fields(s)
	if len(words) < 3 || words[0] != "hull" || words[1] != instance || checkID(words[2]) != nil {
		return "", nil, false
	}
	for _, w := range words[3:] {
		ip, err := netip.ParseAddr(w)
		if err != nil {
			return "", nil, false
		}
		ips = append(ips, ip)
	}
	return words[2], ips, true
}

// macs are the addresses of a veth's two ends. They follow from the ID, so that each side can have the other as a
// permanent neighbour without asking, and because a link whose address was set is left alone by udev.
func macs(id string) (pod, host net.HardwareAddr) {
	tail, err := hex.DecodeString(id[len(id)-10:])
	if err != nil {
		panic("sandbox ID " + id + " was not checked")
	}
	return append(net.HardwareAddr{0x0a}, tail...), append(net.HardwareAddr{0x0e}, tail...)
}

// linkLocal is the IPv6 address that the kernel gives to a link with this hardware address (EUI-64).
func linkLocal(mac net.HardwareAddr) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5]})
}
