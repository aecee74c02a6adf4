package linux

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// InotifyMask returns the union of the masks of all events in b, which was read from an inotify.
func InotifyMask(b []byte) uint32 {
	var mask uint32
	for len(b) >= unix.SizeofInotifyEvent {
		mask |= binary.NativeEndian.Uint32(b[4:])
		n := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(b[12:]))
		b = b[min(n, len(b)):]
	}
	return mask
}
