package web

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hull-pods/hull/cmd/toolbox/call"
)

// TestServeAndFetch is a command.
func TestServeAndFetch(t *testing.T) {
	dir := t.TempDir()
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for name, body := range map[string]string{"index.html": "<p>hello</p>\n", "sub/a file.txt": "text", "large": string(large)} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{root: root, log: io.Discard}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	t.Cleanup(func() {
		if err := errors.Join(l.Close(), root.Close()); err != nil {
			t.Error(err)
		}
	})
	url := "http://" + l.Addr().String()
	for _, c := range []struct {
		path, want, fails string
	}{
		{"/", "<p>hello</p>\n", ""},
		{"", "<p>hello</p>\n", ""},
		{"/index.html?x=y", "<p>hello</p>\n", ""},
		{"/sub", "<pre>\n<a href=\"./a%20file.txt\">a file.txt</a>\n</pre>\n", ""},
		{"/sub/a%20file.txt", "text", ""},
		{"/large", string(large), ""},
		{"/nope", "", "404 Not Found"},
		{"/../../../../etc/passwd", "", "404 Not Found"},
		{"/%2e%2e/%2e%2e/etc/passwd", "", "404 Not Found"},
		{"/out", "", "404 Not Found"},
	} {
		var out, errs bytes.Buffer
		code := Wget(&call.Call{Context: t.Context(), Name: "wget", Args: []string{"-qO-", url + c.path}, Out: &out, Err: &errs})
		if out.String() != c.want || (code != 0) != (c.fails != "") || !strings.Contains(errs.String(), c.fails) {
			t.Errorf("%q: %d bytes %.80q, exit code %d, %s", c.path, out.Len(), out.String(), code, errs.String())
		}
	}
	if code := Wget(&call.Call{Context: t.Context(), Name: "wget", Args: []string{url + "/sub/a%20file.txt", "-q"}, Dir: dir, Out: io.Discard, Err: t.Output()}); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "a file.txt")); err != nil || string(b) != "text" {
		t.Errorf("saved %q, %v", b, err)
	}
}

// TestRawRequests is a command.
func TestRawRequests(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := root.WriteFile("f", []byte("body"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := &server{root: root, log: io.Discard}
	for _, c := range []struct{ in, want string }{
		{"GET /f HTTP/1.1\r\nHost: x\r\n\r\nGET /f HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "200 200 end"},
		{"GET /f HTTP/1.0\r\n\r\n", "200 end"},
		{"HEAD /f HTTP/1.1\r\nConnection: close\r\n\r\n", "200 end"},
		{"POST /f HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "405 end"},
		{"nonsense\r\n\r\n", "400 end"},
		{"GET f HTTP/1.1\r\n\r\n", "400 end"},
		{"GET / HTTP/1.1\r\nX: " + strings.Repeat("y", maxHead) + "\r\n\r\n", "400 end"},
	} {
		ours, theirs := net.Pipe()
		go s.serve(theirs)
		go func() { _, _ = io.WriteString(ours, c.in) }()
		b, err := io.ReadAll(ours)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, "HTTP/1.1 "); ok {
				got += rest[:3] + " "
			}
			if rest, ok := strings.CutPrefix(line, "bodyHTTP/1.1 "); ok {
				got += rest[:3] + " "
			}
		}
		if got+"end" != c.want {
			t.Errorf("%.60q: %q, want %q\n%s", c.in, got+"end", c.want, b)
		}
	}
}

// TestChunkedBody is a command.
func TestChunkedBody(t *testing.T) {
	for in, want := range map[string]string{
		"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n": "abcde",
		"3\r\nab":                              "ab!",
		"zz\r\n":                               "!",
	} {
		b, err := io.ReadAll(&chunks{r: bufio.NewReader(strings.NewReader(in))})
		got := string(b)
		if err != nil {
			got += "!"
		}
		if got != want {
			t.Errorf("%q: %q (%v), want %q", in, got, err, want)
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	f.Add("HEAD /%2e%2e/x HTTP/1.0\r\n\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		req, err := readRequest(textproto.NewReader(bufio.NewReader(strings.NewReader(in))))
		if err == nil && !strings.HasPrefix(req.path, "/") {
			t.Errorf("%q asks for %q", in, req.path)
		}
	})
}

func FuzzChunks(f *testing.F) {
	f.Add("3\r\nabc\r\n0\r\n\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		b, _ := io.ReadAll(&chunks{r: bufio.NewReader(strings.NewReader(in))})
		if len(b) > len(in) {
			t.Errorf("%d bytes of %d", len(b), len(in))
		}
	})
}
