package rtnl

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Message is one rtnetlink request, decided but not sent.
type Message struct {
	What  string // "add route 10.88.0.5 by hull1a2b9f86d08": what an error and a golden file call it
	typ   uint16
	flags uint16 // besides NLM_F_REQUEST and NLM_F_ACK
	body  []byte // family header and attributes
}

// bytes is the Message as the kernel reads it.
func (m Message) bytes(seq uint32) []byte {
	const head = unix.SizeofNlMsghdr
	b := make([]byte, head, head+len(m.body))
	binary.NativeEndian.PutUint32(b[0:], uint32(head+len(m.body)))
	binary.NativeEndian.PutUint16(b[4:], m.typ)
	binary.NativeEndian.PutUint16(b[6:], m.flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	binary.NativeEndian.PutUint32(b[8:], seq)
	return append(b, m.body...)
}

// New is a request with this body and, for people, what it does.
func New(typ, flags uint16, body []nl.NetlinkRequestData, what string, args ...any) Message {
	m := Message{What: fmt.Sprintf(what, args...), typ: typ, flags: flags}
	for _, part := range body {
		m.body = append(m.body, part.Serialize()...)
	}
	return m
}

// How a request treats what is there: it must not be there, or is to be changed.
const (
	Create = unix.NLM_F_CREATE | unix.NLM_F_EXCL
	Change = 0
)

// LoopbackUp is sent first inside a sandbox: lo is link 1 of every namespace.
func LoopbackUp() Message { return LinkUp(1, "lo") }

// LinkUp sets a link up.
func LinkUp(index int32, name string) Message {
	link := nl.NewIfInfomsg(unix.AF_UNSPEC)
	link.Index, link.Flags, link.Change = index, unix.IFF_UP, unix.IFF_UP
	return New(unix.RTM_NEWLINK, Change, []nl.NetlinkRequestData{link}, "set %s up", name)
}

// LinkByName asks for one link.
func LinkByName(name string) Message {
	return New(unix.RTM_GETLINK, 0, []nl.NetlinkRequestData{nl.NewIfInfomsg(unix.AF_UNSPEC),
		nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name))}, "look for link %s", name)
}

// LinkByIndex asks for one link.
func LinkByIndex(index int32) Message {
	link := nl.NewIfInfomsg(unix.AF_UNSPEC)
	link.Index = index
	return New(unix.RTM_GETLINK, 0, []nl.NetlinkRequestData{link}, "look for link %d", index)
}

// DeleteLink deletes one, and a veth's other end.
func DeleteLink(index int32) Message {
	link := nl.NewIfInfomsg(unix.AF_UNSPEC)
	link.Index = index
	return New(unix.RTM_DELLINK, 0, []nl.NetlinkRequestData{link}, "delete link %d", index)
}

// DeleteGroup deletes all links of a group in one go.
func DeleteGroup(group uint32) Message {
	return New(unix.RTM_DELLINK, 0, []nl.NetlinkRequestData{nl.NewIfInfomsg(unix.AF_UNSPEC),
		nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(group))}, "delete links of group %08x", group)
}

// Raw is a header that the netlink library has no type for.
type Raw []byte

// Len and Serialize make it a part of a body.
func (r Raw) Len() int          { return len(r) }
func (r Raw) Serialize() []byte { return r }

// Family is that of an address.
func Family(ip netip.Addr) int {
	if ip.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// Listing is a list of messages for people: what each is, and its bytes after the header.
func Listing(msgs []Message) string {
	var b strings.Builder
	for _, m := range msgs {
		fmt.Fprintf(&b, "%s\n", m.What)
		for i := 0; i < len(m.body); i += 32 {
			fmt.Fprintf(&b, "    %x\n", m.body[i:min(i+32, len(m.body))])
		}
	}
	return b.String()
}
