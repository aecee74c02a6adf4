package ui

import "testing"

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"plain\ttext ä 漢\n":      "plain\ttext ä 漢\n",
		"\x1b]0;title\a\x1b[2Jx": `\x1b]0;title\a\x1b[2Jx`,
		"over\rwritten":          `over\rwritten`,
		"\u009b31mc1":            `\u009b31mc1`,
		"a\u202ereversed":        `a\u202ereversed`,
	} {
		if got := Printable(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
