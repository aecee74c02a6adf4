package keeper

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// The protocol's version, and the oldest that this program still speaks. A daemon is newer than its keeper or the same: it
// works with a keeper of the version before its own.
const (
	protocolVersion = 1
	protocolOldest  = 1
)

// Limits of what the keeper accepts from its daemon.
const (
	MaxKey  = 256       // bytes of a key
	MaxFDs  = 32        // descriptors of a record
	maxMsg  = 64 << 10  // bytes of a message
	maxKeys = 32 << 10  // bytes of keys in one Forget
	maxCtl  = 160 << 10 // bytes of a request on keeper.sock: it may carry an environment
)

// kind is a message's first byte.
type kind byte

// From the daemon. 4 and 7 were messages that no daemon sends any more.
const (
	kindHello    kind = 1
	kindRegister kind = 2
	kindBorn     kind = 3
	kindForget   kind = 5
	kindList     kind = 6
	kindReady    kind = 8
	kindCheck    kind = 9
	kindAdd      kind = 10
)

// From the keeper.
const (
	kindWelcome kind = 65
	kindDone    kind = 66
	kindRecord  kind = 67
	kindExited  kind = 68
)

// In the state that a keeper hands to the program that it becomes.
const (
	kindKeeper    kind = 129
	kindUnmatched kind = 130
	kindQueued    kind = 131
)

// tag names a field. After the kind a message is fields and nothing else: tag byte, length, value; lengths and numbers are
// unsigned varints. A reader skips tags that it does not know, so a field can be added without a new version, or go: 5 was bytes
// of the daemon's own in a record.
type tag byte

const (
	tagVersion tag = 1  // number
	tagOldest  tag = 2  // number
	tagSeq     tag = 3  // number: which request this answers
	tagKey     tag = 4  // text, may repeat
	tagPID     tag = 6  // number
	tagStatus  tag = 7  // number: the wait status; it is there when the process has ended
	tagAt      tag = 8  // number: nanoseconds since 1970
	tagClass   tag = 9  // text: class of an error
	tagText    tag = 10 // text
	tagFD      tag = 11 // number, may repeat: a descriptor that survives an execve (state only)
	tagArg     tag = 12 // text, may repeat (state only)
	tagEnv     tag = 13 // text, may repeat (state only)
	tagCount   tag = 14 // number (state only)
	tagDelay   tag = 15 // number: nanoseconds (state only)
	tagRaw     tag = 16 // bytes: a message as it is to be sent (state only)
)

// message is any message of the protocol, decoded. Which fields mean something depends on the kind.
type message struct {
	kind            kind
	version, oldest uint64
	seq             uint64
	keys            []string
	pid             int
	ended           bool // status and at are there
	status          uint32
	at              int64
	class, text     string
	fds             []int
	args, env       []string
	count           uint64
	delay           uint64
	raw             []byte
}

func (m *message) key() string {
	if len(m.keys) == 0 {
		return ""
	}
	return m.keys[0]
}

func (m *message) exit() *Exit {
	if !m.ended {
		return nil
	}
	return &Exit{Key: m.key(), PID: m.pid, Status: unix.WaitStatus(m.status), At: time.Unix(0, m.at)}
}

func (m *message) setExit(e *Exit) {
	if e != nil {
		m.ended, m.pid, m.status, m.at = true, e.PID, uint32(e.Status), e.At.UnixNano()
	}
}

// encode appends the message to b. Fields of their zero value are left out.
func (m *message) encode(b []byte) []byte {
	b = append(b, byte(m.kind))
	b = number(b, tagVersion, m.version)
	b = number(b, tagOldest, m.oldest)
	b = number(b, tagSeq, m.seq)
	b = texts(b, tagKey, m.keys)
	b = number(b, tagPID, uint64(m.pid))
	if m.ended {
		b = always(b, tagStatus, uint64(m.status))
		b = always(b, tagAt, uint64(m.at))
	} else {
		b = number(b, tagAt, uint64(m.at))
	}
	b = value(b, tagClass, m.class)
	b = value(b, tagText, m.text)
	for _, fd := range m.fds {
		b = always(b, tagFD, uint64(fd))
	}
	b = texts(b, tagArg, m.args)
	b = texts(b, tagEnv, m.env)
	b = number(b, tagCount, m.count)
	b = number(b, tagDelay, m.delay)
	return value(b, tagRaw, m.raw)
}

func value[T string | []byte](b []byte, t tag, v T) []byte {
	if len(v) == 0 {
		return b
	}
	b = binary.AppendUvarint(append(b, byte(t)), uint64(len(v)))
	return append(b, v...)
}

func texts(b []byte, t tag, vs []string) []byte {
	for _, v := range vs {
		b = binary.AppendUvarint(append(b, byte(t)), uint64(len(v)))
		b = append(b, v...)
	}
	return b
}

func number(b []byte, t tag, v uint64) []byte {
	if v == 0 {
		return b
	}
	return always(b, t, v)
}

func always(b []byte, t tag, v uint64) []byte {
	var n [binary.MaxVarintLen64]byte
	l := binary.PutUvarint(n[:], v)
	b = append(b, byte(t), byte(l))
	return append(b, n[:l]...)
}

var errMalformed = errors.New("malformed message")

// decode reads a message. Byte fields alias b.
func decode(b []byte) (*message, error) {
	if len(b) == 0 {
		return nil, errMalformed
	}
	m := &message{kind: kind(b[0])}
	b = b[1:]
	for len(b) > 0 {
		t := tag(b[0])
		size, n := binary.Uvarint(b[1:])
		if n <= 0 || size > uint64(len(b)-1-n) {
			return nil, errMalformed
		}
		v := b[1+n : 1+n+int(size)]
		b = b[1+n+int(size):]
		if err := m.field(t, v); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *message) field(t tag, v []byte) error {
	switch t {
	case tagKey:
		m.keys = append(m.keys, string(v))
	case tagArg:
		m.args = append(m.args, string(v))
	case tagEnv:
		m.env = append(m.env, string(v))
	case tagRaw:
		m.raw = v
	case tagClass:
		m.class = string(v)
	case tagText:
		m.text = string(v)
	case tagVersion, tagOldest, tagSeq, tagPID, tagStatus, tagAt, tagFD, tagCount, tagDelay:
		return m.number(t, v)
	}
	return nil
}

func (m *message) number(t tag, v []byte) error {
	n, l := binary.Uvarint(v)
	if l <= 0 || l != len(v) {
		return errMalformed
	}
	switch t {
	case tagVersion:
		m.version = n
	case tagOldest:
		m.oldest = n
	case tagSeq:
		m.seq = n
	case tagPID, tagFD:
		if n > 1<<30 {
			return fmt.Errorf("%w: %d is no process and no descriptor", errMalformed, n)
		}
		if t == tagPID {
			m.pid = int(n)
		} else {
			m.fds = append(m.fds, int(n))
		}
	case tagStatus:
		m.ended, m.status = true, uint32(n)
	case tagAt:
		m.at = int64(n)
	case tagCount:
		m.count = n
	case tagDelay:
		m.delay = n
	}
	return nil
}
