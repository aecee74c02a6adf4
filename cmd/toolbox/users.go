package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// userName and groupName look into the container's own files.
func userName(id uint32) string  { return nameIn("/etc/passwd", id) }
func groupName(id uint32) string { return nameIn("/etc/group", id) }

func nameIn(file string, id uint32) string {
	number := strconv.FormatUint(uint64(id), 10)
	b, err := os.ReadFile(file)
	if err != nil {
		return number
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if f := strings.Split(line, ":"); len(f) > 2 && f[2] == number {
			return f[0]
		}
	}
	return number
}

func idOf(file, name string) (int, error) {
	if n, err := strconv.Atoi(name); err == nil {
		return n, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if f := strings.Split(line, ":"); len(f) > 2 && f[0] == name {
			return strconv.Atoi(f[2])
		}
	}
	return 0, fmt.Errorf("no %q in %s", name, file)
}

func id(c *call) int {
	groups, err := os.Getgroups()
	if err != nil {
		return c.fail(err)
	}
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	if !slices.Contains(groups, int(gid)) {
		groups = append([]int{int(gid)}, groups...)
	}
	show := strings.Join(c.args, "")
	named := strings.Contains(show, "n")
	one := func(n uint32, name func(uint32) string) string {
		if named {
			return name(n)
		}
		return strconv.FormatUint(uint64(n), 10)
	}
	switch {
	case strings.Contains(show, "u"):
		fmt.Fprintln(c.out, one(uid, userName))
	case strings.Contains(show, "g"):
		fmt.Fprintln(c.out, one(gid, groupName))
	default:
		var list, full []string
		for _, g := range groups {
			list = append(list, one(uint32(g), groupName))
			full = append(full, paren(uint32(g), groupName))
		}
		if strings.Contains(show, "G") {
			fmt.Fprintln(c.out, strings.Join(list, " "))
			return 0
		}
		fmt.Fprintf(c.out, "uid=%s gid=%s groups=%s\n", paren(uid, userName), paren(gid, groupName), strings.Join(full, ","))
	}
	return 0
}

func paren(n uint32, name func(uint32) string) string {
	if s := name(n); s != strconv.FormatUint(uint64(n), 10) {
		return fmt.Sprintf("%d(%s)", n, s)
	}
	return strconv.FormatUint(uint64(n), 10)
}

func whoami(c *call) int {
	fmt.Fprintln(c.out, userName(uint32(os.Geteuid())))
	return 0
}
