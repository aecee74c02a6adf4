package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/hull-pods/hull/cmd/toolbox/call"
	"github.com/hull-pods/hull/cmd/toolbox/users"
)

func id(c *call.Call) int {
	groups, err := os.Getgroups()
	if err != nil {
		return c.Fail(err)
	}
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	if !slices.Contains(groups, int(gid)) {
		groups = append([]int{int(gid)}, groups...)
	}
	show := strings.Join(c.Args, "")
	named := strings.Contains(show, "n")
	one := func(n uint32, name func(uint32) string) string {
		if named {
			return name(n)
		}
		return strconv.FormatUint(uint64(n), 10)
	}
	switch {
	case strings.Contains(show, "u"):
		fmt.Fprintln(c.Out, one(uid, users.Name))
	case strings.Contains(show, "g"):
		fmt.Fprintln(c.Out, one(gid, users.Group))
	default:
		var list, full []string
		for _, g := range groups {
			list = append(list, one(uint32(g), users.Group))
			full = append(full, paren(uint32(g), users.Group))
		}
		if strings.Contains(show, "G") {
			fmt.Fprintln(c.Out, strings.Join(list, " "))
			return 0
		}
		fmt.Fprintf(c.Out, "uid=%s gid=%s groups=%s\n", paren(uid, users.Name), paren(gid, users.Group), strings.Join(full, ","))
	}
	return 0
}

func paren(n uint32, name func(uint32) string) string {
	if s := name(n); s != strconv.FormatUint(uint64(n), 10) {
		return fmt.Sprintf("%d(%s)", n, s)
	}
	return strconv.FormatUint(uint64(n), 10)
}

func whoami(c *call.Call) int {
	fmt.Fprintln(c.Out, users.Name(uint32(os.Geteuid())))
	return 0
}
