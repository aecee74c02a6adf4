package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// row is one figure. Value and Peer are in Unit; Ratio is the one to the other.
type row struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Peer   float64 `json:"peer,omitempty"`
	Of     string  `json:"peerName,omitempty"` // whose figure Peer is
	Ratio  float64 `json:"ratio,omitempty"`
	Target string  `json:"target,omitempty"`
	OK     bool    `json:"ok"`
	Note   string  `json:"note,omitempty"`
}

// table is what a run has found.
type table struct{ rows []row }

func (t *table) add(r row) {
	if r.Peer != 0 {
		r.Ratio = r.Value / r.Peer
	}
	t.rows = append(t.rows, r)
	fmt.Fprintf(os.Stderr, "  %s: %s %s\n", r.Name, number(r.Value), r.Unit)
}

// atMost is a figure with an upper bound of its own.
func (t *table) atMost(name string, value float64, unit string, most float64, note string) {
	t.add(row{Name: name, Value: value, Unit: unit, Target: "≤ " + number(most) + " " + unit, OK: value <= most, Note: note})
}

// atLeast is a figure with a lower bound of its own.
func (t *table) atLeast(name string, value float64, unit string, least float64, note string) {
	t.add(row{Name: name, Value: value, Unit: unit, Target: "≥ " + number(least) + " " + unit, OK: value >= least, Note: note})
}

// against is a time that is at most peer/part. Without a peer it is only told.
func (t *table) against(name string, own, peer []time.Duration, of string, part float64, note string) {
	r := row{Name: name, Value: ms(median(own)), Unit: "ms", Of: of, Target: fmt.Sprintf("≤ 1/%g", part), Note: note}
	if len(peer) > 0 {
		r.Peer = ms(median(peer))
		r.OK = r.Value <= r.Peer/part
	}
	t.add(r)
}

// told is a figure that nothing is promised of.
func (t *table) told(name string, value float64, unit, note string) {
	t.add(row{Name: name, Value: value, Unit: unit, Note: note})
}

func (t *table) print(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(tw, "figure\thull\tpeer\tratio\ttarget\t\t")
	for _, r := range t.rows {
		value, peer, ratio, verdict := number(r.Value)+" "+r.Unit, "", "", ""
		if r.Unit == "" && r.Value == 0 { // a section that could not run
			value = "-"
		}
		if r.Peer != 0 {
			peer = number(r.Peer) + " " + r.Unit + " " + r.Of
			ratio = fmt.Sprintf("%.2f", r.Ratio)
			if r.Ratio < 1 {
				ratio = fmt.Sprintf("1/%.1f", 1/r.Ratio)
			}
		}
		switch {
		case r.Target == "":
		case r.Of != "" && r.Peer == 0:
			verdict = "not compared"
		case r.OK:
			verdict = "ok"
		default:
			verdict = "MISSED"
		}
		_, _ = fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, value, peer, ratio, r.Target, verdict, r.Note)
	}
	_ = tw.Flush()
}

func (t *table) save(name string) error {
	data, err := json.MarshalIndent(t.rows, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(data, '\n'), 0o644)
}

func number(v float64) string {
	switch {
	case v >= 100 || v == float64(int(v)):
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func median[T time.Duration | float64](values []T) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
