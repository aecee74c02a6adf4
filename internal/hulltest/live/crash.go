package live

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/linux"
)

// Daemon is hulld's PID; 0 while there is none.
func (h *Hull) Daemon() int {
	h.t.Helper()
	return h.status().Daemon.PID
}

// Keeper is hull-keeper's PID.
func (h *Hull) Keeper() int {
	h.t.Helper()
	return h.status().Keeper.PID
}

func (h *Hull) status() *keeper.Answer {
	h.t.Helper()
	a, err := h.askKeeper()
	if err != nil {
		h.t.Fatalf("%v\n%s", err, h.Log())
	}
	return a
}

// askKeeper asks the keeper how it and hulld are.
func (h *Hull) askKeeper() (*keeper.Answer, error) {
	conn, err := net.Dial("unixpacket", filepath.Join(h.State, keeper.SocketName))
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	if err := json.NewEncoder(conn).Encode(keeper.Request{Do: "status"}); err != nil {
		return nil, err
	}
	buffer := make([]byte, 64<<10)
	n, err := conn.Read(buffer)
	if err != nil {
		return nil, err
	}
	var a keeper.Answer
	return &a, json.Unmarshal(buffer[:n], &a)
}

// Kill kills hulld as a crash would, and returns its PID when it is dead; 0 when none ran. The keeper starts the next one.
func (h *Hull) Kill() int {
	h.t.Helper()
	pid := h.Daemon()
	if pid == 0 {
		return 0
	}
	return h.kill(pid, func() bool { return h.Daemon() == pid })
}

// KillKeeper kills hull-keeper, and returns when it and hulld are dead: hulld ends by itself.
func (h *Hull) KillKeeper() {
	h.t.Helper()
	a := h.status()
	fd, err := linux.PidfdOpen(a.Daemon.PID)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = fd.Close() }()
	h.kill(a.Keeper.PID, func() bool { return h.Keeper() == a.Keeper.PID })
	if err := linux.PidfdWait(fd); err != nil {
		h.t.Fatal(err)
	}
}

// kill kills a process that still is the one that is meant once a pidfd of it is there.
func (h *Hull) kill(pid int, same func() bool) int {
	h.t.Helper()
	fd, err := linux.PidfdOpen(pid)
	if err != nil {
		return pid // it has ended by itself
	}
	defer func() { _ = fd.Close() }()
	if !same() {
		return pid
	}
	if err := linux.PidfdSignal(fd, unix.SIGKILL); err != nil {
		return pid
	}
	if err := linux.PidfdWait(fd); err != nil {
		h.t.Fatal(err)
	}
	return pid
}

// Revive returns when a hulld serves that is not the dead one, however long the keeper would have waited with its start.
func (h *Hull) Revive(ctx context.Context, dead int) error {
	for {
		a, err := keeper.StartDaemon(ctx, h.State, h.line(), os.Environ())
		if err == nil && a.Daemon.PID != dead && a.Daemon.PID != 0 {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// Restart kills hulld, and returns when the next one serves, with these flags beside those of [Start].
func (h *Hull) Restart(ctx context.Context, flags ...string) error {
	h.t.Helper()
	own := h.args
	h.args = append(own[:len(own):len(own)], flags...)
	defer func() { h.args = own }()
	// The keeper takes over a new command line with any request to start, also while a hulld runs.
	if _, err := keeper.StartDaemon(ctx, h.State, h.line(), os.Environ()); err != nil && ctx.Err() != nil {
		return err
	}
	return h.Revive(ctx, h.Kill())
}

// KeeperDescriptors is how many descriptors the keeper has open.
func (h *Hull) KeeperDescriptors() int {
	h.t.Helper()
	entries, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(h.Keeper()), "fd"))
	if err != nil {
		h.t.Fatal(err)
	}
	return len(entries)
}
