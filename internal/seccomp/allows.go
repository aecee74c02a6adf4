package seccomp

import "golang.org/x/sys/unix"

// Call is a system call as a filter sees it. Arguments that are addresses are 0: a filter that looks at them knows no more.
type Call struct {
	Number uint32
	Args   [6]uint64
}

// Allows tells whether a program that Compile has made lets a call of the machine's own architecture through, as if there were no
// filter.
func Allows(program []unix.SockFilter, goarch string, c Call) bool {
	arch := auditArch(goarch)
	words := [16]uint32{offNumber / wordBytes: c.Number, offArch / wordBytes: arch}
	for i, v := range c.Args {
		at := (offArgs + i*valueBytes) / wordBytes
		words[at], words[at+1] = uint32(v), uint32(v>>32)
	}
	var acc uint32
	for pc := 0; pc < len(program); pc++ {
		ins := program[pc]
		yes := false
		switch ins.Code {
		case opLoad:
			acc = words[ins.K/wordBytes%uint32(len(words))]
			continue
		case opAnd:
			acc &= ins.K
			continue
		case opJump:
			pc += int(ins.K)
			continue
		case opReturn:
			return ins.K == retAllow || ins.K == retLog
		case opJumpEq:
			yes = acc == ins.K
		case opJumpGt:
			yes = acc > ins.K
		case opJumpGe:
			yes = acc >= ins.K
		default:
			return false
		}
		if yes {
			pc += int(ins.Jt)
		} else {
			pc += int(ins.Jf)
		}
	}
	return false
}

func auditArch(goarch string) uint32 {
	if goarch == "arm64" {
		return unix.AUDIT_ARCH_AARCH64
	}
	return unix.AUDIT_ARCH_X86_64
}

// Except is a program that lets these calls of the machine's own architecture through, and is like the given one for all others.
// An argument of a call that is zero may be anything.
func Except(program []unix.SockFilter, goarch string, calls []Call) []unix.SockFilter {
	var passages []unix.SockFilter
	for _, c := range calls {
		passages = append(passages, passage(c)...)
	}
	out := []unix.SockFilter{
		{Code: opLoad, K: offArch},
		{Code: opJumpEq, K: auditArch(goarch), Jt: 1},
		{Code: opJump, K: uint32(len(passages))},
	}
	return append(append(out, passages...), program...)
}

// passage allows one call; for another it goes on behind itself.
func passage(c Call) []unix.SockFilter {
	words := []unix.SockFilter{{Code: opLoad, K: offNumber}, {Code: opJumpEq, K: c.Number}}
	for i, v := range c.Args {
		if v == 0 {
			continue
		}
		words = append(words, unix.SockFilter{Code: opLoad, K: lowerWord(uint32(i))}, unix.SockFilter{Code: opJumpEq, K: uint32(v)},
			unix.SockFilter{Code: opLoad, K: upperWord(uint32(i))}, unix.SockFilter{Code: opJumpEq, K: uint32(v >> 32)})
	}
	for i := range words {
		if words[i].Code == opJumpEq {
			words[i].Jf = uint8(len(words) - i) // past the return
		}
	}
	return append(words, unix.SockFilter{Code: opReturn, K: retAllow})
}
