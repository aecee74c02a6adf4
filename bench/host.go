package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "Linux"
	}
	return "Linux " + unix.ByteSliceToString(u.Release[:]) + " " + unix.ByteSliceToString(u.Machine[:])
}

func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(data))[:3], " ")
}

// kernelKiB is the memory that the kernel holds for itself and gives back to nobody on demand, with what lives in tmpfs. What
// programs and the page cache take is not in it: other programs of the host would drown the figure.
func kernelKiB() (float64, error) {
	sum := 0.0
	err := fields("/proc/meminfo", func(name string, kib float64) {
		switch name {
		case "SUnreclaim", "KernelStack", "PageTables", "Percpu":
			sum += kib
		}
	})
	return sum, err
}

// processKiB is a process' memory that is its own: resident, and anonymous.
func processKiB(pid int) (resident, own float64, err error) {
	err = fields(filepath.Join("/proc", strconv.Itoa(pid), "status"), func(name string, kib float64) {
		switch name {
		case "VmRSS":
			resident = kib
		case "RssAnon":
			own = kib
		}
	})
	return resident, own, err
}

func fields(path string, each func(name string, kib float64)) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
		name, rest, _ := strings.Cut(s.Text(), ":")
		words := strings.Fields(rest)
		if len(words) != 2 || words[1] != "kB" {
			continue
		}
		kib, err := strconv.ParseFloat(words[0], 64)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", path, name, err)
		}
		each(name, kib)
	}
	return nil
}

// cpuTime is the time that a process has spent, in ms, in itself and in the kernel.
func cpuTime(pid int) (float64, error) {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, err
	}
	words := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	sum := 0.0
	for _, w := range words[11:13] {
		ticks, err := strconv.ParseFloat(w, 64)
		if err != nil {
			return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
		}
		sum += ticks * 10
	}
	return sum, nil
}
