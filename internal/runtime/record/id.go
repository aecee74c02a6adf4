package record

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
)

// NewID returns 32 random hex digits.
func NewID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // documented never to fail
	return hex.EncodeToString(b)
}

func validID(id string) bool {
	return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == ""
}

// Keys of the keeper's records: what a process is, by its ID.
const (
	KeySandbox   = "sandbox/"
	KeyContainer = "container/"
	KeyExec      = "exec/" // exec/CONTAINER/SESSION
)
