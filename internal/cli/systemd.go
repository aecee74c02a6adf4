package cli

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/hull-pods/hull/internal/api/v1alpha1"
	"github.com/hull-pods/hull/internal/client"
)

// notifySocket is where a service that systemd has started says how it is: sd_notify(3).
const notifySocket = "NOTIFY_SOCKET"

func bySystemd() bool { return os.Getenv(notifySocket) != "" }

// takeOver makes a hulld that somebody else has started the main process of the unit that has started this program. A hulld
// that the unit starts says so itself, as do those that hull-keeper starts later: it learns the environment here.
func (a *app) takeOver(ctx context.Context, c *client.Client, args []string) error {
	if err := a.detach(ctx, args); err != nil {
		return err
	}
	var info v1alpha1.Info
	if err := c.Do(ctx, client.Request{Path: own("info")}, &info); err != nil {
		return err
	}
	conn, err := net.Dial("unixgram", os.Getenv(notifySocket))
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "MAINPID=%d\nREADY=1", info.PID); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	a.printf("hulld was running: systemd has taken it over (root %s, state %s)\n", a.root, a.state)
	return nil
}
