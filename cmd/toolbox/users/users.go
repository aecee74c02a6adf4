// Package users knows the users and groups of the container's own files.
package users

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

const (
	passwd = "/etc/passwd"
	group  = "/etc/group"
)

// Name is the user's name, or the number of one who has none.
func Name(id uint32) string { return nameIn(passwd, id) }

// Group is the group's name, or the number of one that has none.
func Group(id uint32) string { return nameIn(group, id) }

// ID finds a user by name or number.
func ID(name string) (int, error) { return idIn(passwd, name) }

// GroupID finds a group by name or number.
func GroupID(name string) (int, error) { return idIn(group, name) }

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

func idIn(file, name string) (int, error) {
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
