package birth

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// nameWidth is how far the calls are indented for the sake of step names; a longer name moves its own call only.
const nameWidth = 44

// String is the listing: the number and name of each step, its call with constants spelled out, and where it goes on after
// results that have a rule. #3 is the result of step 3, <name> a descriptor that was sent along.
func (p *Program) String() string {
	width := 0
	for _, s := range p.steps {
		if n := utf8.RuneCountInString(s.name); n <= nameWidth {
			width = max(width, n)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d steps", p.name, p.lines())
	if len(p.fds) > 0 {
		fmt.Fprintf(&b, "; sent along: <%s>", strings.Join(p.fds, ">, <"))
	}
	b.WriteByte('\n')
	for i, s := range p.steps {
		fmt.Fprintf(&b, "%3d  %-*s  %s%s\n", i+1, width, s.name, s.text(), p.rulesText(i))
	}
	if p.rests {
		fmt.Fprintf(&b, "%3d  %-*s  %s\n", len(p.steps)+1, width, "rest", "close all, reap children, end on SIGTERM or SIGINT")
	}
	return b.String()
}

// lines counts rest, which is not a step but has a line.
func (p *Program) lines() int {
	if p.rests {
		return len(p.steps) + 1
	}
	return len(p.steps)
}

func (s step) text() string {
	switch s.kind {
	case assign:
		return s.into.name + " = " + s.args[0].text(result)
	case check:
		if n, ok := s.args[0].(number); ok {
			return "fail with " + unix.ErrnoName(unix.Errno(-int64(n)))
		}
		return "fail with " + s.args[0].text(nil) + ", if it is an error"
	}
	formats := callFormats(s.sys, s.args)
	parts := make([]string, len(s.args))
	for i, a := range s.args {
		var f format
		if i < len(formats) {
			f = formats[i]
		}
		parts[i] = a.text(f)
	}
	return s.sys.String() + "(" + strings.Join(parts, ", ") + ")"
}

// rulesText groups the results that lead to one place: "; ENOENT or ENOTDIR: go to 14".
func (p *Program) rulesText(i int) string {
	var order []string
	results := map[string][]string{}
	for _, r := range p.steps[i].rules {
		where := "go on"
		if to, err := p.target(i, r.label); err != nil {
			where = "go nowhere"
		} else if to != i+1 || r.label != next {
			where = "go to " + strconv.Itoa(to+1)
		}
		if results[where] == nil {
			order = append(order, where)
		}
		results[where] = append(results[where], result(uint64(int64(r.value))))
	}
	var b strings.Builder
	for _, where := range order {
		b.WriteString("; " + strings.Join(results[where], " or ") + ": " + where)
	}
	return b.String()
}

// result shows an error by its name.
func result(v uint64) string {
	if n := int64(v); n < 0 {
		if name := unix.ErrnoName(unix.Errno(-n)); name != "" {
			return name
		}
	}
	return decimal(v)
}
