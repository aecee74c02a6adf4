package rtnl

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
)

func TestErrorsSayWhatWasAskedAndWhy(t *testing.T) {
	hulltest.NeedRoot(t)
	c, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	bad := New(unix.RTM_NEWROUTE, Create, parts{{unix.AF_INET, 0, 0, 0}}.data(), "add a route that has no body")
	if err := c.Do(bad); !errors.Is(err, unix.EINVAL) || !strings.HasPrefix(err.Error(), "add a route that has no body: ") {
		t.Errorf("error %v", err)
	}
	// Since 4.12 the kernel adds a sentence to some.
	worse := New(unix.RTM_NEWLINK, Create, parts{make(part, unix.SizeofIfInfomsg)}.data(), "make nothing")
	if err := c.DoAll([]Message{LinkByName("lo"), worse}); err == nil || !strings.HasPrefix(err.Error(), "make nothing: ") {
		t.Errorf("error %v", err)
	}
	// What is refused in the middle of a batch is told by its own name, and nothing of the batch is taken for the next answer.
	if err := c.DoAll([]Message{LinkUp(1, "lo"), bad, worse, LinkUp(1, "lo")}); !errors.Is(err, unix.EINVAL) || !strings.HasPrefix(err.Error(), "add a route") {
		t.Errorf("error %v", err)
	}
	if err := c.DoAll([]Message{LinkUp(1, "lo"), LinkUp(1, "lo")}); err != nil {
		t.Errorf("error %v", err)
	}
	if _, err := c.Link(LinkByIndex(1 << 30)); !errors.Is(err, unix.ENODEV) {
		t.Errorf("a link that is not: %v", err)
	}
	lo, err := c.Link(LinkByName("lo"))
	if err != nil || lo.Index != 1 || lo.Name != "lo" {
		t.Errorf("lo: %+v, %v", lo, err)
	}
	links, err := c.Links()
	if err != nil || !slices.Contains(links, lo) {
		t.Errorf("links %+v, %v; want lo among them", links, err)
	}
}

func TestPoolWaitsForWhatIsLent(t *testing.T) {
	hulltest.NeedRoot(t)
	p, err := NewPool()
	if err != nil {
		t.Fatal(err)
	}
	lent, back, used := make(chan *Conn), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(used)
		_ = p.Use(func(c *Conn) error {
			lent <- c
			<-back
			return nil
		})
	}()
	c := <-lent
	go close(back)
	p.Close()
	<-used
	if err := c.Do(LinkUp(1, "lo")); !errors.Is(err, unix.EBADF) {
		t.Errorf("a socket that was lent is open after Close: %v", err)
	}
}

func TestAnswersCutShortAreErrors(t *testing.T) {
	c := &Conn{first: 7, seq: 7}
	answer := New(unix.NLMSG_ERROR, 0, nil, "").append(nil, 0, 7)
	for name, b := range map[string][]byte{
		"header says more": func() []byte { b := slices.Clone(answer); b[0] = 200; return b }(),
		"header says less": func() []byte { b := slices.Clone(answer); b[0] = 3; return b }(),
		"no errno":         answer,
	} {
		if _, done, err := c.answers(b, nil); !done || err == nil {
			t.Errorf("%s: done %v, error %v", name, done, err)
		}
	}
	if _, done, err := c.answers(New(unix.NLMSG_ERROR, 0, parts{{1, 2, 3, 4}}.data(), "").append(nil, 0, 6), nil); done || err != nil {
		t.Errorf("an answer to an earlier request: done %v, error %v", done, err)
	}
	if _, done, err := c.answers(New(unix.NLMSG_DONE, 0, parts{{0xf0, 0xff, 0xff, 0xff}}.data(), "").append(nil, 0, 7), nil); !done || !errors.Is(err, unix.EBUSY) {
		t.Errorf("a list that ends in an error: done %v, error %v", done, err)
	}
	if _, done, err := c.answers(New(unix.RTM_NEWLINK, unix.NLM_F_DUMP_INTR, nil, "").append(nil, 0, 7), nil); !done || !errors.Is(err, errInterrupted) {
		t.Errorf("a list that changed: done %v, error %v", done, err)
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add(New(unix.NLMSG_ERROR, unix.NLM_F_ACK_TLVS, parts{make(part, 40)}.data(), "").append(nil, 0, 0))
	f.Fuzz(func(_ *testing.T, b []byte) {
		c := &Conn{}
		_, _, _ = c.answers(b, func(_ uint16, body []byte) {
			parseLink(body)
			parseRoute(body)
		})
		(&Watcher{waiting: map[int32]chan struct{}{}}).events(b)
	})
}

func TestSocketsOfAnotherNamespace(t *testing.T) {
	hulltest.NeedRoot(t)
	own, err := os.Open("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = own.Close() }()
	c, err := OpenAt(own)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	if _, err := OpenAt(null); err == nil {
		t.Error("a socket in what is no namespace")
	}
}

type part []byte

type parts []part

func (p parts) data() []nl.NetlinkRequestData {
	var all []nl.NetlinkRequestData
	for _, b := range p {
		all = append(all, Raw(b))
	}
	return all
}
