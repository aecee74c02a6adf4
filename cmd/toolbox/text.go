package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

// echo knows -n, and -e with the usual escapes.
func echo(c *call) int {
	args, newline, escapes := c.args, "\n", false
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
	if _, err := io.WriteString(c.out, s+newline); err != nil {
		return c.fail(err)
	}
	return 0
}

// lines calls fn with each line, its end included if it has one.
func lines(r io.Reader, fn func(line []byte) error) error {
	b := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := b.ReadBytes('\n')
		if len(line) > 0 {
			if ferr := fn(line); ferr != nil {
				return ferr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

var errEnough = errors.New("enough")

// oldCount turns the old form `head -5` into `head -n 5`.
func oldCount(args []string) []string {
	if len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && strings.Trim(args[0][1:], "0123456789") == "" {
		return append([]string{"-n", args[0][1:]}, args[1:]...)
	}
	return args
}

func head(c *call) int {
	fs := c.flags()
	n := fs.Int64("n", 10, "lines")
	bytesOnly := fs.Int64("c", -1, "bytes")
	if fs.Parse(oldCount(c.args)) != nil {
		return 2
	}
	return c.each(fs.Args(), func(name string, r io.Reader) error {
		if fs.NArg() > 1 {
			fmt.Fprintf(c.out, "==> %s <==\n", name)
		}
		if *bytesOnly >= 0 {
			_, err := io.CopyN(c.out, r, *bytesOnly)
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return err
		}
		left := *n
		err := lines(r, func(line []byte) error {
			if left--; left < 0 {
				return errEnough
			}
			_, err := c.out.Write(line)
			return err
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		return err
	})
}

func tail(c *call) int {
	fs := c.flags()
	count := fs.String("n", "10", "lines, from the beginning with +")
	bytesOnly := fs.Int64("c", -1, "bytes")
	follow := fs.Bool("f", false, "follow")
	fs.BoolVar(follow, "F", false, "follow")
	if fs.Parse(oldCount(c.args)) != nil {
		return 2
	}
	n, err := strconv.ParseInt(*count, 10, 64)
	if err != nil {
		return c.fail(fmt.Errorf("%q is no number of lines", *count))
	}
	if *follow {
		dieOf(nil)
	}
	return c.each(fs.Args(), func(name string, r io.Reader) error {
		if fs.NArg() > 1 {
			fmt.Fprintf(c.out, "==> %s <==\n", name)
		}
		if *bytesOnly >= 0 {
			err = lastBytes(c.out, r, *bytesOnly)
		} else {
			err = lastLines(c.out, r, n, (*count)[0] == '+')
		}
		if err != nil {
			return err
		}
		if f, ok := r.(*os.File); ok && *follow {
			return followFile(c.out, f)
		}
		return nil
	})
}

func lastBytes(w io.Writer, r io.Reader, n int64) error {
	var kept []byte
	buf := make([]byte, 64<<10)
	for {
		got, err := r.Read(buf)
		kept = append(kept, buf[:got]...)
		kept = kept[max(0, int64(len(kept))-n):]
		if errors.Is(err, io.EOF) {
			_, err = w.Write(kept)
			return err
		}
		if err != nil {
			return err
		}
	}
}

func lastLines(w io.Writer, r io.Reader, n int64, fromStart bool) error {
	var kept [][]byte
	at := int64(0)
	err := lines(r, func(line []byte) error {
		at++
		if fromStart {
			if at < n {
				return nil
			}
			_, err := w.Write(line)
			return err
		}
		if kept = append(kept, line); int64(len(kept)) > n {
			kept = kept[1:]
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = w.Write(bytes.Join(kept, nil))
	return err
}

// followFile copies what is written to a file from here on, told by inotify.
func followFile(w io.Writer, f *os.File) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("inotify_init1", err)
	}
	watch := os.NewFile(uintptr(fd), "inotify")
	defer watch.Close() //nolint:errcheck // nothing was written
	if _, err := unix.InotifyAddWatch(fd, f.Name(), unix.IN_MODIFY); err != nil {
		return &os.PathError{Op: "watch", Path: f.Name(), Err: err}
	}
	buf := make([]byte, 4096)
	for {
		if _, err := io.Copy(w, f); err != nil {
			return err
		}
		if _, err := watch.Read(buf); err != nil {
			return err
		}
		fi, err := f.Stat()
		if err != nil {
			return err
		}
		if at, err := f.Seek(0, io.SeekCurrent); err == nil && fi.Size() < at { // truncated
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				return err
			}
		}
	}
}

func wc(c *call) int {
	fs := c.flags()
	l, w, b := fs.Bool("l", false, "lines"), fs.Bool("w", false, "words"), fs.Bool("c", false, "bytes")
	if fs.Parse(c.args) != nil {
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
		fmt.Fprintln(c.out, strings.Join(f, " "))
	}
	var total [3]int64
	code := c.each(fs.Args(), func(name string, r io.Reader) error {
		var n [3]int64
		err := lines(r, func(line []byte) error {
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

func grep(c *call) int {
	fs := c.flags()
	var o struct{ i, v, n, c, l, q, o, x, w, f, e, r, h, s bool }
	for name, p := range map[string]*bool{"i": &o.i, "v": &o.v, "n": &o.n, "c": &o.c, "l": &o.l, "q": &o.q, "o": &o.o, "x": &o.x, "w": &o.w, "F": &o.f, "E": &o.e, "h": &o.h, "s": &o.s} {
		fs.BoolVar(p, name, false, "")
	}
	pattern := fs.String("e", "", "pattern")
	if fs.Parse(split(c.args, "ivnclqoxwFEhs")) != nil {
		return 2
	}
	files := fs.Args()
	if *pattern == "" {
		if len(files) == 0 {
			return c.usage("[-ivnclqoxwFEhs] [-e] PATTERN [FILE…]")
		}
		*pattern, files = files[0], files[1:]
	}
	re, err := regexp.Compile(grepPattern(*pattern, o.f, o.e, o.i, o.w, o.x))
	if err != nil {
		c.fail(err)
		return 2
	}
	found := false
	code := c.each(files, func(name string, r io.Reader) error {
		prefix := ""
		if len(files) > 1 && !o.h {
			prefix = name + ":"
		}
		at, count := 0, 0
		err := lines(r, func(line []byte) error {
			at++
			text := bytes.TrimSuffix(line, []byte("\n"))
			if re.Match(text) == o.v {
				return nil
			}
			found = true
			count++
			if o.q || o.l {
				return errEnough
			}
			if o.c {
				return nil
			}
			out := [][]byte{text}
			if o.o && !o.v {
				out = re.FindAll(text, -1)
			}
			for _, t := range out {
				if o.n {
					fmt.Fprintf(c.out, "%s%d:%s\n", prefix, at, t)
				} else {
					fmt.Fprintf(c.out, "%s%s\n", prefix, t)
				}
			}
			return nil
		})
		if o.c {
			fmt.Fprintf(c.out, "%s%d\n", prefix, count)
		}
		if o.l && count > 0 {
			fmt.Fprintln(c.out, name)
		}
		if errors.Is(err, errEnough) {
			return nil
		}
		return err
	})
	switch {
	case code != 0:
		return 2
	case found:
		return 0
	}
	return 1
}

// split takes letters that stand together apart ("-qF"), for the flag package.
func split(args []string, letters string) []string {
	var out []string
	for i, a := range args {
		if a == "--" || len(a) == 0 || a[0] != '-' {
			return append(out, args[i:]...)
		}
		if len(a) > 2 && strings.Trim(a[1:], letters) == "" {
			for _, l := range a[1:] {
				out = append(out, "-"+string(l))
			}
			continue
		}
		out = append(out, a)
	}
	return out
}

// grepPattern turns a basic or extended POSIX pattern, or a fixed string, into Go's.
func grepPattern(p string, fixed, extended, fold, word, whole bool) string {
	switch {
	case fixed:
		p = regexp.QuoteMeta(p)
	case !extended:
		// In a basic pattern \( \| \+ are special and ( | + are not.
		var b strings.Builder
		for i := 0; i < len(p); i++ {
			switch {
			case p[i] == '\\' && i+1 < len(p) && strings.IndexByte("(){}|+?", p[i+1]) >= 0:
				i++
				b.WriteByte(p[i])
			case p[i] == '\\' && i+1 < len(p):
				b.WriteString(p[i : i+2])
				i++
			case strings.IndexByte("(){}|+?", p[i]) >= 0:
				b.WriteByte('\\')
				b.WriteByte(p[i])
			default:
				b.WriteByte(p[i])
			}
		}
		p = b.String()
	}
	if word {
		p = `\b(?:` + p + `)\b`
	}
	if whole {
		p = `^(?:` + p + `)$`
	}
	if fold {
		p = "(?i)" + p
	}
	return p
}

// readAll reads the lines of every file, without their ends.
func (c *call) readAll(names []string) ([]string, int) {
	var all []string
	code := c.each(names, func(_ string, r io.Reader) error {
		return lines(r, func(line []byte) error {
			all = append(all, string(bytes.TrimSuffix(line, []byte("\n"))))
			return nil
		})
	})
	return all, code
}

func sortLines(c *call) int {
	fs := c.flags()
	r, n, u := fs.Bool("r", false, "reverse"), fs.Bool("n", false, "by number"), fs.Bool("u", false, "unique")
	key := fs.Int("k", 0, "by this field")
	if fs.Parse(split(c.args, "rnu")) != nil {
		return 2
	}
	all, code := c.readAll(fs.Args())
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
		fmt.Fprintln(c.out, s)
	}
	return code
}

func uniq(c *call) int {
	fs := c.flags()
	count, dup := fs.Bool("c", false, "count"), fs.Bool("d", false, "only repeated")
	if fs.Parse(c.args) != nil {
		return 2
	}
	all, code := c.readAll(fs.Args())
	for i := 0; i < len(all); {
		n := 1
		for i+n < len(all) && all[i+n] == all[i] {
			n++
		}
		switch {
		case *dup && n == 1:
		case *count:
			fmt.Fprintf(c.out, "%7d %s\n", n, all[i])
		default:
			fmt.Fprintln(c.out, all[i])
		}
		i += n
	}
	return code
}

func cut(c *call) int {
	fs := c.flags()
	delim, fields, chars := fs.String("d", "\t", "delimiter"), fs.String("f", "", "fields"), fs.String("c", "", "characters")
	if fs.Parse(glued(c.args, "dfc")) != nil || (*fields == "") == (*chars == "") {
		return c.usage("[-d DELIMITER] -f LIST | -c LIST [FILE…]")
	}
	wanted, err := ranges(*fields + *chars)
	if err != nil {
		return c.fail(err)
	}
	all, code := c.readAll(fs.Args())
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
		fmt.Fprintln(c.out, strings.Join(kept, sep))
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

func tr(c *call) int {
	fs := c.flags()
	del, squeeze := fs.Bool("d", false, "delete"), fs.Bool("s", false, "squeeze")
	if fs.Parse(c.args) != nil || fs.NArg() < 1 {
		return c.usage("[-ds] SET1 [SET2]")
	}
	from, to := charSet(fs.Arg(0)), charSet(fs.Arg(1))
	in, err := io.ReadAll(c.in)
	if err != nil {
		return c.fail(err)
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
	if _, err := c.out.Write(out); err != nil {
		return c.fail(err)
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

func tee(c *call) int {
	fs := c.flags()
	add := fs.Bool("a", false, "append")
	if fs.Parse(c.args) != nil {
		return 2
	}
	mode := os.O_TRUNC
	if *add {
		mode = os.O_APPEND
	}
	outs, code := []io.Writer{c.out}, 0
	for _, name := range fs.Args() {
		f, err := os.OpenFile(c.path(name), os.O_WRONLY|os.O_CREATE|mode, 0o666)
		if err != nil {
			code = c.fail(err)
			continue
		}
		defer func() {
			if err := f.Close(); err != nil {
				c.fail(err)
			}
		}()
		outs = append(outs, f)
	}
	if _, err := io.Copy(io.MultiWriter(outs...), c.in); err != nil {
		return c.fail(err)
	}
	return code
}

func seq(c *call) int {
	n := make([]int64, len(c.args))
	for i, a := range c.args {
		var err error
		if n[i], err = strconv.ParseInt(a, 10, 64); err != nil {
			return c.fail(fmt.Errorf("%q is no whole number", a))
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
		return c.usage("[FIRST [STEP]] LAST")
	}
	if step == 0 {
		return c.fail(errors.New("the step is zero"))
	}
	w := bufio.NewWriter(c.out)
	for i := first; step > 0 && i <= last || step < 0 && i >= last; i += step {
		if _, err := fmt.Fprintln(w, i); err != nil {
			return c.fail(err)
		}
	}
	if err := w.Flush(); err != nil {
		return c.fail(err)
	}
	return 0
}

func yes(c *call) int {
	what := "y"
	if len(c.args) > 0 {
		what = strings.Join(c.args, " ")
	}
	dieOf(nil)
	w := bufio.NewWriterSize(c.out, 32<<10)
	for {
		if _, err := fmt.Fprintln(w, what); err != nil {
			return c.fail(err)
		}
	}
}

// date knows -u and formats of the common letters.
func date(c *call) int {
	now, format := time.Now(), "%a %b %e %H:%M:%S %Z %Y"
	for _, a := range c.args {
		switch {
		case a == "-u":
			now = now.UTC()
		case strings.HasPrefix(a, "+"):
			format = a[1:]
		case a == "-Iseconds":
			format = "%Y-%m-%dT%H:%M:%S%z"
		default:
			return c.usage("[-u] [-Iseconds] [+FORMAT]")
		}
	}
	fmt.Fprintln(c.out, strftime(now, format))
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
