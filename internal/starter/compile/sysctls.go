package compile

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/birth"
	"github.com/hull-pods/hull/internal/linux"
)

// sysctls are written through a procfs that the program has mounted itself, proc or, without that, one for them alone: no other
// file can be in its place.
func (c *compiler) sysctls(proc birth.Arg, values map[string]string) error {
	if len(values) == 0 {
		return nil
	}
	if proc == nil {
		fs := c.call("open a procfs", linux.SysFsopen, str("proc"), num(unix.FSOPEN_CLOEXEC))
		proc = c.create(fs, "proc for sysctls", 0)
	}
	keys := make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		file, err := sysctlFile(k)
		if err != nil {
			return err
		}
		fd := c.openIn("find sysctl "+k, proc, "sys/"+file, unix.O_WRONLY, resolveFresh|unix.RESOLVE_NO_XDEV)
		v := []byte(values[k])
		c.call("set sysctl "+k, linux.SysWrite, fd, birth.Bytes(v), num(len(v)))
	}
	return nil
}

// sysctlFile is a sysctl's file below /proc/sys. As in sysctl(8), the first of . and / that the name has separates its
// parts, and the other one stands for the first.
func sysctlFile(name string) (string, error) {
	file := name
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '.' {
		file = strings.Map(func(r rune) rune {
			switch r {
			case '.':
				return '/'
			case '/':
				return '.'
			}
			return r
		}, name)
	}
	for _, part := range strings.Split(file, "/") {
		if part == "" || part == "." || part == ".." {
			return "", invalid("sysctl %q is not a name", name)
		}
	}
	return file, nil
}
