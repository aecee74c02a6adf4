package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/hull-pods/hull/internal/api/v1alpha1"
	"github.com/hull-pods/hull/internal/cli/env"
	"github.com/hull-pods/hull/internal/cli/hulld"
	"github.com/hull-pods/hull/internal/client"
)

// notifySocket is where a service that systemd has started says how it is: sd_notify(3).
const notifySocket = "NOTIFY_SOCKET"

func bySystemd() bool { return os.Getenv(notifySocket) != "" }

// takeOver makes a hulld that somebody else has started the main process of the unit that has started this program, and
// moves it and its keeper from the login session, or whatever it came from, to the unit. A hulld that the unit starts says
// itself what it is, as do those that hull-keeper starts later: it learns the environment here.
func takeOver(ctx context.Context, e *env.Env, c *client.Client, args []string) error {
	if err := e.Detach(ctx, args); err != nil {
		return err
	}
	var info v1alpha1.Info
	if err := c.Do(ctx, client.Request{Path: hulld.Own("info")}, &info); err != nil {
		return err
	}
	if err := intoOwnUnit(info.KeeperPID, info.PID); err != nil {
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
	e.Printf("hulld was running: systemd has taken it over (root %s, state %s)\n", e.Root, e.State)
	return nil
}

// intoOwnUnit moves processes to the cgroup of this one where systemd keeps its units: systemd goes by that when a process
// tells it something.
func intoOwnUnit(pids ...int) error {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return fmt.Errorf("find this unit's cgroup: %w", err)
	}
	for line := range bytes.Lines(own) {
		_, rest, _ := bytes.Cut(bytes.TrimSpace(line), []byte(":"))
		hierarchy, path, _ := bytes.Cut(rest, []byte(":"))
		mounts := map[string][]string{"": {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}, "name=systemd": {"/sys/fs/cgroup/systemd"}}
		for _, mount := range mounts[string(hierarchy)] {
			for _, pid := range pids {
				err := enter(filepath.Join(mount, string(path), "cgroup.procs"), pid)
				if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ESRCH) {
					return fmt.Errorf("move process %d to this unit: %w", pid, err)
				}
			}
		}
	}
	return nil
}

func enter(procs string, pid int) error {
	f, err := os.OpenFile(procs, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strconv.Itoa(pid))
	return errors.Join(err, f.Close())
}
