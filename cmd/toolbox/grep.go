package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/hull-pods/hull/cmd/toolbox/call"
)

// matcher is one run of grep.
type matcher struct {
	c                                                                            *call.Call
	fold, invert, number, count, list, quiet, only, whole, word, fixed, extended bool
	noName, silent                                                               bool
	re                                                                           *regexp.Regexp
	found                                                                        bool
}

func grep(c *call.Call) int {
	fs := c.Flags()
	m := matcher{c: c}
	for name, p := range map[string]*bool{
		"i": &m.fold, "v": &m.invert, "n": &m.number, "c": &m.count, "l": &m.list, "q": &m.quiet, "o": &m.only, "x": &m.whole, "w": &m.word, "F": &m.fixed,
		"E": &m.extended, "h": &m.noName, "s": &m.silent,
	} {
		fs.BoolVar(p, name, false, "")
	}
	pattern := fs.String("e", "", "pattern")
	if fs.Parse(call.Split(c.Args, "ivnclqoxwFEhs")) != nil {
		return 2
	}
	files := fs.Args()
	if *pattern == "" {
		if len(files) == 0 {
			return c.Usage("[-ivnclqoxwFEhs] [-e] PATTERN [FILE…]")
		}
		*pattern, files = files[0], files[1:]
	}
	var err error
	if m.re, err = regexp.Compile(m.pattern(*pattern)); err != nil {
		c.Fail(err)
		return 2
	}
	if m.silent {
		c.Err = io.Discard
	}
	m.noName = m.noName || len(files) < 2
	code := c.Each(files, m.file)
	switch {
	case m.found && (code == 0 || m.quiet):
		return 0
	case code != 0:
		return 2
	}
	return 1
}

// file looks through one file.
func (m *matcher) file(name string, r io.Reader) error {
	prefix := ""
	if !m.noName {
		prefix = name + ":"
	}
	at, count := 0, 0
	err := call.Lines(r, func(line []byte) error {
		at++
		text := bytes.TrimSuffix(line, []byte("\n"))
		if m.re.Match(text) == m.invert {
			return nil
		}
		m.found = true
		count++
		switch {
		case m.quiet || m.list:
			return errEnough
		case !m.count:
			m.show(prefix, at, text)
		}
		return nil
	})
	if m.count {
		fmt.Fprintf(m.c.Out, "%s%d\n", prefix, count)
	}
	if m.list && count > 0 {
		fmt.Fprintln(m.c.Out, name)
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

func (m *matcher) show(prefix string, at int, text []byte) {
	out := [][]byte{text}
	if m.only && !m.invert {
		out = m.re.FindAll(text, -1)
	}
	for _, t := range out {
		if m.number {
			fmt.Fprintf(m.c.Out, "%s%d:%s\n", prefix, at, t)
		} else {
			fmt.Fprintf(m.c.Out, "%s%s\n", prefix, t)
		}
	}
}

// pattern turns a basic or extended POSIX pattern, or a fixed string, into Go's.
func (m *matcher) pattern(p string) string {
	switch {
	case m.fixed:
		p = regexp.QuoteMeta(p)
	case !m.extended:
		p = basic(p)
	}
	if m.word {
		p = `\b(?:` + p + `)\b`
	}
	if m.whole {
		p = `^(?:` + p + `)$`
	}
	if m.fold {
		p = "(?i)" + p
	}
	return p
}

// basic turns a basic POSIX pattern into an extended one: there \( \| \+ are special, and ( | + are not.
func basic(p string) string {
	const special = "(){}|+?"
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		escaped := p[i] == '\\' && i+1 < len(p)
		switch {
		case escaped && strings.IndexByte(special, p[i+1]) >= 0:
			i++
			b.WriteByte(p[i])
		case escaped:
			b.WriteString(p[i : i+2])
			i++
		case strings.IndexByte(special, p[i]) >= 0:
			b.WriteString(`\` + p[i:i+1])
		default:
			b.WriteByte(p[i])
		}
	}
	return b.String()
}
