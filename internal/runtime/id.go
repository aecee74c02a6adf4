package runtime

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
)

// newID returns 32 random hex digits.
func newID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // documented never to fail
	return hex.EncodeToString(b)
}

func validID(id string) bool {
	return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == ""
}

// Keys of the keeper's records: what a process is, by its ID.
const (
	keySandbox   = "sandbox/"
	keyContainer = "container/"
	keyExec      = "exec/" // exec/CONTAINER/SESSION
)
