package describe

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hull-pods/hull/internal/cli/pod"
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

// What kubectl keeps for itself is not shown, and how much is shown of a line.
const (
	lastApplied      = "kubectl.kubernetes.io/last-applied-configuration"
	annotationLength = 140
)

// annotations are written as kubectl does: long ones, and those of several lines, below their keys, and cut off.
func annotations(m map[string]string) []string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		value := strings.TrimSuffix(m[k], "\n")
		switch {
		case k == lastApplied:
		case len(k)+len(value)+2 <= annotationLength && !strings.Contains(value, "\n"):
			list = append(list, k+": "+value)
		default:
			list = append(list, k+":")
			for line := range strings.SplitSeq(value, "\n") {
				if len(line) > annotationLength-2 {
					line = line[:annotationLength-2] + "..."
				}
				list = append(list, "  "+line)
			}
		}
	}
	return list
}

func (d *description) seccomp(level int, profile *pod.SeccompProfile) {
	if profile == nil {
		return
	}
	d.write(level, "SeccompProfile:\t%s", profile.Type)
	if profile.Type == "Localhost" {
		if level > 0 {
			level++
		}
		d.write(level, "LocalhostProfile:\t%s", profile.LocalhostProfile)
	}
}

func orNone(s string) string {
	if s == "" {
		return "<none>"
	}
	return s
}

// age is how long ago something was, as kubectl writes it.
func age(t time.Time) string { return ui.Age(time.Since(t)) }
