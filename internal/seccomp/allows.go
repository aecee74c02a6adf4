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
	var arch uint32 = unix.AUDIT_ARCH_X86_64
	if goarch == "arm64" {
		arch = unix.AUDIT_ARCH_AARCH64
	}
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
