package image

import (
	"io"
	"slices"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// progress is the state of a running pull and the news that it has changed.
type progress struct {
	mu      sync.Mutex
	now     Progress
	news    chan struct{} // closed at the next change
	watched bool          // somebody has news
}

func newProgress() *progress { return &progress{news: make(chan struct{})} }

// get returns the state and a channel that closes when it is no longer true.
func (p *progress) get() (Progress, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now
	now.Layers = slices.Clone(now.Layers)
	p.watched = true
	return now, p.news
}

func (p *progress) change(fn func(*Progress)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn(&p.now)
	if p.watched {
		close(p.news)
		p.news, p.watched = make(chan struct{}), false
	}
}

func (p *progress) ref(ref string)       { p.change(func(now *Progress) { now.Ref = ref }) }
func (p *progress) digest(digest string) { p.change(func(now *Progress) { now.Digest = digest }) }

// layers adds the layers of an image and returns a bar for each.
func (p *progress) layers(layers []ocispec.Descriptor) []*bar {
	bars := make([]*bar, len(layers))
	p.change(func(now *Progress) {
		for i, l := range layers {
			bars[i] = &bar{progress: p, index: len(now.Layers)}
			now.Layers = append(now.Layers, LayerProgress{Digest: l.Digest.String(), State: LayerWaiting, Size: l.Size})
		}
	})
	return bars
}

// bar is one layer's part of the progress. A nil bar takes everything and shows nothing.
type bar struct {
	progress *progress
	index    int
}

// state moves the layer on; what is counted in it starts from nothing, or stands at the end when the state is an end.
func (b *bar) state(state LayerState) {
	if b == nil {
		return
	}
	b.progress.change(func(now *Progress) {
		l := &now.Layers[b.index]
		l.State, l.Done = state, 0
		if state == LayerDownloaded || state == LayerDone {
			l.Done = l.Size
		}
	})
}

func (b *bar) at(n int64) {
	if b != nil {
		b.progress.change(func(now *Progress) { now.Layers[b.index].Done = n })
	}
}

// counted is a reader that shows on a bar how far it is; it can seek when what it reads can.
type counted struct {
	io.Reader
	bar *bar
	off int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.off += int64(n)
	c.bar.at(c.off)
	return n, err
}

type countedSeeker struct {
	counted
	io.Closer
	seeker io.Seeker
}

func (c *countedSeeker) Seek(offset int64, whence int) (int64, error) {
	n, err := c.seeker.Seek(offset, whence)
	if err == nil {
		c.off = n
		c.bar.at(n)
	}
	return n, err
}
