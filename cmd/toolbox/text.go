package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/hull-pods/hull/cmd/toolbox/call"
)

func wc(c *call.Call) int {
	fs := c.Flags()
	l, w, b := fs.Bool("l", false, "lines"), fs.Bool("w", false, "words"), fs.Bool("c", false, "bytes")
	if fs.Parse(c.Args) != nil {
		return 2
	}
	all := !*l && !*w && !*b
	show := func(n [3]int64, name string) {
		var f []string
		for i, on := range []bool{*l, *w, *b} {
			if on || all {
				f = append(f, strconv.FormatInt(n[i], 10))
			}
		}
		if name != "" {
			f = append(f, name)
		}
		fmt.Fprintln(c.Out, strings.Join(f, " "))
	}
	var total [3]int64
	code := c.Each(fs.Args(), func(name string, r io.Reader) error {
		var n [3]int64
		err := call.Lines(r, func(line []byte) error {
			if line[len(line)-1] == '\n' {
				n[0]++
			}
			n[1] += int64(len(bytes.Fields(line)))
			n[2] += int64(len(line))
			return nil
		})
		show(n, name)
		for i := range total {
			total[i] += n[i]
		}
		return err
	})
	if fs.NArg() > 1 {
		show(total, "total")
	}
	return code
}

// readAll reads the lines of every file, without their ends.
func readAll(c *call.Call, names []string) ([]string, int) {
	var all []string
	code := c.Each(names, func(_ string, r io.Reader) error {
		return call.Lines(r, func(line []byte) error {
			all = append(all, string(bytes.TrimSuffix(line, []byte("\n"))))
			return nil
		})
	})
	return all, code
}

func sortLines(c *call.Call) int {
	fs := c.Flags()
	r, n, u := fs.Bool("r", false, "reverse"), fs.Bool("n", false, "by number"), fs.Bool("u", false, "unique")
	key := fs.Int("k", 0, "by this field")
	if fs.Parse(call.Split(c.Args, "rnu")) != nil {
		return 2
	}
	all, code := readAll(c, fs.Args())
	of := func(s string) string {
		if f := strings.Fields(s); *key > 0 {
			if *key > len(f) {
				return ""
			}
			return strings.Join(f[*key-1:], " ")
		}
		return s
	}
	number := func(s string) float64 {
		s = strings.TrimLeftFunc(s, unicode.IsSpace)
		end := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsDigit(r) && r != '-' && r != '.' })
		if end >= 0 {
			s = s[:end]
		}
		f, _ := strconv.ParseFloat(s, 64)
		return f
	}
	compare := func(a, b string) int {
		a, b = of(a), of(b)
		if *n {
			if d := number(a) - number(b); d != 0 {
				return map[bool]int{true: 1, false: -1}[d > 0]
			}
		}
		return strings.Compare(a, b)
	}
	slices.SortStableFunc(all, func(a, b string) int {
		if *r {
			a, b = b, a
		}
		return compare(a, b)
	})
	if *u {
		all = slices.CompactFunc(all, func(a, b string) bool { return compare(a, b) == 0 })
	}
	for _, s := range all {
		fmt.Fprintln(c.Out, s)
	}
	return code
}

func uniq(c *call.Call) int {
	fs := c.Flags()
	count, dup := fs.Bool("c", false, "count"), fs.Bool("d", false, "only repeated")
	if fs.Parse(c.Args) != nil {
		return 2
	}
	all, code := readAll(c, fs.Args())
	for i := 0; i < len(all); {
		n := 1
		for i+n < len(all) && all[i+n] == all[i] {
			n++
		}
		switch {
		case *dup && n == 1:
		case *count:
			fmt.Fprintf(c.Out, "%7d %s\n", n, all[i])
		default:
			fmt.Fprintln(c.Out, all[i])
		}
		i += n
	}
	return code
}

func cut(c *call.Call) int {
	fs := c.Flags()
	delim, fields, chars := fs.String("d", "\t", "delimiter"), fs.String("f", "", "fields"), fs.String("c", "", "characters")
	if fs.Parse(glued(c.Args, "dfc")) != nil || (*fields == "") == (*chars == "") {
		return c.Usage("[-d DELIMITER] -f LIST | -c LIST [FILE…]")
	}
	wanted, err := ranges(*fields + *chars)
	if err != nil {
		return c.Fail(err)
	}
	all, code := readAll(c, fs.Args())
	for _, s := range all {
		parts, sep := strings.Split(s, *delim), *delim
		if *chars != "" {
			parts, sep = strings.Split(s, ""), ""
		}
		var kept []string
		for i, p := range parts {
			if wanted(i+1) || len(parts) == 1 && *fields != "" {
				kept = append(kept, p)
			}
		}
		fmt.Fprintln(c.Out, strings.Join(kept, sep))
	}
	return code
}

// glued takes values that stand at their letter apart ("-d:"), for the flag package.
func glued(args []string, letters string) []string {
	var out []string
	for _, a := range args {
		if len(a) > 2 && a[0] == '-' && strings.IndexByte(letters, a[1]) >= 0 {
			out = append(out, a[:2], a[2:])
			continue
		}
		out = append(out, a)
	}
	return out
}

func ranges(list string) (func(int) bool, error) {
	var spans [][2]int
	for part := range strings.SplitSeq(list, ",") {
		from, to, span := strings.Cut(part, "-")
		if !span {
			to = from
		}
		s := [2]int{1, 1 << 30}
		var err1, err2 error
		if from != "" {
			s[0], err1 = strconv.Atoi(from)
		}
		if to != "" {
			s[1], err2 = strconv.Atoi(to)
		}
		if err1 != nil || err2 != nil || s[0] < 1 {
			return nil, fmt.Errorf("invalid list %q", list)
		}
		spans = append(spans, s)
	}
	return func(n int) bool {
		return slices.ContainsFunc(spans, func(s [2]int) bool { return n >= s[0] && n <= s[1] })
	}, nil
}

func tr(c *call.Call) int {
	fs := c.Flags()
	del, squeeze := fs.Bool("d", false, "delete"), fs.Bool("s", false, "squeeze")
	if fs.Parse(c.Args) != nil || fs.NArg() < 1 {
		return c.Usage("[-ds] SET1 [SET2]")
	}
	from, to := charSet(fs.Arg(0)), charSet(fs.Arg(1))
	in, err := io.ReadAll(c.In)
	if err != nil {
		return c.Fail(err)
	}
	out := make([]byte, 0, len(in))
	for _, b := range in {
		i := bytes.IndexByte(from, b)
		if i >= 0 {
			if *del {
				continue
			}
			if len(to) > 0 {
				b = to[min(i, len(to)-1)]
			}
			if *squeeze && len(out) > 0 && out[len(out)-1] == b {
				continue
			}
		}
		out = append(out, b)
	}
	if _, err := c.Out.Write(out); err != nil {
		return c.Fail(err)
	}
	return 0
}

func charSet(s string) []byte {
	for class, chars := range map[string]string{"[:upper:]": "A-Z", "[:lower:]": "a-z", "[:digit:]": "0-9", "[:alpha:]": "A-Za-z", "[:alnum:]": "A-Za-z0-9", "[:space:]": " \t\n\r\v\f"} {
		s = strings.ReplaceAll(s, class, chars)
	}
	s = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\r`, "\r", `\\`, `\`, `\0`, "\x00").Replace(s)
	var set []byte
	for i := 0; i < len(s); i++ {
		if i+2 < len(s) && s[i+1] == '-' && s[i] <= s[i+2] {
			for b := int(s[i]); b <= int(s[i+2]); b++ {
				set = append(set, byte(b))
			}
			i += 2
			continue
		}
		set = append(set, s[i])
	}
	return set
}

func tee(c *call.Call) int {
	fs := c.Flags()
	add := fs.Bool("a", false, "append")
	if fs.Parse(c.Args) != nil {
		return 2
	}
	mode := os.O_TRUNC
	if *add {
		mode = os.O_APPEND
	}
	outs, code := []io.Writer{c.Out}, 0
	for _, name := range fs.Args() {
		f, err := os.OpenFile(c.Path(name), os.O_WRONLY|os.O_CREATE|mode, 0o666)
		if err != nil {
			code = c.Fail(err)
			continue
		}
		defer func() {
			if err := f.Close(); err != nil {
				c.Fail(err)
			}
		}()
		outs = append(outs, f)
	}
	if _, err := io.Copy(io.MultiWriter(outs...), c.In); err != nil {
		return c.Fail(err)
	}
	return code
}
