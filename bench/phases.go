package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// phases tells where the time of a Pod's start and end goes, by what hulld says of it at level debug.
func (b *bench) phases(ctx context.Context) error {
	h, err := b.startHull(ctx, "phases", "--log-level", "debug")
	if err != nil {
		return err
	}
	var starts, ends []time.Duration
	for i := range b.runs {
		made, err := h.burst(ctx, i, 1)
		if err != nil {
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
	for _, s := range steps {
		b.table.told("  "+s.name, ms(median(s.times)), "ms", fmt.Sprintf("%d times", len(s.times)))
	}
	return h.stop()
}

type stepTimes struct {
	name  string
	times []time.Duration
}

var stepLine = regexp.MustCompile(`msg="step done" of=(\S+) .*step=(?:"([^"]+)"|(\S+)) took=(\S+)`)

// readSteps collects the steps from hulld's log, in the order in which they first came.
func readSteps(log string) ([]*stepTimes, error) {
	f, err := os.Open(log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var all []*stepTimes
	byName := map[string]*stepTimes{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		m := stepLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		took, err := time.ParseDuration(m[4])
		if err != nil {
			continue
		}
		name := m[1] + ": " + m[2] + m[3]
		s := byName[name]
		if s == nil {
			s = &stepTimes{name: name}
			byName[name] = s
			all = append(all, s)
		}
		s.times = append(s.times, took)
	}
	return all, lines.Err()
}
