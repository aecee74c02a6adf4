package leftover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// infraPrefix begins the argv[0] of every infra process of an instance.
func infraPrefix(instance string) string { return "hull-infra " + instance + " " }

// InfraName is an infra process' argv[0]: /proc/*/cmdline shows which Hull and which sandbox it belongs to.
func InfraName(instance, id string) string { return infraPrefix(instance) + id }

// processesNamed lists the processes whose argv[0] begins with prefix, by PID.
func processesNamed(prefix string) (map[int]string, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	found := map[int]string{}
	for _, d := range dirs {
		line, err := os.ReadFile(filepath.Join(d, "cmdline"))
		if err != nil {
			continue // it has ended meanwhile
		}
		name, _, _ := bytes.Cut(line, []byte{0})
		if !bytes.HasPrefix(name, []byte(prefix)) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(d))
		if err != nil {
			continue
		}
		found[pid] = string(name)
	}
	return found, nil
}

// KillNamed kills the processes whose argv[0] begins with a name, and waits for their end: infra processes that are nobody's
// children.
func KillNamed(ctx context.Context, name string) error {
	procs, err := processesNamed(name)
	if err != nil {
		return err
	}
	for pid := range procs {
		if err := killProcess(ctx, pid, name); err != nil {
			return err
		}
	}
	return nil
}

// killProcess kills a process that was found by its name, and waits for its end. The name is read again once the pidfd is
// there, so that the PID cannot have become another's.
func killProcess(ctx context.Context, pid int, name string) error {
	fd, err := linux.PidfdOpen(pid)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = fd.Close() }()
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !bytes.HasPrefix(line, []byte(name)) {
		return nil
	}
	return linux.PidfdKill(ctx, fd)
}
