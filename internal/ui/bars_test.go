package ui

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/hull-pods/hull/internal/hulltest"
)

// terminal is a terminal of 100 columns: what it has been sent is what the function returns, which closes it.
func terminal(t *testing.T) (*os.File, func() string) {
	t.Helper()
	person, tty := hulltest.Terminal(t, 100)
	read := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(person) // EIO is its end
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
