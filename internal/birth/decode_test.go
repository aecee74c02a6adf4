package birth

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// decode reads an image and refuses exactly what hull-init refuses.
func decode(b []byte) (*image, error) {
	le := binary.LittleEndian
	if len(b) < headerSize {
		return nil, errors.New("birth program: shorter than its header")
	}
	m := &image{}
	for arch, letter := range letters {
		if le.Uint32(b) == uint32('H')|uint32('I')<<8|uint32(letter)<<16|version<<24 {
			m.arch = arch
		}
	}
	size, at := uint64(le.Uint32(b[4:])), uint64(le.Uint32(b[8:]))
	steps, rules, control := uint64(le.Uint32(b[12:])), uint64(le.Uint32(b[16:])), uint64(le.Uint32(b[20:]))
	switch {
	case m.arch == "":
		return nil, errors.New("birth program: another version, or not one")
	case size > controlOffset || size != uint64(len(b)):
		return nil, fmt.Errorf("birth program: says that it has %d bytes, has %d", size, len(b))
	case control > controlMax:
		return nil, errors.New("birth program: too many descriptors")
	case at < headerSize || at+stepSize*steps+ruleSize*rules != size:
		return nil, errors.New("birth program: its parts do not make up the whole")
	}
	m.control = int(control)
	m.data = b[headerSize:at]
	r := b[at+stepSize*steps:]
	for range rules {
		m.rules = append(m.rules, wireRule{int32(le.Uint32(r)), le.Uint32(r[4:])})
		r = r[ruleSize:]
	}
	for i := range int(steps) {
		s := b[int(at)+stepSize*i:]
		w := wireStep{
			nr: le.Uint32(s), loads: s[4], rules: s[5], first: le.Uint16(s[6:]), into: le.Uint32(s[8:]), number: le.Uint32(s[12:]),
		}
		for j := range w.args {
			w.args[j] = le.Uint64(s[16+8*j:])
		}
		if err := m.check(i, w, int(steps), at); err != nil {
			return nil, err
		}
		m.steps = append(m.steps, w)
	}
	return m, nil
}

// check is what hull-init checks of each step before it makes the first call.
func (m *image) check(i int, s wireStep, steps int, at uint64) error {
	if s.loads>>argCount != 0 {
		return fmt.Errorf("birth program: step %d has more than %d arguments", i, argCount)
	}
	for j, a := range s.args {
		if s.loads>>j&1 != 0 && a > regionSize-4 {
			return fmt.Errorf("birth program: step %d loads from %#x", i, a)
		}
	}
	if s.into < headerSize || uint64(s.into)+4 > at {
		return fmt.Errorf("birth program: step %d stores to %#x", i, s.into)
	}
	if int(s.first)+int(s.rules) > len(m.rules) {
		return fmt.Errorf("birth program: step %d has rules that are not there", i)
	}
	for _, r := range m.rules[s.first : int(s.first)+int(s.rules)] {
		if r.to <= uint32(i) || r.to > uint32(steps) {
			return fmt.Errorf("birth program: step %d goes to %d", i, r.to)
		}
	}
	return nil
}
