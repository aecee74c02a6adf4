package ui

import (
	"strconv"
	"strings"
	"unicode"
)

// Printable shows the control characters of a text, but for tabs and the ends of lines. A container's last words, or a name in an
// image, would otherwise speak to the user's terminal: clear it, write what is not so, or worse.
func Printable(text string) string {
	if strings.IndexFunc(text, hidden) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if !hidden(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

// hidden tells control characters, and those that change the direction of the text around them.
func hidden(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r)
}
