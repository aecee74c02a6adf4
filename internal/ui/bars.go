package ui

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
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

// Bars shows pulls: a bar for each layer on a terminal, plain lines elsewhere. What else goes to the terminal meanwhile goes
// through Over, and appears above the bars.
type Bars struct {
	out      io.Writer
	terminal bool

	mu   sync.Mutex
	all  *mpb.Progress                   // while a pull is shown
	bars map[string]map[string]*layerBar // by image and digest, of pulls that are shown
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
	return &Bars{out: out, terminal: ok && term.IsTerminal(int(f.Fd())), bars: map[string]map[string]*layerBar{}, said: map[string]string{}}
}

// Layers shows the state of one image's layers. Nothing is said of an image all of whose layers are here already.
func (b *Bars) Layers(image string, layers []Layer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.said[image] == "" {
		if !slices.ContainsFunc(layers, func(l Layer) bool { return l.State != "Done" }) {
			return
		}
		b.said[image] = "pulling"
		b.name(image)
	}
	if b.terminal && b.bars[image] == nil {
		return // it has ended, and somebody else who waited for it tells of it too
	}
	for _, l := range layers {
		if b.terminal {
			b.draw(image, l)
		} else {
			b.say(image, l)
		}
	}
}

// End says that an image's pull has ended, well or not. Its bars stay on the screen, and are not drawn again.
func (b *Bars) End(image string, well bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, bar := range b.bars[image] {
		if well {
			bar.word.Store("Done")
			bar.SetTotal(-1, true)
		}
		bar.Abort(false)
	}
	delete(b.bars, image)
	if !well {
		delete(b.said, image) // the next try is shown too
	}
	if b.all != nil && len(b.bars) == 0 {
		b.all.Wait()
		b.all = nil
	}
}

// Close ends whatever is shown.
func (b *Bars) Close() {
	b.mu.Lock()
	images := slices.Collect(maps.Keys(b.bars))
	b.mu.Unlock()
	for _, image := range images {
		b.End(image, false)
	}
}

// name says which image is pulled: above the bars of its layers, which may stand among those of others.
func (b *Bars) name(image string) {
	text := "pulling " + image
	if !b.terminal {
		_, _ = fmt.Fprintln(b.out, text)
		return
	}
	if b.all == nil {
		b.all = mpb.New(mpb.WithOutput(b.out), mpb.WithWidth(barWidth))
	}
	title := &layerBar{Bar: b.all.New(0, mpb.NopStyle(), mpb.PrependDecorators(decor.Name(text)))}
	b.bars[image] = map[string]*layerBar{"": title}
}

// Over is w for whole lines, which go above the bars while there are any and w is a terminal too.
func (b *Bars) Over(w io.Writer) io.Writer {
	f, ok := w.(*os.File)
	if !b.terminal || !ok || !term.IsTerminal(int(f.Fd())) {
		return w
	}
	return over{b, w}
}

type over struct {
	b *Bars
	w io.Writer
}

func (o over) Write(p []byte) (int, error) {
	o.b.mu.Lock()
	defer o.b.mu.Unlock()
	if o.b.all != nil {
		return o.b.all.Write(p)
	}
	return o.w.Write(p)
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
	bar := b.bars[image][l.Digest]
	if bar == nil {
		bar = &layerBar{}
		bar.word.Store(l.State)
		// A bar that begins with a total ends by itself when that is reached, and its word would stay what it is then.
		bar.Bar = b.all.AddBar(0,
			mpb.PrependDecorators(decor.Name(short(l.Digest)+" "), decor.Any(func(decor.Statistics) string {
				return fmt.Sprintf("%-12s", bar.word.Load())
			})),
			mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f")))
		b.bars[image][l.Digest] = bar
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
