package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/hull-pods/hull/cmd/toolbox/call"
)

// echo knows -n, and -e with the usual escapes.
func echo(c *call.Call) int {
	args, newline, escapes := c.Args, "\n", false
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && strings.Trim(args[0][1:], "neE") == "" {
		for _, f := range args[0][1:] {
			switch f {
			case 'n':
				newline = ""
			case 'e':
				escapes = true
			case 'E':
				escapes = false
			}
		}
		args = args[1:]
	}
	s := strings.Join(args, " ")
	if escapes {
		s = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\t`, "\t", `\r`, "\r", `\a`, "\a", `\b`, "\b", `\f`, "\f", `\v`, "\v", `\e`, "\x1b", `\0`, "\x00").Replace(s)
	}
	if _, err := io.WriteString(c.Out, s+newline); err != nil {
		return c.Fail(err)
	}
	return 0
}

func seq(c *call.Call) int {
	n := make([]int64, len(c.Args))
	for i, a := range c.Args {
		var err error
		if n[i], err = strconv.ParseInt(a, 10, 64); err != nil {
			return c.Fail(fmt.Errorf("%q is no whole number", a))
		}
	}
	first, step, last := int64(1), int64(1), int64(0)
	switch len(n) {
	case 1:
		last = n[0]
	case 2:
		first, last = n[0], n[1]
	case 3:
		first, step, last = n[0], n[1], n[2]
	default:
		return c.Usage("[FIRST [STEP]] LAST")
	}
	if step == 0 {
		return c.Fail(errors.New("the step is zero"))
	}
	w := bufio.NewWriter(c.Out)
	for i := first; step > 0 && i <= last || step < 0 && i >= last; i += step {
		if _, err := fmt.Fprintln(w, i); err != nil {
			return c.Fail(err)
		}
	}
	if err := w.Flush(); err != nil {
		return c.Fail(err)
	}
	return 0
}

func yes(c *call.Call) int {
	what := "y"
	if len(c.Args) > 0 {
		what = strings.Join(c.Args, " ")
	}
	c.DieOf(nil)
	w := bufio.NewWriterSize(c.Out, 32<<10)
	for {
		if _, err := fmt.Fprintln(w, what); err != nil {
			return c.Fail(err)
		}
	}
}

// date knows -u and formats of the common letters.
func date(c *call.Call) int {
	now, format := time.Now(), "%a %b %e %H:%M:%S %Z %Y"
	for _, a := range c.Args {
		switch {
		case a == "-u":
			now = now.UTC()
		case strings.HasPrefix(a, "+"):
			format = a[1:]
		case a == "-Iseconds":
			format = "%Y-%m-%dT%H:%M:%S%z"
		default:
			return c.Usage("[-u] [-Iseconds] [+FORMAT]")
		}
	}
	fmt.Fprintln(c.Out, strftime(now, format))
	return 0
}

func strftime(t time.Time, format string) string {
	layouts := map[byte]string{
		'Y': "2006", 'm': "01", 'd': "02", 'e': "_2", 'H': "15", 'M': "04", 'S': "05", 'y': "06", 'b': "Jan", 'B': "January", 'a': "Mon", 'A': "Monday",
		'Z': "MST", 'z': "-0700", 'F': "2006-01-02", 'T': "15:04:05", 'D': "01/02/06", 'R': "15:04", 'I': "03", 'p': "PM", 'c': "Mon Jan _2 15:04:05 2006",
	}
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		switch f := format[i]; {
		case f == 's':
			b.WriteString(strconv.FormatInt(t.Unix(), 10))
		case f == 'N':
			fmt.Fprintf(&b, "%09d", t.Nanosecond())
		case f == 'n':
			b.WriteByte('\n')
		case f == '%':
			b.WriteByte('%')
		case layouts[f] != "":
			b.WriteString(t.Format(layouts[f]))
		default:
			b.WriteString(format[i-1 : i+1])
		}
	}
	return b.String()
}
