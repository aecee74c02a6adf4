package ui

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// Layer is one layer of a pull, as the server reports it.
type Layer struct {
	Digest string `json:"digest"`
	State  string `json:"state"` // Waiting, Downloading, Downloaded, Unpacking, Done
	Done   int64  `json:"done"`
	Size   int64  `json:"size"`
}

// Bars shows pulls: a bar for each layer on a terminal, plain lines elsewhere.
type Bars struct {
	out      io.Writer
	terminal bool

	mu   sync.Mutex
	all  *mpb.Progress
	bars map[string]*layerBar
	said map[string]string
}

// layerBar is a bar and the word before it, which the drawing goroutine reads while we may hold the lock.
type layerBar struct {
	*mpb.Bar
	word atomic.Value // string
}

// NewBars writes to out, which is looked at for being a terminal.
func NewBars(out io.Writer) *Bars {
	f, ok := out.(*os.File)
	return &Bars{out: out, terminal: ok && term.IsTerminal(int(f.Fd())), bars: map[string]*layerBar{}, said: map[string]string{}}
}

// Layers shows the state of one image's layers.
func (b *Bars) Layers(image string, layers []Layer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.said[image] == "" {
		b.said[image] = "pulling"
		b.line("pulling %s", image)
	}
	for _, l := range layers {
		if b.terminal {
			b.draw(image, l)
		} else {
			b.say(image, l)
		}
	}
}

// line prints a sentence, above the bars if there are any.
func (b *Bars) line(format string, args ...any) {
	w := b.out
	if b.all != nil {
		w = b.all
	}
	_, _ = fmt.Fprintf(w, format+"\n", args...)
}

// Close leaves the bars as they are.
func (b *Bars) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		return
	}
	for _, bar := range b.bars {
		bar.Abort(false)
	}
	b.all.Wait()
	b.all = nil
}

const (
	shortDigest = len("sha256:") + 12
	barWidth    = 64
)

func short(digest string) string {
	if len(digest) > shortDigest {
		return digest[len("sha256:"):shortDigest]
	}
	return digest
}

func (b *Bars) draw(image string, l Layer) {
	if b.all == nil {
		b.all = mpb.New(mpb.WithOutput(b.out), mpb.WithWidth(barWidth))
	}
	key := image + l.Digest
	bar := b.bars[key]
	if bar == nil {
		bar = &layerBar{}
		bar.word.Store(l.State)
		bar.Bar = b.all.AddBar(l.Size,
			mpb.PrependDecorators(decor.Name(short(l.Digest)+" "), decor.Any(func(decor.Statistics) string {
				return fmt.Sprintf("%-12s", bar.word.Load())
			})),
			mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f")))
		b.bars[key] = bar
	}
	bar.word.Store(l.State)
	if l.State == "Done" {
		bar.SetTotal(l.Size, true)
		return
	}
	bar.SetTotal(l.Size, false)
	bar.SetCurrent(l.Done)
}

// say prints a line when a layer begins to download and when it is done, not for each byte.
func (b *Bars) say(image string, l Layer) {
	key := image + l.Digest
	if b.said[key] == l.State || l.State != "Downloading" && l.State != "Done" {
		return
	}
	b.said[key] = l.State
	_, _ = fmt.Fprintf(b.out, "%s: %s: %s (%d bytes)\n", image, short(l.Digest), l.State, l.Size)
}
