package birth

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// format is how the listing shows a number of one kind.
type format func(uint64) string

// named is a constant of the kernel's and what its manual pages call it.
type named struct {
	value uint64
	name  string
}

func decimal(v uint64) string { return strconv.FormatInt(int64(v), 10) }

func signed32(v uint64) string { return strconv.Itoa(int(int32(v))) }

func hex(v uint64) string { return "0x" + strconv.FormatUint(v, 16) }

func octal(v uint64) string {
	if v == 0 {
		return "0"
	}
	return "0" + strconv.FormatUint(v, 8)
}

// flags shows a set of bits; those without a name remain a number. A name of several bits stands before names of its parts.
func flags(names ...named) format {
	return func(v uint64) string {
		var parts []string
		for _, n := range names {
			if n.value != 0 && v&n.value == n.value {
				parts = append(parts, n.name)
				v &^= n.value
			}
		}
		if v != 0 || len(parts) == 0 {
			parts = append(parts, octalOrHex(v))
		}
		return strings.Join(parts, "|")
	}
}

func octalOrHex(v uint64) string {
	if v == 0 {
		return "0"
	}
	return hex(v)
}

// enum shows one of several values, whichever width they were given in.
func enum(names ...named) format {
	return func(v uint64) string {
		for _, n := range names {
			if n.value == v || n.value == uint64(uint32(v)) {
				return n.name
			}
		}
		return decimal(v)
	}
}

// enumFlags shows a value out of the names in the low bits, and flags above it.
func enumFlags(low uint64, value, above format) format {
	return func(v uint64) string {
		s := value(v & low)
		if v&^low != 0 {
			s += "|" + above(v&^low)
		}
		return s
	}
}

func dirFD(v uint64) string {
	if int32(v) == unix.AT_FDCWD {
		return "AT_FDCWD"
	}
	return signed32(v)
}

// id shows a user or group, where all ones means that it stays as it is.
func id(v uint64) string {
	if uint32(v) == 1<<32-1 {
		return "-1"
	}
	return strconv.FormatUint(uint64(uint32(v)), 10)
}

func device(v uint64) string {
	if v == 0 {
		return "0"
	}
	return fmt.Sprintf("%d:%d", unix.Major(v), unix.Minor(v))
}

func signalName(v uint64) string {
	if name := unix.SignalName(unix.Signal(v)); name != "" {
		return name
	}
	return decimal(v)
}

func limit(v uint64) string {
	if v == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return strconv.FormatUint(v, 10)
}

// capSet shows a set of capabilities by name, and the full set in one word.
func capSet(v uint64) string {
	switch {
	case v == 0:
		return "none"
	case v == 1<<(unix.CAP_LAST_CAP+1)-1:
		return "all"
	}
	var parts []string
	for c := range uint64(64) {
		if v>>c&1 != 0 {
			parts = append(parts, capability(c))
		}
	}
	return strings.Join(parts, "|")
}
