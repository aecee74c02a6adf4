package firewall

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// The rules of iptables-legacy and ip6tables-legacy are in no nftables table; a socket option tells them. Of the FORWARD chain in the
// table filter are judged the policy, and the rules that are about interfaces alone: who lets Pods through says it with one.
type legacy struct {
	command       string // that people change it with
	names         string // the file of the tables that are there: to ask for one that is not would make it
	nftables      nftables.TableFamily
	family, level int
	// Where things are in struct ipt_entry, or ip6t_entry (linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h).
	addresses, interfaces, conditions, end, offsets, size int // up to addresses there are these, and their masks
}

func legacies() []legacy {
	const dir = "/proc/thread-self/net/"
	return []legacy{
		{"iptables-legacy", dir + "ip_tables_names", nftables.TableFamilyIPv4, unix.AF_INET, unix.SOL_IP, 16, 16, 80, 84, 88, 112},
		{"ip6tables-legacy", dir + "ip6_tables_names", nftables.TableFamilyIPv6, unix.AF_INET6, unix.SOL_IPV6, 64, 64, 128, 133, 140, 168},
	}
}

// Numbers of linux/netfilter/x_tables.h and its like.
const (
	getInfo     = 64 // IPT_SO_GET_INFO, IP6T_SO_GET_INFO
	getEntries  = 65
	infoSize    = 84
	entriesHead = 40
	tableName   = "filter"
	nameSize    = 32
	forward     = 2  // NF_INET_FORWARD
	verdictAt   = 32 // in a standard target, after its head
	drops       = -1
	accepts     = -2
)

var errLegacy = errors.New("the kernel's answer is cut short")

// dropping says in words what the FORWARD chain does with Pods' packets.
func (l legacy) dropping(pods Pods) ([]string, error) {
	names, err := os.ReadFile(l.names)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !slices.Contains(strings.Fields(string(names)), tableName) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rules, hook, policy, err := l.read()
	if err != nil {
		return nil, fmt.Errorf("read the rules of %s: %w", l.command, err)
	}
	var found []string
	for _, way := range []struct{ flag, direction string }{{"-i", "what Pods send"}, {"-o", "what is sent to Pods"}} {
		verdict, maybe, err := l.judge(rules, hook, policy, way.flag, pods.Link)
		if err != nil {
			return nil, fmt.Errorf("read the rules of %s: %w", l.command, err)
		}
		verb, unless := "drops", ""
		if maybe {
			verb, unless = "may drop", ", unless an earlier rule accepts it"
		}
		if verdict == drops {
			found = append(found, fmt.Sprintf("the FORWARD chain of %s %s %s%s: %s -I FORWARD %s hull+ -j ACCEPT", l.command, verb, way.direction, unless, l.command, way.flag))
		}
	}
	return found, nil
}

// read returns the table's entries, and where in them the FORWARD chain begins and where its policy is.
func (l legacy) read() (entries []byte, hook, policy int, err error) {
	fd, err := unix.Socket(l.family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, 0, 0, err
	}
	defer func() { _ = unix.Close(fd) }()
	const tries = 10 // somebody may change the table between the two questions
	for range tries {
		info := make([]byte, infoSize)
		copy(info, tableName)
		if _, err = linux.Getsockopt(fd, l.level, getInfo, info); err != nil {
			return nil, 0, 0, err
		}
		// name, valid hooks, five beginnings, five ends, number of entries, their size
		word := func(i int) int { return int(binary.NativeEndian.Uint32(info[nameSize+4*i:])) }
		b := make([]byte, entriesHead+word(12))
		copy(b, tableName)
		binary.NativeEndian.PutUint32(b[nameSize:], uint32(word(12)))
		if _, err = linux.Getsockopt(fd, l.level, getEntries, b); err == nil {
			return b[entriesHead:], word(1 + forward), word(6 + forward), nil
		}
		if !errors.Is(err, unix.EAGAIN) {
			break
		}
	}
	return nil, 0, 0, err
}

// judge goes through the chain to its policy. A rule that cannot be judged may accept; a drop by one is not counted.
func (l legacy) judge(rules []byte, at, policy int, flag, link string) (verdict int, maybe bool, err error) {
	for {
		if at < 0 || at+l.size > len(rules) {
			return 0, false, errLegacy
		}
		e := rules[at:]
		target, next := int(binary.NativeEndian.Uint16(e[l.offsets:])), int(binary.NativeEndian.Uint16(e[l.offsets+2:]))
		if next < target+verdictAt+4 || next > len(e) || target < l.size {
			return 0, false, errLegacy
		}
		standard := e[target+2] == 0 // its name is empty
		verdict := int(int32(binary.NativeEndian.Uint32(e[target+verdictAt:])))
		switch plain, applies := l.applies(e, flag, link); {
		case at == policy:
			return verdict, maybe, nil
		case !applies:
		case plain && target == l.size && standard && (verdict == accepts || verdict == drops):
			return verdict, maybe, nil
		default:
			maybe = true
		}
		at += next
	}
}

// applies says whether a rule may be about packets of which one end is this link, and whether it then is about all of them. As with
// nftables, a rule about a certain other interface is taken not to be about them.
func (l legacy) applies(e []byte, flag, link string) (plain, applies bool) {
	mine, other := l.interfaces, l.interfaces+unix.IFNAMSIZ
	if flag == "-o" {
		mine, other = other, mine
	}
	const masks = 2 * unix.IFNAMSIZ // after the two names
	about := empty(e[other+masks:][:unix.IFNAMSIZ])
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, link)
	for i, mask := range e[mine+masks:][:unix.IFNAMSIZ] {
		about = about && (name[i]^e[mine+i])&mask == 0
	}
	more := !empty(e[l.conditions:l.end]) // a protocol, or a "not" of any condition
	return about && !more && empty(e[:l.addresses]), about || more
}

func empty(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
