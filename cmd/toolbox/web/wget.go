package web

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/hull-pods/hull/cmd/toolbox/call"
)

// Wget fetches one address: `wget [-q] [-S] [-O FILE] [-T SECONDS] [--spider] [--header H]… [--post-data D] URL`.
func Wget(c *call.Call) int {
	fs := c.Flags()
	var o fetching
	fs.BoolVar(&o.quiet, "q", false, "say nothing")
	fs.BoolVar(&o.headers, "S", false, "show the answer's head")
	fs.BoolVar(&o.spider, "spider", false, "only ask whether it is there")
	fs.StringVar(&o.out, "O", "", "file, or - for standard output")
	fs.StringVar(&o.post, "post-data", "", "body to post")
	seconds := fs.Float64("T", 0, "seconds to wait for the whole answer")
	fs.Func("header", "header to send", func(s string) error {
		if !strings.Contains(s, ":") || strings.ContainsAny(s, "\r\n") {
			return errors.New("want NAME: VALUE")
		}
		o.send = append(o.send, s)
		return nil
	})
	if fs.Parse(wgetArgs(c.Args)) != nil || fs.NArg() != 1 {
		return c.Usage("[-qS] [-O FILE] [-T SECONDS] [--spider] [--header HEADER] [--post-data DATA] URL")
	}
	c.DieOf(nil)
	if *seconds > 0 {
		o.deadline = time.Now().Add(time.Duration(*seconds * float64(time.Second)))
	}
	target := fs.Arg(0)
	if !strings.Contains(target, "://") {
		target = "http://" + target
	}
	if err := o.fetch(c, target); err != nil {
		return c.Fail(err)
	}
	return 0
}

// wgetArgs takes apart what people glue together (-qO-, -T5) and puts options before the address.
func wgetArgs(args []string) []string {
	var options, rest []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		if len(a) < 2 || a[0] != '-' {
			rest = append(rest, a)
			continue
		}
		if a[1] == '-' {
			options = append(options, a)
			if !strings.Contains(a, "=") && a != "--spider" && i+1 < len(args) {
				i++
				options = append(options, args[i])
			}
			continue
		}
		for j := 1; j < len(a); j++ {
			options = append(options, "-"+a[j:j+1])
			if strings.IndexByte("OT", a[j]) < 0 {
				continue
			}
			if j+1 < len(a) {
				options = append(options, a[j+1:])
			} else if i+1 < len(args) {
				i++
				options = append(options, args[i])
			}
			break
		}
	}
	return append(options, rest...)
}

type fetching struct {
	quiet, headers, spider bool
	out, post              string
	send                   []string
	deadline               time.Time
}

const maxRedirects = 10

func (o *fetching) fetch(c *call.Call, target string) error {
	for range maxRedirects {
		u, err := url.Parse(target)
		if err != nil {
			return err
		}
		if u.Scheme != "http" {
			return fmt.Errorf("%s: only http is spoken here", target)
		}
		next, err := o.once(c, u)
		if err != nil || next == "" {
			return err
		}
		to, err := u.Parse(next)
		if err != nil {
			return err
		}
		target = to.String()
	}
	return errors.New("too many redirections")
}

// once asks one server, and returns where it says to go instead.
func (o *fetching) once(c *call.Call, u *url.URL) (_ string, err error) {
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "80")
	}
	conn, err := (&net.Dialer{Deadline: o.deadline}).Dial("tcp", host)
	if err != nil {
		return "", fmt.Errorf("can't connect to remote host: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.SetDeadline(o.deadline); err != nil {
		return "", err
	}
	if err := o.ask(conn, u); err != nil {
		return "", err
	}
	r := textproto.NewReader(bufio.NewReader(conn))
	code, header, err := o.head(c, r)
	if err != nil {
		return "", err
	}
	if to := header.Get("Location"); code/100 == 3 && to != "" {
		return to, nil
	}
	if o.spider {
		if !o.quiet {
			fmt.Fprintln(c.Err, "remote file exists")
		}
		return "", nil
	}
	body, err := bodyOf(r.R, header)
	if err != nil {
		return "", err
	}
	return "", o.save(c, u, body)
}

// ask writes the request.
func (o *fetching) ask(w io.Writer, u *url.URL) error {
	method := "GET"
	switch {
	case o.spider:
		method = "HEAD"
	case o.post != "":
		method = "POST"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: wget (%s)\r\nAccept: */*\r\nConnection: close\r\n", method, u.RequestURI(), u.Host, serverName)
	if o.post != "" {
		fmt.Fprintf(&b, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n", len(o.post))
	}
	for _, h := range o.send {
		fmt.Fprintf(&b, "%s\r\n", h)
	}
	_, err := io.WriteString(w, b.String()+"\r\n"+o.post)
	return err
}

// head reads the answer's head; a code of 400 and above is an error.
func (o *fetching) head(c *call.Call, r *textproto.Reader) (int, textproto.MIMEHeader, error) {
	for {
		line, err := r.ReadLine()
		if err != nil {
			return 0, nil, fmt.Errorf("no answer: %w", err)
		}
		proto, rest, _ := strings.Cut(line, " ")
		number, _, _ := strings.Cut(rest, " ")
		code, err := strconv.Atoi(number)
		if err != nil || !strings.HasPrefix(proto, "HTTP/1.") {
			return 0, nil, fmt.Errorf("no HTTP answer: %q", line)
		}
		header, err := r.ReadMIMEHeader()
		if err != nil {
			return 0, nil, fmt.Errorf("bad answer: %w", err)
		}
		if o.headers {
			fmt.Fprintf(c.Err, "  %s\n", line)
			for k, vs := range header {
				for _, v := range vs {
					fmt.Fprintf(c.Err, "  %s: %s\n", k, v)
				}
			}
		}
		switch {
		case code/100 == 1: // says that more comes
			continue
		case code >= 400:
			return 0, nil, fmt.Errorf("server returned error: %s", line)
		}
		return code, header, nil
	}
}

// bodyOf reads a body as the head says that it comes: in chunks, of a known length, or until the connection ends.
func bodyOf(r *bufio.Reader, header textproto.MIMEHeader) (io.Reader, error) {
	if strings.EqualFold(header.Get("Transfer-Encoding"), "chunked") {
		return &chunks{r: r}, nil
	}
	if l := header.Get("Content-Length"); l != "" {
		n, err := strconv.ParseInt(l, 10, 64)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("bad length %q", l)
		}
		return &exactly{r: r, left: n}, nil
	}
	return r, nil
}

// exactly is a reader of so many bytes; fewer are an error.
type exactly struct {
	r    io.Reader
	left int64
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	if e.left -= int64(n); errors.Is(err, io.EOF) && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// chunks reads the chunked coding of HTTP/1.1.
type chunks struct {
	r    *bufio.Reader
	left int64
	end  bool
}

func (c *chunks) Read(p []byte) (int, error) {
	for c.left == 0 {
		if c.end {
			return 0, io.EOF
		}
		line, err := textproto.NewReader(c.r).ReadLine()
		if err != nil {
			return 0, io.ErrUnexpectedEOF
		}
		if line == "" { // the end of the chunk before
			continue
		}
		size, _, _ := strings.Cut(line, ";")
		if c.left, err = strconv.ParseInt(strings.TrimSpace(size), 16, 63); err != nil || c.left < 0 {
			return 0, fmt.Errorf("bad chunk %q", line)
		}
		c.end = c.left == 0
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (o *fetching) save(c *call.Call, u *url.URL, body io.Reader) error {
	if o.out == "-" {
		_, err := io.Copy(c.Out, body)
		return err
	}
	name := o.out
	if name == "" {
		if name = path.Base(u.Path); name == "/" || name == "." {
			name = "index.html"
		}
	}
	f, err := os.Create(c.Path(name))
	if err != nil {
		return err
	}
	n, err := io.Copy(f, body)
	if err = errors.Join(err, f.Close()); err == nil && !o.quiet {
		fmt.Fprintf(c.Err, "%q saved, %d bytes\n", name, n)
	}
	return err
}
