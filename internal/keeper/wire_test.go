package keeper

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/hull-pods/hull/internal/hulltest/golden"
)

// examples are one message of each kind. What is written here can be read by every later version.
func examples() map[string]*message {
	exit := message{ended: true, pid: 4711, status: 7 << 8, at: 1700000000123456789}
	with := func(k kind, m message) *message { m.kind = k; return &m }
	ended := func(k kind, key string) *message {
		m := exit
		m.kind = k
		if key != "" {
			m.keys = []string{key}
		}
		return &m
	}
	listed := ended(kindRecord, "c1")
	listed.seq = 6
	return map[string]*message{
		"hello":      with(kindHello, message{version: 1, oldest: 1}),
		"register":   with(kindRegister, message{seq: 1, keys: []string{"c1"}}),
		"born":       with(kindBorn, message{keys: []string{"c1"}, pid: 4711}),
		"forget":     with(kindForget, message{seq: 3, keys: []string{"c1", "c2"}}),
		"list":       with(kindList, message{seq: 6}),
		"ready":      with(kindReady, message{}),
		"check":      with(kindCheck, message{seq: 5, keys: []string{"c1"}, pid: 4711}),
		"add":        with(kindAdd, message{seq: 7, keys: []string{"c1"}}),
		"welcome":    with(kindWelcome, message{version: 1}),
		"done":       with(kindDone, message{seq: 1}),
		"done-error": with(kindDone, message{seq: 1, class: "not-found", text: "record c1: not found"}),
		"record":     with(kindRecord, message{seq: 6, keys: []string{"c1"}, pid: 4711}),
		"record-end": listed,
		"exited":     ended(kindExited, "c1"),
		"exited-0":   with(kindExited, message{keys: []string{"c1"}, pid: 9, ended: true, at: 1}),
		"state": with(kindKeeper, message{version: 1, oldest: 1, pid: 12, at: 1700000000000000000, text: "ready", class: "exited with status 1",
			fds: []int{3, 4, 7}, args: []string{"hulld", "--root", ""}, env: []string{"A=b"}, count: 2, delay: 100, keys: []string{"greeted1"}}),
		"unmatched": ended(kindUnmatched, ""),
		"queued":    with(kindQueued, message{raw: []byte{67, 3, 1, 6}, keys: []string{"c1"}}),
	}
}

func TestGolden(t *testing.T) {
	for name, m := range examples() {
		path := filepath.Join("testdata", fmt.Sprintf("v%d", protocolVersion), name+".hex")
		got := hex.Dump(m.encode(nil))
		golden.Check(t, path, got)
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decode(undump(t, string(want)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(back, m) {
			t.Errorf("%s is read as\n%+v, want\n%+v", name, back, m)
		}
	}
}

func undump(t *testing.T, dump string) []byte {
	t.Helper()
	var b []byte
	for line := range strings.Lines(dump) {
		part, err := hex.DecodeString(strings.ReplaceAll(line[10:58], " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, part...)
	}
	return b
}

func TestDecodeSkipsWhatItDoesNotKnow(t *testing.T) {
	b := (&message{kind: kindBorn, keys: []string{"c1"}, pid: 5}).encode(nil)
	b = append(b, 200, 3, 'n', 'e', 'w')
	b = append(b, 5, 2, '{', '}') // what a record once carried
	m, err := decode(b)
	if err != nil || m.key() != "c1" || m.pid != 5 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, b := range [][]byte{
		nil,
		{2, byte(tagKey)},
		{2, byte(tagKey), 5, 'x'},
		{2, byte(tagPID), 0},
		{2, byte(tagPID), 2, 1, 1},
		{2, byte(tagPID), 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
		{2, byte(tagKey), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
	} {
		if m, err := decode(b); err == nil {
			t.Errorf("decode(%x) = %+v", b, m)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range examples() {
		f.Add(m.encode(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b)
		if err != nil {
			return
		}
		first := m.encode(nil)
		again, err := decode(first)
		if err != nil {
			t.Fatalf("%x was read, and %x not: %v", b, first, err)
		}
		if second := again.encode(nil); !bytes.Equal(first, second) {
			t.Fatalf("%x became %x", first, second)
		}
	})
}

func FuzzState(f *testing.F) {
	f.Add(frame(nil, examples()["state"]))
	f.Fuzz(func(t *testing.T, b []byte) {
		ms, err := decodeState(b)
		if err == nil && (len(ms) == 0 || ms[0].kind != kindKeeper) {
			t.Fatalf("%x was taken for a state", b)
		}
	})
}
