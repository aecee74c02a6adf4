package daemon

import (
	"fmt"
	"net"
	"os"
)

// notify tells systemd, where it started us, that hulld serves and is the service's main process: what the unit started was
// hull, and hulld's parent is hull-keeper. See sd_notify(3).
func notify() error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	if path[0] == '@' {
		path = "\x00" + path[1:]
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "MAINPID=%d\nREADY=1", os.Getpid()); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}
