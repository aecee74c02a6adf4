package main

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// phaseRuns is how many Pods the phases are told of.
const phaseRuns = 10

// startUp is how long a container's program takes at most until it handles signals.
const startUp = 300 * time.Millisecond

// phases tells where the time of a Pod's start and end goes, by what hulld says of it at level debug.
func (b *bench) phases(ctx context.Context) error {
	h, err := b.startHull(ctx, "phases", "--log-level", "debug")
	if err != nil {
		return err
	}
	var starts, ends []time.Duration
	for i := range phaseRuns {
		made, err := h.burst(ctx, i, 1)
		if err != nil {
			return err
		}
		// As first process of its namespace, a program that has not come to its signal handlers yet does not hear SIGTERM.
		if err := pause(ctx, startUp); err != nil {
			return err
		}
		gone, err := h.remove(ctx, i, 1)
		if err != nil {
			return err
		}
		starts, ends = append(starts, made), append(ends, gone)
	}
	b.table.told("one Pod, from the request to ready, over the API", ms(median(starts)), "ms", "")
	b.table.told("one Pod, from the request to gone, over the API", ms(median(ends)), "ms", "")
	steps, err := readSteps(filepath.Join(h.state, "hulld.log"))
	if err != nil {
		return err
	}
	steps.tell(&b.table, "  ")
	return h.stop()
}

// laps are the times of steps, by name, in the order in which they first came.
type laps struct {
	names []string
	times map[string][]time.Duration
}

func (l *laps) add(name string, took time.Duration) {
	if l.times == nil {
		l.times = map[string][]time.Duration{}
	}
	if _, seen := l.times[name]; !seen {
		l.names = append(l.names, name)
	}
	l.times[name] = append(l.times[name], took)
}

// tell makes rows of them.
func (l *laps) tell(t *table, prefix string) {
	for _, name := range l.names {
		t.told(prefix+name, ms(median(l.times[name])), "ms", "")
	}
}

var stepLine = regexp.MustCompile(`msg="step done" of=(\S+) .*step=(?:"([^"]+)"|(\S+)) took=(\S+)`)

// readSteps collects the steps from hulld's log.
func readSteps(log string) (*laps, error) {
	f, err := os.Open(log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	all := &laps{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		m := stepLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		if took, err := time.ParseDuration(m[4]); err == nil {
			all.add(m[1]+": "+m[2]+m[3], took)
		}
	}
	return all, lines.Err()
}
