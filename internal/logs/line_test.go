package logs

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files")

var noon = time.Date(2026, 1, 2, 12, 0, 0, 5, time.FixedZone("", 3600))

func formatted(t testing.TB, batch string, s Stream) string {
	t.Helper()
	var b bytes.Buffer
	err := format([]byte(batch), noon, s, make([]byte, 0, 2*chunk), func(p []byte) error {
		b.Write(p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestFormat(t *testing.T) {
	const stamp = "2026-01-02T11:00:00.000000005Z "
	tests := []struct{ batch, want string }{
		{"", ""},
		{"a\n", stamp + "stdout F a\n"},
		{"\n\n", stamp + "stdout F \n" + stamp + "stdout F \n"},
		{"a\r\nb", stamp + "stdout F a\r\n" + stamp + "stdout P b\n"},
		{"\x00\xff\n", stamp + "stdout F \x00\xff\n"},
	}
	for _, tt := range tests {
		if got := formatted(t, tt.batch, Stdout); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.batch, got, tt.want)
		}
	}
	// More than fits at once.
	if got := formatted(t, strings.Repeat("\n", chunk), Stderr); got != strings.Repeat(stamp+"stderr F \n", chunk) {
		t.Errorf("%d bytes", len(got))
	}
}

func TestCut(t *testing.T) {
	tests := []struct {
		in   string
		want int
	}{
		{"", 0}, {"abc", 0}, {"abc\n", 4}, {"a\nb", 2}, {"\n", 1},
		{strings.Repeat("x", chunk-1), 0}, {strings.Repeat("x", chunk), chunk}, {"\n" + strings.Repeat("x", chunk-1), 1},
	}
	for _, tt := range tests {
		if got := cut([]byte(tt.in)); got != tt.want {
			t.Errorf("cut of %d bytes: %d, want %d", len(tt.in), got, tt.want)
		}
	}
}

func TestParse(t *testing.T) {
	tests := []struct {
		line, text string
		stream     Stream
		partial    bool
		ok         bool
	}{
		{"2016-10-06T00:17:09.669794202Z stdout F hello world\n", "hello world\n", Stdout, false, true},
		{"2016-10-06T02:17:09+02:00 stderr P part\n", "part", Stderr, true, true},
		{"2016-10-06T00:17:09Z stderr F:x:y \n", "\n", Stderr, false, true},
		{"2016-10-06T00:17:09Z stderr P:x z\n", "z", Stderr, true, true},
		{"2016-10-06T00:17:09Z stderr F\n", "", "", false, false},
		{"2016-10-06T00:17:09Z stdin F x\n", "", "", false, false},
		{"yesterday stdout F x\n", "", "", false, false},
		{"\n", "", "", false, false},
		{"", "", "", false, false},
	}
	for _, tt := range tests {
		l, err := Parse([]byte(tt.line))
		if (err == nil) != tt.ok {
			t.Errorf("%q: %v", tt.line, err)
			continue
		}
		if tt.ok && (string(l.Text) != tt.text || l.Stream != tt.stream || l.Partial != tt.partial || l.Time.IsZero()) {
			t.Errorf("%q: %+v", tt.line, l)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("2016-10-06T00:17:09.669794202Z stdout F hello world\n"))
	f.Add([]byte("2016-10-06T02:17:09+02:00 stderr P:x part\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := Parse(b)
		if err != nil {
			return
		}
		if l.Stream != Stdout && l.Stream != Stderr || len(l.Text) > len(b) {
			t.Fatalf("%q: %+v", b, l)
		}
	})
}

// FuzzFormat: what a container prints is what is read, whatever it prints.
func FuzzFormat(f *testing.F) {
	f.Add([]byte("a\nb\n\nc"))
	f.Add([]byte("2016-10-06T00:17:09Z stdout F x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = b[:min(len(b), chunk)]
		var back bytes.Buffer
		for line := range bytes.Lines([]byte(formatted(t, string(b), Stderr))) {
			l, err := Parse(line)
			if err != nil || l.Stream != Stderr || !l.Time.Equal(noon) {
				t.Fatalf("%q: %+v, %v", line, l, err)
			}
			back.Write(l.Text)
		}
		if !bytes.Equal(back.Bytes(), b) {
			t.Fatalf("%q came back as %q", b, back.Bytes())
		}
	})
}

// TestRecordGolden: a record that this version wrote is one that every later version finishes.
func TestRecordGolden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record")
	r, err := openRecord(path)
	if err != nil {
		t.Fatal(err)
	}
	want := batch{stream: 1, length: 5, held: 7, at: time.Unix(0, 1700000000123456789), offset: 4096, ino: 12, dev: 34}
	r.note(want)
	r.phase.Store(written)
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "record.v1.hex") // little-endian, as both of Hull's architectures are
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(hex.Dump(b)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	dump, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(dump) != hex.Dump(b) {
		t.Errorf("the record is\n%swant\n%s", hex.Dump(b), dump)
	}
	if r, err = openRecord(path); err != nil {
		t.Fatal(err)
	}
	if got := r.batch(); got != want || r.phase.Load() != written {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
}
