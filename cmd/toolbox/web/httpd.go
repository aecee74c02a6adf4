// Package web is the toolbox's network: a server of files, a fetcher, a pipe over TCP and UDP, and name look-ups.
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
	"sort"
	"strings"
	"time"

	"github.com/hull-pods/hull/cmd/toolbox/call"
)

// The standard library's HTTP is not used here: it doubles the binary and costs a third of the start of every command in it.
// What is left out: TLS, ranges, conditions, compression.

const (
	idle       = 60 * time.Second // how long a connection may wait for its next request
	maxHead    = 64 << 10
	serverName = "Hull toolbox"
)

// Httpd serves a directory over HTTP/1.1: `httpd [-f] [-v] [-p [ADDRESS:]PORT] [-h DIR]`. It always stays in the foreground.
func Httpd(c *call.Call) int {
	fs := c.Flags()
	fs.Bool("f", false, "stay in the foreground")
	verbose := fs.Bool("v", false, "say each request")
	port, dir := fs.String("p", "80", "port, or address:port"), fs.String("h", ".", "directory")
	if fs.Parse(call.Split(c.Args, "fv")) != nil || fs.NArg() > 0 {
		return c.Usage("[-f] [-v] [-p [ADDRESS:]PORT] [-h DIR]")
	}
	c.DieOf(nil)
	addr := *port
	if !strings.Contains(addr, ":") {
		addr = ":" + addr
	}
	root, err := os.OpenRoot(*dir)
	if err != nil {
		return c.Fail(err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return c.Fail(err)
	}
	s := &server{root: root, log: io.Discard}
	if *verbose {
		s.log = c.Err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return c.Fail(err)
		}
		go s.serve(conn)
	}
}

type server struct {
	root *os.Root
	log  io.Writer
}

// request is the head of a request.
type request struct {
	method, path string
	keep         bool
}

// serve answers the requests of one connection until one side ends it.
func (s *server) serve(conn net.Conn) {
	defer conn.Close() //nolint:errcheck // the other side sees it, or is gone
	w := bufio.NewWriter(conn)
	head := &io.LimitedReader{R: conn}
	r := bufio.NewReader(head)
	for {
		head.N = maxHead
		if conn.SetDeadline(time.Now().Add(idle)) != nil {
			return
		}
		req, err := readRequest(textproto.NewReader(r))
		if err != nil {
			if !errors.Is(err, io.EOF) {
				answer(w, request{}, 400, "text/plain", []byte(err.Error()+"\n"))
				_ = w.Flush()
			}
			return
		}
		fmt.Fprintf(s.log, "%s %s %s\n", conn.RemoteAddr(), req.method, req.path)
		if conn.SetDeadline(time.Time{}) != nil { // a large file may take its time
			return
		}
		s.answer(w, req)
		if w.Flush() != nil || !req.keep {
			return
		}
	}
}

func readRequest(r *textproto.Reader) (request, error) {
	line, err := r.ReadLine()
	if err != nil {
		return request{}, err
	}
	f := strings.Fields(line)
	if len(f) != 3 || !strings.HasPrefix(f[2], "HTTP/1.") {
		return request{}, errors.New("bad request line")
	}
	header, err := r.ReadMIMEHeader()
	if err != nil {
		return request{}, fmt.Errorf("bad header: %v", err)
	}
	u, err := url.ParseRequestURI(f[1])
	if err != nil || !strings.HasPrefix(u.Path, "/") {
		return request{}, errors.New("bad address")
	}
	body := header.Get("Content-Length") != "" && header.Get("Content-Length") != "0" || header.Get("Transfer-Encoding") != ""
	connection := strings.ToLower(header.Get("Connection"))
	keep := f[2] == "HTTP/1.1" && connection != "close" || connection == "keep-alive"
	return request{method: f[0], path: u.Path, keep: keep && !body}, nil // a body is not read: the connection ends
}

var statusText = map[int]string{200: "OK", 301: "Moved Permanently", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 500: "Internal Server Error"}

// answer writes a whole answer of these bytes.
func answer(w *bufio.Writer, req request, code int, kind string, body []byte, extra ...string) {
	writeHead(w, req, code, kind, int64(len(body)), extra...)
	if req.method != "HEAD" {
		_, _ = w.Write(body)
	}
}

func writeHead(w *bufio.Writer, req request, code int, kind string, size int64, extra ...string) {
	fmt.Fprintf(w, "HTTP/1.1 %d %s\r\nServer: %s\r\nDate: %s\r\n", code, statusText[code], serverName, time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
	fmt.Fprintf(w, "Content-Type: %s\r\nContent-Length: %d\r\n", kind, size)
	if !req.keep {
		extra = append(extra, "Connection: close")
	}
	for _, e := range extra {
		fmt.Fprintf(w, "%s\r\n", e)
	}
	_, _ = w.WriteString("\r\n")
}

func (s *server) answer(w *bufio.Writer, req request) {
	if req.method != "GET" && req.method != "HEAD" {
		answer(w, req, 405, "text/plain", []byte("405 method not allowed\n"), "Allow: GET, HEAD")
		return
	}
	name := strings.TrimPrefix(path.Clean(req.path), "/")
	if name == "" {
		name = "."
	}
	f, err := s.root.Open(name) // never out of the directory, links included
	if err != nil {
		notFound(w, req, err)
		return
	}
	defer f.Close() //nolint:errcheck // opened for reading
	fi, err := f.Stat()
	if err != nil {
		notFound(w, req, err)
		return
	}
	if !fi.IsDir() {
		sendFile(w, req, f, fi)
		return
	}
	if !strings.HasSuffix(req.path, "/") {
		answer(w, req, 301, "text/plain", nil, "Location: "+(&url.URL{Path: path.Clean(req.path) + "/"}).EscapedPath())
		return
	}
	if index, err := s.root.Open(path.Join(name, "index.html")); err == nil {
		defer index.Close() //nolint:errcheck // opened for reading
		if fi, err := index.Stat(); err == nil && fi.Mode().IsRegular() {
			sendFile(w, req, index, fi)
			return
		}
	}
	sendList(w, req, f)
}

func notFound(w *bufio.Writer, req request, err error) {
	if errors.Is(err, os.ErrPermission) {
		answer(w, req, 403, "text/plain", []byte("403 forbidden\n"))
		return
	}
	answer(w, req, 404, "text/plain", []byte("404 page not found\n"))
}

func sendFile(w *bufio.Writer, req request, f *os.File, fi os.FileInfo) {
	if !fi.Mode().IsRegular() {
		answer(w, req, 403, "text/plain", []byte("403 forbidden\n"))
		return
	}
	writeHead(w, req, 200, kindByName(fi.Name()), fi.Size(), "Last-Modified: "+fi.ModTime().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
	if req.method != "HEAD" {
		_, _ = io.CopyN(w, f, fi.Size()) // a file that shrinks meanwhile ends the connection short, which the client sees
	}
}

func kindByName(name string) string {
	switch path.Ext(name) {
	case ".html", ".htm":
		return "text/html; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".json":
		return "application/json"
	case ".txt", ".log", ".md", "":
		return "text/plain; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	}
	return "application/octet-stream"
}

func sendList(w *bufio.Writer, req request, dir *os.File) {
	entries, err := dir.ReadDir(-1)
	if err != nil {
		answer(w, req, 500, "text/plain", []byte("500 "+err.Error()+"\n"))
		return
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name() < entries[j].Name() })
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;")
	var b strings.Builder
	b.WriteString("<pre>\n")
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() {
			name += "/"
		}
		fmt.Fprintf(&b, "<a href=\"%s\">%s</a>\n", (&url.URL{Path: "./" + name}).EscapedPath(), escape.Replace(name))
	}
	b.WriteString("</pre>\n")
	answer(w, req, 200, "text/html; charset=utf-8", []byte(b.String()))
}
