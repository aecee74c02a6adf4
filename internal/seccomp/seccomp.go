// Package seccomp compiles an OCI seccomp profile into the kernel's filter program.
//
// The program does what runc's does with libseccomp, and the tests hold it to that; it differs in shape. For each
// architecture the syscall numbers are cut into ranges of the same outcome, and a balanced tree of comparisons finds the
// range: some ten instructions a syscall where a list has hundreds.
//
//	load architecture ─┬─ x86_64, x32 ── load number ── tree of ranges ─┬─ return an action
//	                   ├─ x86 ─────────── load number ── tree of ranges ├─ compare arguments ── return an action
//	                   └─ any other: kill the thread                    └─ …
//
// Rules of one syscall go by libseccomp's order: one without arguments beats all that have them, the first of several
// without wins, and a rule with the profile's default action is left out. Where conditions of different actions overlap,
// which libseccomp orders by their values, the profile's first rule wins. As in runc, a rule with two conditions on the
// same argument means either of them, and a number above every one that the profile names, on its architecture, gets
// ENOSYS instead of the default action, unless that allows: the C library then does without a syscall that is newer than
// the profile, where with EPERM it would fail.
package seccomp

import (
	"fmt"
	"math"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/oci"
)

// maxProgram is the kernel's limit of instructions.
const maxProgram = 4096

// Compile makes the filter of a profile for a machine by its GOARCH, and the flags for seccomp(2). Among them is
// SECCOMP_FILTER_FLAG_NEW_LISTENER where a rule notifies. Names of syscalls that no architecture here has are skipped;
// so are architectures that the machine cannot run.
func Compile(p *oci.LinuxSeccomp, goarch string) (program []unix.SockFilter, flags uint32, err error) {
	def, err := actionValue(p.DefaultAction, p.DefaultErrnoRet)
	if err != nil {
		return nil, 0, fmt.Errorf("seccomp: default action: %w", err)
	}
	if p.DefaultAction == oci.ActNotify {
		return nil, 0, fmt.Errorf("seccomp: %s cannot be the default action: nobody could be told of the listener", p.DefaultAction)
	}
	if flags, err = flagBits(p); err != nil {
		return nil, 0, err
	}
	machine, err := abisOf(goarch, p.Architectures)
	if err != nil {
		return nil, 0, err
	}
	c := cutter{profile: p, def: outcome{action: def}}
	switch p.DefaultAction {
	case oci.ActAllow, oci.ActLog, oci.ActTrace: // these let through, also what is newer than the profile
	default:
		c.tooNew = &outcome{action: retErrno | uint32(unix.ENOSYS)}
	}
	var arches []archRanges
	for _, m := range machine {
		ranges, err := c.rangesOf(m)
		if err != nil {
			return nil, 0, err
		}
		arches = append(arches, archRanges{m.audit, ranges})
	}
	program = assemble(arches)
	if len(program) > maxProgram {
		return nil, 0, fmt.Errorf("seccomp: the profile takes %d instructions, the kernel's limit is %d", len(program), maxProgram)
	}
	return program, flags, nil
}

// The kernel's values of the actions; the errno and trace actions have their data in the lower 16 bits.
const (
	retKillProcess = 0x80000000
	retKillThread  = 0x00000000
	retTrap        = 0x00030000
	retErrno       = 0x00050000
	retNotify      = 0x7fc00000
	retTrace       = 0x7ff00000
	retLog         = 0x7ffc0000
	retAllow       = 0x7fff0000

	maxErrno = 4095
)

func actionValue(action oci.LinuxSeccompAction, data *uint) (uint32, error) {
	value := uint32(unix.EPERM)
	if data != nil {
		limit := uint(math.MaxUint16)
		if action == oci.ActErrno {
			limit = maxErrno
		}
		if *data > limit {
			return 0, fmt.Errorf("%s: errno %d is above %d", action, *data, limit)
		}
		value = uint32(*data)
	}
	switch action {
	case oci.ActKill, oci.ActKillThread:
		return retKillThread, nil
	case oci.ActKillProcess:
		return retKillProcess, nil
	case oci.ActTrap:
		return retTrap, nil
	case oci.ActErrno:
		return retErrno | value, nil
	case oci.ActNotify:
		return retNotify, nil
	case oci.ActTrace:
		return retTrace | value, nil
	case oci.ActLog:
		return retLog, nil
	case oci.ActAllow:
		return retAllow, nil
	}
	return 0, fmt.Errorf("unknown action %q", action)
}

func flagBits(p *oci.LinuxSeccomp) (uint32, error) {
	flags := uint32(0)
	notifies := slices.ContainsFunc(p.Syscalls, func(s oci.LinuxSyscall) bool { return s.Action == oci.ActNotify })
	if notifies {
		flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	}
	if p.Flags == nil { // not even none: runc's default
		return flags | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, nil
	}
	for _, f := range p.Flags {
		switch f {
		case oci.SeccompFlagLog:
			flags |= unix.SECCOMP_FILTER_FLAG_LOG
		case oci.SeccompFlagSpecAllow:
			flags |= unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
		case oci.SeccompFlagTSync: // the process has one thread when it loads the filter
		case oci.SeccompFlagWaitKillableRecv:
			if !notifies {
				return 0, fmt.Errorf("seccomp: flag %s without a rule that notifies", f)
			}
			flags |= unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
		default:
			return 0, fmt.Errorf("seccomp: unknown flag %q", f)
		}
	}
	return flags, nil
}
