package logs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// record is what the next daemon needs to finish a batch. It lies in a mapped file, 64 bytes in the byte order of the
// machine, so that noting something is a few stores and no system call:
//
//	 0  version of this layout
//	 4  phase
//	 8  stream: 0 stdout, 1 stderr
//	12  length of the batch in the in-flight pipe
//	16  time of the batch, nanoseconds since 1970
//	24  offset in the file
//	32  inode of the file
//	40  device of the file
//	48  bytes in the in-flight pipe, the batch included
type record struct {
	b     []byte
	phase *atomic.Uint32
}

const (
	recordVersion = 1
	recordSize    = 64
)

// The phases of a batch.
const (
	idle    = 0
	noted   = 1
	written = 2
)

// batch is what a record says of one.
type batch struct {
	stream   int
	length   int
	held     int // bytes in the in-flight pipe
	at       time.Time
	offset   int64
	ino, dev uint64
}

// openRecord maps the record at path, and makes it if it is not there. The descriptor is not kept.
func openRecord(path string) (*record, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the record of a log: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("stat the record of a log: %w", err)
	}
	if st.Size() < recordSize {
		// Room for it now: to touch a mapped page that a full file system has none for is death.
		if _, err := f.Write(make([]byte, recordSize)); err != nil {
			return nil, fmt.Errorf("make room for %s: %w", path, err)
		}
	}
	b, err := unix.Mmap(int(f.Fd()), 0, recordSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	r := &record{b: b, phase: linux.Atomic32(b[4:])}
	version := linux.Atomic32(b)
	if v := version.Load(); v != recordVersion && v != 0 || r.phase.Load() > written ||
		binary.NativeEndian.Uint32(b[8:]) > 1 || binary.NativeEndian.Uint32(b[12:]) > chunk {
		return nil, errors.Join(fmt.Errorf("%s is not the record of a log that this version knows", path), r.close())
	}
	version.Store(recordVersion)
	return r, nil
}

func (r *record) close() error {
	if r.b == nil {
		return nil
	}
	err := unix.Munmap(r.b)
	r.b = nil
	return err
}

// note writes the batch down before its phase.
func (r *record) note(b batch) {
	e := binary.NativeEndian
	e.PutUint32(r.b[8:], uint32(b.stream))
	e.PutUint32(r.b[12:], uint32(b.length))
	e.PutUint64(r.b[48:], uint64(b.held))
	e.PutUint64(r.b[16:], uint64(b.at.UnixNano()))
	e.PutUint64(r.b[24:], uint64(b.offset))
	e.PutUint64(r.b[32:], b.ino)
	e.PutUint64(r.b[40:], b.dev)
	r.phase.Store(noted)
}

func (r *record) batch() batch {
	e := binary.NativeEndian
	return batch{
		stream: int(e.Uint32(r.b[8:])),
		length: int(e.Uint32(r.b[12:])),
		held:   int(e.Uint64(r.b[48:])),
		at:     time.Unix(0, int64(e.Uint64(r.b[16:]))),
		offset: int64(e.Uint64(r.b[24:])),
		ino:    e.Uint64(r.b[32:]),
		dev:    e.Uint64(r.b[40:]),
	}
}
