package live

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Instance is what this Hull puts into the names of things in the kernel.
func (h *Hull) Instance() string {
	sum := sha256.Sum256([]byte(h.Root + "\x00" + h.State))
	return hex.EncodeToString(sum[:4])
}

// Leaks lists what the kernel still has of this Hull, by asking the kernel alone. It is empty when all Pods are removed and
// hulld and keeper have stopped.
func (h *Hull) Leaks() []string {
	var left []string
	left = append(left, h.leakedProcesses(nil)...)
	left = append(left, h.leakedMounts()...)
	left = append(left, h.leakedCgroups()...)
	left = append(left, h.leakedNetwork()...)
	left = append(left, h.leakedTables()...)
	return append(left, h.leakedFiles()...)
}

// Remains lists what is left of Pods while keeper and hulld run. It is empty when all Pods are removed.
func (h *Hull) Remains() []string {
	h.t.Helper()
	a := h.status()
	var left []string
	left = append(left, h.leakedProcesses([]int{a.Keeper.PID, a.Daemon.PID})...)
	left = append(left, h.leakedMounts()...)
	left = append(left, h.leakedCgroups()...)
	// The links of the Hull itself are there for as long as it runs.
	left = append(left, slices.DeleteFunc(h.leakedNetwork(), func(l string) bool { return strings.HasSuffix(l, " host") })...)
	if a.Records > 0 {
		left = append(left, strconv.Itoa(a.Records)+" records of the keeper")
	}
	return append(left, h.leakedFiles()...)
}

// leakedFiles lists what is in directories where each entry belongs to one Pod.
func (h *Hull) leakedFiles() []string {
	var left []string
	for _, d := range []string{
		filepath.Join(h.Root, "containers"), filepath.Join(h.Root, "volumes"), filepath.Join(h.Root, "log/pods"),
		filepath.Join(h.State, "containers"), filepath.Join(h.State, "sandboxes"), filepath.Join(h.State, "volumes"),
		filepath.Join(h.State, "network/leases"),
	} {
		entries, err := os.ReadDir(d)
		if err != nil {
			continue
		}
		for _, e := range entries {
			left = append(left, "file "+filepath.Join(d, e.Name()))
		}
	}
	return left
}

// leakedProcesses finds programs whose command line or root is this Hull's.
func (h *Hull) leakedProcesses(but []int) []string {
	var left []string
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range procs {
		pid, err := strconv.Atoi(filepath.Base(p))
		if err != nil || pid == os.Getpid() || slices.Contains(but, pid) {
			continue
		}
		line, err := os.ReadFile(filepath.Join(p, "cmdline"))
		if err != nil {
			continue
		}
		text := string(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
		cgroup, _ := os.ReadFile(filepath.Join(p, "cgroup"))
		if strings.Contains(text, h.State) || strings.Contains(text, h.Instance()) || strings.Contains(string(cgroup), "hull-"+h.Instance()) {
			left = append(left, "process "+filepath.Base(p)+" "+text)
		}
	}
	return left
}

func (h *Hull) leakedMounts() []string {
	var left []string
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return []string{err.Error()}
	}
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, h.Root) || strings.Contains(line, h.State) {
			left = append(left, "mount "+strings.TrimSpace(line))
		}
	}
	return left
}

func (h *Hull) leakedCgroups() []string {
	var left []string
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.Contains(d.Name(), "hull-"+h.Instance()) {
			left = append(left, "cgroup "+path)
			return fs.SkipDir
		}
		return nil // a cgroup that another test removes meanwhile is not ours
	})
	return left
}

func (h *Hull) leakedNetwork() []string {
	var left []string
	links, err := net.Interfaces()
	if err != nil {
		return []string{err.Error()}
	}
	for _, l := range links {
		alias, _ := os.ReadFile("/sys/class/net/" + l.Name + "/ifalias")
		if strings.Contains(string(alias), h.Instance()) {
			left = append(left, "interface "+l.Name+" "+strings.TrimSpace(string(alias)))
		}
	}
	return left
}

// leakedTables wants nft(8); without it nothing is found.
func (h *Hull) leakedTables() []string {
	var left []string
	if nft, err := exec.LookPath("nft"); err == nil {
		out, err := exec.CommandContext(context.Background(), nft, "list", "tables").Output()
		if err == nil && bytes.Contains(out, []byte(h.Instance())) {
			left = append(left, "nftables "+string(out))
		}
	}
	return left
}
