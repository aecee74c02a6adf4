package ui

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// table is a meta.k8s.io/v1 Table.
type table struct {
	Columns []struct {
		Name     string `json:"name"`
		Priority int    `json:"priority"`
	} `json:"columnDefinitions"`
	Rows []struct {
		Cells  []any `json:"cells"`
		Object struct {
			Metadata struct {
				Namespace string            `json:"namespace"`
				Labels    map[string]string `json:"labels"`
			} `json:"metadata"`
		} `json:"object"`
	} `json:"rows"`
}

// Widths of kubectl's columns: at least six characters, three spaces between.
const (
	columnMin = 6
	columnGap = 3
)

// remember keeps the columns of an empty list: the events of a watch that follow need not repeat them.
func (p *Printer) remember(t table) error {
	if len(t.Columns) > 0 {
		p.cols = p.columns(t)
	}
	return nil
}

func (p *Printer) columns(t table) []int {
	var cols []int
	for i, c := range t.Columns {
		if c.Priority == 0 || p.o.Output == "wide" {
			cols = append(cols, i)
		}
	}
	return cols
}

func (p *Printer) table(w io.Writer, t table) error {
	var lines [][]string
	if len(t.Columns) > 0 {
		p.cols = p.columns(t)
	}
	if !p.seen && !p.o.NoHeaders && len(t.Columns) > 0 {
		lines = append(lines, p.header(t))
		p.seen = true
	}
	for _, row := range t.Rows {
		var line []string
		if p.o.Namespaces {
			line = append(line, row.Object.Metadata.Namespace)
		}
		for _, i := range p.cols {
			if i < len(row.Cells) {
				line = append(line, cell(row.Cells[i]))
			}
		}
		if p.o.Labels {
			line = append(line, labels(row.Object.Metadata.Labels))
		}
		lines = append(lines, line)
	}
	p.last = widths(lines, p.last)
	return writeColumns(w, lines, p.last)
}

func (p *Printer) header(t table) []string {
	var line []string
	if p.o.Namespaces {
		line = append(line, "NAMESPACE")
	}
	for _, i := range p.cols {
		line = append(line, strings.ToUpper(t.Columns[i].Name))
	}
	if p.o.Labels {
		line = append(line, "LABELS")
	}
	return line
}

func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return "<none>"
	case string:
		return oneLine(v)
	case float64:
		return fmt.Sprintf("%.0f", v)
	default:
		data, err := json.Marshal(v)
		if err != nil {
			return fmt.Sprint(v)
		}
		return string(data)
	}
}

// oneLine cuts a text where its first line ends, as kubectl does, for what follows would look like a row of its own, and shows its
// control characters.
func oneLine(text string) string {
	if i := strings.IndexAny(text, "\f\n\r"); i >= 0 {
		text = text[:i] + "..."
	}
	return Printable(text)
}

func labels(m map[string]string) string {
	if len(m) == 0 {
		return "<none>"
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, k+"="+m[k])
	}
	return strings.Join(parts, ",")
}

func widths(lines [][]string, before []int) []int {
	w := slices.Clone(before)
	for _, line := range lines {
		for i, c := range line {
			for len(w) <= i {
				w = append(w, columnMin)
			}
			w[i] = max(w[i], utf8.RuneCountInString(c)+columnGap)
		}
	}
	return w
}

// WriteTable writes lines in columns as wide as they need, with what came from an image, a manifest or a container made harmless.
func WriteTable(w io.Writer, lines [][]string) error {
	for _, line := range lines {
		for i, c := range line {
			line[i] = oneLine(c)
		}
	}
	return writeColumns(w, lines, widths(lines, nil))
}

// writeColumns writes lines in columns of at least these widths.
func writeColumns(w io.Writer, lines [][]string, width []int) error {
	var b strings.Builder
	for _, line := range lines {
		for i, c := range line {
			b.WriteString(c)
			if i < len(line)-1 {
				b.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(c)))
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}
