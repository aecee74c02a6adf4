package birth

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/hull-pods/hull/internal/linux"
)

// What hull-init is sent is one image, little-endian, in one or more messages:
//
//	 0  header  magic: 'H', 'I', the architecture's letter, the version
//	    4       size of the image
//	    8       offset of the steps
//	   12       number of steps
//	   16       number of rules
//	   20       size of the control data that bring the descriptors: below
//	24  data    strings, structures, results; up to the steps
//	    steps   64 bytes each:
//	            0  number of the system call; all ones: none, the result is the first argument
//	            4  a bit for each argument that is not a number but the offset of 32 bits to load, sign-extended
//	            5  number of rules (8 bits), 6 the first of them (16 bits)
//	            8  offset, within the data, of the 32 bits into which the result goes
//	           12  the step's number in reports
//	           16  six arguments, 64 bits each
//	    rules   8 bytes each: a result (32 bits, -errno for an error); the step that follows then, always a later one. The
//	            step after the last one is rest.
//
// hull-init puts the image at a fixed address, so that a pointer in it needs no relocation. The descriptors' control
// messages are received one behind the other at another fixed offset, each with a header of 16 bytes and up to 253
// descriptors, so that descriptor i has a place known beforehand.
const (
	regionBase    = 0x200000 // aligned as a huge page is, and less than one long, so that the kernel never gives one for it
	regionSize    = 0x1f0000
	controlOffset = 0x1e0000 // and the limit of an image's size
	controlMax    = regionSize - controlOffset

	version    = 1
	headerSize = 24
	stepSize   = 64
	ruleSize   = 8
	noCall     = 0xffffffff

	perMessage   = 253            // descriptors in one message, the kernel's limit
	fullMessage  = 16 + 4*253 + 4 // its control data
	messageBytes = 64 << 10       // of the image in one message, well below a socket's default buffer
	argCount     = 6
)

var letters = map[linux.Arch]byte{linux.AMD64: 'x', linux.ARM64: 'a'}

type image struct {
	arch    linux.Arch
	data    []byte
	steps   []wireStep
	rules   []wireRule
	control int
}

type wireStep struct {
	nr     uint32
	loads  uint8
	rules  uint8
	first  uint16
	into   uint32
	number uint32
	args   [argCount]uint64
}

type wireRule struct {
	value int32
	to    uint32
}

// descriptorOffset is where hull-init finds the i-th descriptor.
func descriptorOffset(i int) int {
	return controlOffset + i/perMessage*fullMessage + 16 + 4*(i%perMessage)
}

// controlSize is the size of the control data for n descriptors.
func controlSize(n int) int {
	size := n / perMessage * fullMessage
	if rest := n % perMessage; rest > 0 {
		size += 16 + (4*rest+7)&^7
	}
	return size
}

// encode appends the image to b.
func (m *image) encode(b []byte) ([]byte, error) {
	le := binary.LittleEndian
	at := headerSize + len(m.data)
	size := at + stepSize*len(m.steps) + ruleSize*len(m.rules)
	if size > controlOffset {
		return b, fmt.Errorf("takes %d bytes of at most %d", size, controlOffset)
	}
	if m.control > controlMax {
		return b, errors.New("takes too many descriptors")
	}
	b = append(slices.Grow(b, size), 'H', 'I', letters[m.arch], version)
	for _, n := range []int{size, at, len(m.steps), len(m.rules), m.control} {
		b = le.AppendUint32(b, uint32(n))
	}
	b = append(b, m.data...)
	for _, s := range m.steps {
		b = le.AppendUint32(b, s.nr)
		b = append(b, s.loads, s.rules)
		b = le.AppendUint16(b, s.first)
		b = le.AppendUint32(b, s.into)
		b = le.AppendUint32(b, s.number)
		for _, a := range s.args {
			b = le.AppendUint64(b, a)
		}
	}
	for _, r := range m.rules {
		b = le.AppendUint32(b, uint32(r.value))
		b = le.AppendUint32(b, r.to)
	}
	return b, nil
}
