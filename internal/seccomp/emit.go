package seccomp

import (
	"math"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/oci"
)

// Offsets in the kernel's struct seccomp_data.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// Instructions.
const (
	opLoad     = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	opAnd      = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	opReturn   = unix.BPF_RET | unix.BPF_K
	opJump     = unix.BPF_JMP | unix.BPF_JA
	opJumpEq   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	opJumpGt   = unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K
	opJumpGe   = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
	jumpReach  = 255 // of a conditional jump
	wordBytes  = 4
	valueBytes = 8
)

// label is the place of an instruction, counted from the program's end.
type label int

// assembler writes a program from its end to its start, so that what is jumped to is always there already.
type assembler struct {
	code   []unix.SockFilter // reversed
	ret    map[uint32]label  // the latest return of each action
	blocks []block
}

// block is the code of an outcome that compares arguments.
type block struct {
	outcome
	at label
}

func (a *assembler) emit(op uint16, k uint32, jt, jf uint8) label {
	a.code = append(a.code, unix.SockFilter{Code: op, Jt: jt, Jf: jf, K: k})
	return label(len(a.code) - 1)
}

// distance is what the next instruction must skip to reach l.
func (a *assembler) distance(l label) int { return len(a.code) - 1 - int(l) }

func (a *assembler) returns(action uint32) label {
	if l, ok := a.ret[action]; ok {
		return l
	}
	l := a.emit(opReturn, action, 0, 0)
	a.ret[action] = l
	return l
}

// near is a place nearby that leads to l: the return itself once more, or a jump.
func (a *assembler) near(l label) label {
	if at := a.code[l]; at.Code == opReturn {
		l = a.emit(opReturn, at.K, 0, 0)
		a.ret[at.K] = l
		return l
	}
	return a.emit(opJump, uint32(a.distance(l)), 0, 0)
}

// then writes an instruction that is followed by what is at l.
func (a *assembler) then(op uint16, k uint32, l label) label {
	if a.distance(l) != 0 {
		a.near(l)
	}
	return a.emit(op, k, 0, 0)
}

// branch compares and goes to yes or no.
func (a *assembler) branch(op uint16, k uint32, yes, no label) label {
	if yes == no {
		return yes
	}
	for a.distance(yes) > jumpReach || a.distance(no) > jumpReach {
		if a.distance(yes) > jumpReach {
			yes = a.near(yes)
		} else {
			no = a.near(no)
		}
	}
	return a.emit(op, k, uint8(a.distance(yes)), uint8(a.distance(no)))
}

// tree finds the last of the rising starts that is not above the loaded word, and goes to its label. The first is 0.
func (a *assembler) tree(starts []uint32, labels []label) label {
	return a.subtree(starts, labels, math.MaxUint32+1)
}

// subtree is a tree for the words below end.
func (a *assembler) subtree(starts []uint32, labels []label, end uint64) label {
	if len(starts) == 1 {
		return labels[0]
	}
	if rest, single, ok := singles(starts, labels, end); ok {
		at := rest
		for _, i := range slices.Backward(single) {
			at = a.branch(opJumpEq, starts[i], labels[i], at)
		}
		return at
	}
	mid := len(starts) / 2
	upper := a.subtree(starts[mid:], labels[mid:], end)
	lower := a.subtree(starts[:mid], labels[:mid], uint64(starts[mid]))
	return a.branch(opJumpGe, starts[mid], upper, lower)
}

// maxSingles is how many words are asked for one after the other.
const maxSingles = 3

// singles tells whether all but a few single words go to one label: those cost one comparison each instead of two.
func singles(starts []uint32, labels []label, end uint64) (rest label, single []int, ok bool) {
	rest = -1
	for i := range starts {
		next := end
		if i+1 < len(starts) {
			next = uint64(starts[i+1])
		}
		switch {
		case labels[i] == rest:
		case next-uint64(starts[i]) == 1:
			single = append(single, i)
		case rest < 0:
			rest = labels[i]
		default:
			return 0, nil, false
		}
	}
	return rest, single, rest >= 0 && len(single) <= maxSingles
}

// archRanges is one architecture's part of the program.
type archRanges struct {
	audit uint32
	ranges
}

// assemble writes the program. The architectures are asked for in their order: the native one is the first.
func assemble(arches []archRanges) []unix.SockFilter {
	a := &assembler{ret: map[uint32]label{}}
	next := a.returns(retKillThread)
	for _, arch := range slices.Backward(arches) {
		var starts []uint32
		var labels []label
		for _, r := range arch.ranges {
			starts = append(starts, r.first)
			labels = append(labels, a.outcome(r.outcome))
		}
		numbers := a.then(opLoad, offNumber, a.tree(starts, labels))
		next = a.branch(opJumpEq, arch.audit, numbers, next)
	}
	a.then(opLoad, offArch, next)
	slices.Reverse(a.code)
	return a.code
}

// outcome is the place of an outcome's code, which is written once.
func (a *assembler) outcome(o outcome) label {
	if len(o.rules) == 0 {
		return a.returns(o.action)
	}
	for _, b := range a.blocks {
		if b.equal(o) {
			return b.at
		}
	}
	at := a.returns(o.action)
	for i := len(o.rules); i > 0; {
		n := sameArg(o.rules[:i])
		if n > 0 {
			at = a.steps(o.rules[i-n:i], o.wide, at)
			i -= n
			continue
		}
		i--
		yes := a.returns(o.rules[i].action)
		for _, c := range slices.Backward(o.rules[i].conds) {
			yes = a.compare(c, o.wide, yes, at)
		}
		at = yes
	}
	a.blocks = append(a.blocks, block{o, at})
	return at
}

// compare goes to yes where the condition holds, else to no.
func (a *assembler) compare(c cond, wide bool, yes, no label) label {
	switch c.op {
	case oci.OpNotEqual:
		yes, no = no, yes
		fallthrough
	case oci.OpEqualTo:
		return a.masked(c.arg, wide, math.MaxUint64, c.a, yes, no)
	case oci.OpMaskedEqual:
		return a.masked(c.arg, wide, c.a, c.b, yes, no)
	case oci.OpLessThan:
		return a.ordered(opJumpGe, c, wide, no, yes)
	case oci.OpLessEqual:
		return a.ordered(opJumpGt, c, wide, no, yes)
	case oci.OpGreaterEqual:
		return a.ordered(opJumpGe, c, wide, yes, no)
	default:
		return a.ordered(opJumpGt, c, wide, yes, no)
	}
}

// masked compares the bits of mask with value; a word of which no bit is asked is not looked at.
func (a *assembler) masked(arg uint32, wide bool, mask, value uint64, yes, no label) label {
	if lower := uint32(mask); lower != 0 {
		yes = a.maskedWord(lowerWord(arg), lower, uint32(value), yes, no)
	}
	if upper := uint32(mask >> 32); wide && upper != 0 {
		yes = a.maskedWord(upperWord(arg), upper, uint32(value>>32), yes, no)
	}
	return yes
}

func (a *assembler) maskedWord(offset, mask, value uint32, yes, no label) label {
	at := a.branch(opJumpEq, value, yes, no)
	if mask != math.MaxUint32 {
		at = a.then(opAnd, mask, at)
	}
	return a.then(opLoad, offset, at)
}

// ordered goes to yes where the argument is greater than the value, or with opJumpGe not below it.
func (a *assembler) ordered(op uint16, c cond, wide bool, yes, no label) label {
	lower := a.then(opLoad, lowerWord(c.arg), a.branch(op, uint32(c.a), yes, no))
	if !wide {
		return lower
	}
	upper := uint32(c.a >> 32)
	at := a.branch(opJumpEq, upper, lower, no)
	at = a.branch(opJumpGt, upper, yes, at)
	return a.then(opLoad, upperWord(c.arg), at)
}

// Both machines are little-endian.
func lowerWord(arg uint32) uint32 { return offArgs + valueBytes*arg }

func upperWord(arg uint32) uint32 { return lowerWord(arg) + wordBytes }
