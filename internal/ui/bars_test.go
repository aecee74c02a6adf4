package ui

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is a terminal of 100 columns: what it has been sent is what the function returns, which closes it.
func terminal(t *testing.T) (*os.File, func() string) {
	t.Helper()
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminals here:", err)
	}
	t.Cleanup(func() { _ = pty.Close() })
	fd := int(pty.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 100}); err != nil {
		t.Fatal(err)
	}
	read := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(pty) // EIO is its end
		read <- string(all)
	}()
	return tty, func() string {
		_ = tty.Close()
		return <-read
	}
}

// TestBarsOfTwo pulls two images that share a layer: each one's name is above its own bars.
func TestBarsOfTwo(t *testing.T) {
	tty, shown := terminal(t)
	b := NewBars(tty)
	shared := Layer{Digest: "sha256:aaaaaaaaaaaaaaaa", State: "Downloading", Size: 1000}
	own := Layer{Digest: "sha256:bbbbbbbbbbbbbbbb", State: "Downloading", Size: 1000}
	b.Layers("one", []Layer{shared})
	b.Layers("two", []Layer{shared, own})
	shared.State, own.State = "Done", "Done"
	b.Layers("one", []Layer{shared})
	b.End("one", true)
	b.Layers("one", []Layer{shared}) // another Pod's wait for the same image
	b.End("one", true)
	b.Layers("two", []Layer{shared, own})
	b.End("two", false)
	own.State = "Downloading"
	b.Layers("two", []Layer{own}) // the next try
	b.Close()
	text := shown()
	var words []string // the first that means something, line by line
	for line := range strings.Lines(text) {
		for _, word := range []string{"pulling one", "pulling two", "aaaaaaaaaaaa", "bbbbbbbbbbbb"} {
			if strings.Contains(line, word) {
				words = append(words, word)
			}
		}
	}
	all := strings.Join(words, ",")
	if want := "pulling one,aaaaaaaaaaaa,pulling two,aaaaaaaaaaaa,bbbbbbbbbbbb"; !strings.Contains(all, want) {
		t.Errorf("no screen shows %s:\n%q", want, text)
	}
	if !strings.HasSuffix(all, "bbbbbbbbbbbb,pulling two,bbbbbbbbbbbb") {
		t.Errorf("the next try is not shown:\n%q", text)
	}
}
