package live

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
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
	tr := h.traces()
	return slices.Concat(tr.processes(nil), tr.mounts(), tr.cgroups(nil), tr.network(), tr.tables(), tr.routes(), tr.files())
}

// Remains lists what is left of Pods while keeper and hulld run. It is empty when all Pods are removed.
func (h *Hull) Remains() []string {
	h.t.Helper()
	a := h.status()
	tr := h.traces()
	// The links and cgroups of the Hull itself are there for as long as it runs.
	links := slices.DeleteFunc(tr.network(), func(l string) bool { return strings.HasSuffix(l, " host") })
	left := slices.Concat(tr.processes([]int{a.Keeper.PID, a.Daemon.PID}), tr.mounts(), tr.cgroups([]string{"", "besteffort", "burstable"}), links)
	if a.Records > 0 {
		left = append(left, strconv.Itoa(a.Records)+" records of the keeper")
	}
	return append(left, tr.files()...)
}

// traces finds what a Hull has in the kernel and on disk by what is written on it.
type traces struct{ root, state, instance string }

func (h *Hull) traces() traces { return traces{h.Root, h.State, h.Instance()} }

// files lists what is in directories where each entry belongs to one Pod.
func (tr traces) files() []string {
	var left []string
	uppers, _ := filepath.Glob(filepath.Join(tr.root, "containers", "?")) // where containers are by the first digit of their IDs
	for _, d := range append(uppers,
		filepath.Join(tr.root, "volumes"), filepath.Join(tr.root, "log/pods"),
		filepath.Join(tr.state, "containers"), filepath.Join(tr.state, "sandboxes"), filepath.Join(tr.state, "volumes"),
		filepath.Join(tr.state, "network/leases"),
	) {
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

// processes finds programs whose command line or root is this Hull's.
func (tr traces) processes(but []int) []string {
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
		if strings.Contains(text, tr.state) || strings.Contains(text, tr.instance) || strings.Contains(string(cgroup), "hull-"+tr.instance) {
			left = append(left, "process "+filepath.Base(p)+" "+text)
		}
	}
	return left
}

func (tr traces) mounts() []string {
	var left []string
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return []string{err.Error()}
	}
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, tr.root) || strings.Contains(line, tr.state) {
			left = append(left, "mount "+strings.TrimSpace(line))
		}
	}
	return left
}

// cgroups lists the topmost of them, below the Hull's own, but for some that are named from there.
func (tr traces) cgroups(but []string) []string {
	var left []string
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		_, below, ours := strings.Cut(path, "hull-"+tr.instance)
		if err == nil && d.IsDir() && ours && !slices.Contains(but, strings.TrimPrefix(below, "/")) {
			left = append(left, "cgroup "+path)
			return fs.SkipDir
		}
		return nil // a cgroup that another test removes meanwhile is not ours
	})
	return left
}

func (tr traces) network() []string {
	var left []string
	links, err := net.Interfaces()
	if err != nil {
		return []string{err.Error()}
	}
	for _, l := range links {
		alias, _ := os.ReadFile("/sys/class/net/" + l.Name + "/ifalias")
		if strings.Contains(string(alias), tr.instance) {
			left = append(left, "interface "+l.Name+" "+strings.TrimSpace(string(alias)))
		}
	}
	return left
}

// routes finds the routes of pools, whose metric is the instance.
func (tr traces) routes() []string {
	var left []string
	for _, table := range []struct {
		file         string
		column, base int // of the metric
	}{{"/proc/thread-self/net/route", 6, 10}, {"/proc/thread-self/net/ipv6_route", 5, 16}} {
		data, err := os.ReadFile(table.file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return append(left, err.Error())
		}
		for line := range strings.Lines(string(data)) {
			words := strings.Fields(line)
			if len(words) <= table.column {
				continue
			}
			metric, err := strconv.ParseInt(words[table.column], table.base, 64)
			if err == nil && fmt.Sprintf("%08x", uint32(metric)) == tr.instance { // some kernels write it with a sign
				left = append(left, "route "+strings.Join(words, " "))
			}
		}
	}
	return left
}

// tables wants nft(8); without it nothing is found.
func (tr traces) tables() []string {
	var left []string
	if nft, err := exec.LookPath("nft"); err == nil {
		out, err := exec.CommandContext(context.Background(), nft, "list", "tables").Output()
		if err == nil && bytes.Contains(out, []byte(tr.instance)) {
			left = append(left, "nftables "+string(out))
		}
	}
	return left
}
