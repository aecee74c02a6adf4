package describe

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hull-pods/hull/internal/ui"
)

// description writes what kubectl describe does, in its way: two spaces a level, and columns as wide as the lines around want.
type description struct {
	tab *tabwriter.Writer
}

func newDescription(w io.Writer) *description {
	return &description{tab: tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)}
}

// write takes cells that tabs end, as tabwriter does.
func (d *description) write(level int, format string, args ...any) {
	text := fmt.Sprintf(strings.Repeat("  ", level)+format+"\n", args...)
	_, _ = io.WriteString(d.tab, ui.Printable(text)) // Flush tells
}

// list writes values under each other, beside their label.
func (d *description) list(label string, values []string) {
	if len(values) == 0 {
		values = []string{"<none>"}
	}
	for i, v := range values {
		if i > 0 {
			label = ""
		}
		d.write(0, "%s\t%s", label, v)
	}
}

// block writes values below their label; a value of several lines goes on below itself.
func (d *description) block(level int, label string, values []string) {
	if len(values) == 0 {
		return
	}
	d.write(level, "%s", label)
	for _, v := range values {
		name, text, pair := strings.Cut(v, "\t")
		if !pair {
			for line := range strings.SplitSeq(v, "\n") {
				d.write(level+1, "%s", line)
			}
			continue
		}
		for line := range strings.SplitSeq(text, "\n") {
			d.write(level+1, "%s\t%s", name, line)
			name = ""
		}
	}
}

func (d *description) blockOrNone(level int, label string, values []string) {
	if len(values) == 0 {
		d.write(level, "%s\t<none>", label)
		return
	}
	d.block(level, label, values)
}

func pairs(m map[string]string, sep string) []string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, k+sep+m[k])
	}
	return list
}

func orNone(s string) string {
	if s == "" {
		return "<none>"
	}
	return s
}

// age is how long ago something was, as kubectl writes it.
func age(t time.Time) string { return ui.Age(time.Since(t)) }
