// Package holder finds out which process of the host has a port.
package holder

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Of says which process has a port, "nginx (process 7)", as well as /proc can tell. It looks through all processes: only an
// error is worth that. An unspecified address is any.
func Of(proto string, addr netip.Addr, port uint16) string {
	c := claim{addr, proto, port}
	inodes := map[string]bool{}
	for _, file := range []string{strings.ToLower(c.proto), strings.ToLower(c.proto) + "6"} {
		b, err := os.ReadFile("/proc/net/" + file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if inode, ok := boundTo(line, c); ok {
				inodes["socket:["+inode+"]"] = true
			}
		}
	}
	if who := ownerOf(inodes); who != "" {
		return who
	}
	return "a process of the host"
}

type claim struct {
	addr  netip.Addr
	proto string
	port  uint16
}

// boundTo reads a line of /proc/net/{tcp,udp}{,6}: "sl local remote state … inode", addresses in hexadecimal. A TCP
// socket counts when it listens.
func boundTo(line string, c claim) (inode string, ok bool) {
	f := strings.Fields(line)
	if len(f) < 10 {
		return "", false
	}
	addr, port, ok := strings.Cut(f[1], ":")
	if n, err := strconv.ParseUint(port, 16, 16); !ok || err != nil || uint16(n) != c.port {
		return "", false
	}
	const listening = "0A"
	if c.proto == "TCP" && f[3] != listening {
		return "", false
	}
	local, ok := procAddr(addr)
	return f[9], ok && (local.IsUnspecified() || c.addr.IsUnspecified() || local.Unmap() == c.addr)
}

// procAddr reads an address as /proc/net writes it: words of the machine in hexadecimal.
func procAddr(s string) (netip.Addr, bool) {
	var b []byte
	for ; len(s) >= 8; s = s[8:] {
		n, err := strconv.ParseUint(s[:8], 16, 32)
		if err != nil {
			return netip.Addr{}, false
		}
		b = binary.NativeEndian.AppendUint32(b, uint32(n))
	}
	return netip.AddrFromSlice(b)
}

func ownerOf(sockets map[string]bool) string {
	if len(sockets) == 0 {
		return ""
	}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && sockets[target] {
			dir := filepath.Dir(filepath.Dir(fd))
			name, err := os.ReadFile(dir + "/comm")
			if err != nil {
				continue
			}
			return fmt.Sprintf("%s (process %s)", bytes.TrimSpace(name), filepath.Base(dir))
		}
	}
	return ""
}
