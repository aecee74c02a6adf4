package birth

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// field is one field of a structure of the kernel's.
type field struct {
	name   string // not shown when empty
	size   int    // 1, 2, 4 or 8 bytes; 0 pads to the next multiple of 8
	value  Arg
	format format
}

// structure is the address of a structure. It is the same memory wherever the same one is used.
type structure struct {
	fields []field
	shown  string // instead of the fields
}

// text leaves out fields that are zero.
func (s *structure) text(format) string {
	if s.shown != "" {
		return s.shown
	}
	var parts []string
	for _, f := range s.fields {
		if f.name == "" || f.value == nil || f.value == Arg(number(0)) {
			continue
		}
		parts = append(parts, f.name+"="+f.value.text(f.format))
	}
	return "{" + strings.Join(parts, " ") + "}"
}

// place writes what is known now, and adds a step that copies each result and descriptor in before the call.
func (s *structure) place(e *encoder) (operand, error) {
	size := 0
	for _, f := range s.fields {
		size = f.end(size)
	}
	at, _ := e.reserve(s, size)
	offset := 0
	for _, f := range s.fields {
		if f.value != nil {
			o, err := f.value.place(e)
			if err != nil {
				return operand{}, err
			}
			if o.load {
				e.copy(o, at+offset)
			} else {
				e.put(at+offset, f.size, o.value)
			}
		}
		offset = f.end(offset)
	}
	return address(at), nil
}

func (f field) end(offset int) int {
	if f.size == 0 {
		return (offset + 7) &^ 7
	}
	return offset + f.size
}

// MountAttrSize is the size of what [MountAttr] points at.
const MountAttrSize = 32

// MountAttr is a struct mount_attr. The user namespace may be nil.
func MountAttr(set, clear, propagation uint64, userns Arg) Arg {
	return &structure{fields: []field{
		{"attr_set", 8, number(set), mountAttrs},
		{"attr_clr", 8, number(clear), mountAttrs},
		{"propagation", 8, number(propagation), mountFlags},
		{"userns_fd", 8, userns, nil},
	}}
}

// OpenHowSize is the size of what [OpenHow] points at.
const OpenHowSize = unix.SizeofOpenHow

// OpenHow is a struct open_how, for openat2.
func OpenHow(flags, mode, resolve uint64) Arg {
	return &structure{fields: []field{
		{"flags", 8, number(flags), openFlags},
		{"mode", 8, number(mode), octal},
		{"resolve", 8, number(resolve), resolveFlags},
	}}
}

// Rlimit is a struct rlimit64, for prlimit64.
func Rlimit(soft, hard uint64) Arg {
	shown := fmt.Sprintf("{soft=%s hard=%s}", limit(soft), limit(hard))
	return &structure{shown: shown, fields: []field{{"", 8, number(soft), nil}, {"", 8, number(hard), nil}}}
}

// CapHeader is the first argument of capset: this process, third version.
func CapHeader() Arg {
	return &structure{shown: "self", fields: []field{
		{"", 4, number(unix.LINUX_CAPABILITY_VERSION_3), nil}, {"", 4, number(0), nil},
	}}
}

// CapData is the second argument of capset: three sets, a bit for each capability.
func CapData(effective, permitted, inheritable uint64) Arg {
	var fields []field
	for shift := 0; shift < 64; shift += 32 {
		for _, set := range []uint64{effective, permitted, inheritable} {
			fields = append(fields, field{"", 4, number(uint32(set >> shift)), nil})
		}
	}
	shown := fmt.Sprintf("{effective=%s permitted=%s inheritable=%s}", capSet(effective), capSet(permitted), capSet(inheritable))
	return &structure{fields, shown}
}

// Filter is a struct sock_fprog: a seccomp filter.
func Filter(program []unix.SockFilter) Arg {
	var code strings.Builder
	code.Grow(8 * len(program))
	for _, i := range program {
		code.Write([]byte{byte(i.Code), byte(i.Code >> 8), i.Jt, i.Jf, byte(i.K), byte(i.K >> 8), byte(i.K >> 16), byte(i.K >> 24)})
	}
	shown := fmt.Sprintf("{%d instructions}", len(program))
	return &structure{shown: shown, fields: []field{
		{"", 2, number(len(program)), nil}, {"", 0, nil, nil}, {"", 8, data(code.String()), nil},
	}}
}

// Groups is the second argument of setgroups.
func Groups(gids []uint32) Arg {
	var fields []field
	for _, g := range gids {
		fields = append(fields, field{"", 4, number(g), nil})
	}
	return &structure{fields, strings.ReplaceAll(fmt.Sprint(gids), " ", ", ")}
}

// Message is a struct msghdr for sendmsg: bytes, and descriptors that go with them as SCM_RIGHTS.
func Message(payload Arg, length int, fds ...Arg) Arg {
	iov := &structure{fields: []field{{"", 8, payload, nil}, {"", 8, number(length), nil}}}
	shown := payload.text(nil)
	var rights Arg = number(0)
	size := 0
	if len(fds) > 0 {
		size = unix.CmsgSpace(4 * len(fds))
		header := []field{
			{"", 8, number(unix.CmsgLen(4 * len(fds))), nil}, {"", 4, number(unix.SOL_SOCKET), nil}, {"", 4, number(unix.SCM_RIGHTS), nil},
		}
		for _, fd := range fds {
			header = append(header, field{"", 4, fd, nil})
			shown += " with " + fd.text(nil)
		}
		rights = &structure{fields: append(header, field{})}
	}
	return &structure{shown: "{" + shown + "}", fields: []field{
		{"", 8, number(0), nil}, {"", 8, number(0), nil}, // no address
		{"", 8, iov, nil}, {"", 8, number(1), nil},
		{"", 8, rights, nil}, {"", 8, number(size), nil},
		{"", 8, number(0), nil}, // flags
	}}
}

// Clone makes a child by clone, which unlike clone3 most seccomp profiles allow. The flags have no exit signal in their low
// byte: it is the next argument, and zero with CLONE_PARENT. With CLONE_PIDFD, the descriptor is written into pidfd, which is
// nil otherwise. The child goes on after this step with result 0, as the parent does with the child's PID.
func (p *Program) Clone(name string, flags uint64, signal unix.Signal, pidfd *Buffer) Result {
	args := []Arg{Value(flags | uint64(signal)), Value(0)}
	if pidfd != nil {
		args = append(args, pidfd)
	}
	return p.Call(name, linux.SysClone, args...)
}
