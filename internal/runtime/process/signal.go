package process

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// rtmin is the first real-time signal that the C library leaves to programs, and images' STOPSIGNAL counts from it.
const (
	rtmin = 34
	rtmax = 64
)

// StopSignal is the container's own, its image's, or SIGTERM. With an error, which is about a name that is no signal, it is that too.
func StopSignal(own, image string) (unix.Signal, error) {
	name := cmp.Or(own, image, "SIGTERM")
	sig, err := ParseSignal(name)
	if err != nil {
		return unix.SIGTERM, err
	}
	return sig, nil
}

// ParseSignal reads "SIGTERM", "TERM", "15", "SIGRTMIN+3" or "RTMAX-1", as STOPSIGNAL is written.
func ParseSignal(name string) (unix.Signal, error) {
	if n, err := strconv.Atoi(name); err == nil {
		if n < 1 || n > rtmax {
			return 0, fmt.Errorf("signal %q: out of range", name)
		}
		return unix.Signal(n), nil
	}
	full := strings.ToUpper(name)
	if !strings.HasPrefix(full, "SIG") {
		full = "SIG" + full
	}
	for prefix, base := range map[string]int{"SIGRTMIN": rtmin, "SIGRTMAX": rtmax} {
		rest, ok := strings.CutPrefix(full, prefix)
		if !ok {
			continue
		}
		n := 0
		if rest != "" {
			var err error
			if n, err = strconv.Atoi(rest); err != nil {
				return 0, fmt.Errorf("signal %q: unknown", name)
			}
		}
		if base+n < rtmin || base+n > rtmax {
			return 0, fmt.Errorf("signal %q: out of range", name)
		}
		return unix.Signal(base + n), nil
	}
	if sig := unix.SignalNum(full); sig != 0 {
		return sig, nil
	}
	return 0, fmt.Errorf("signal %q: unknown", name)
}
