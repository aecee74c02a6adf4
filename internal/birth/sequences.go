package birth

import (
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// Exec runs the first of the paths that is a program, as a shell looks through PATH: a path that is not there is passed over,
// one that may not be executed is remembered and passed over, any other error is the end. The error is EACCES if one was
// remembered, else that of a file that is not there. It is the last step of a program.
func (p *Program) Exec(name string, paths []string, argv, envp Arg) {
	if len(paths) == 1 {
		p.Call(name, linux.SysExecve, String(paths[0]), argv, envp)
		return
	}
	reason := p.Variable("reason", -int32(unix.ENOENT))
	for _, path := range paths {
		after := p.Label()
		p.Call("try "+path, linux.SysExecve, String(path), argv, envp).
			OnError(after, unix.ENOENT, unix.ENOTDIR).
			Allow(unix.EACCES)
		p.Set("remember why", reason, Value(-int32(unix.EACCES)))
		p.Mark(after)
	}
	p.Check(name, reason)
}

// Wait stops until the other side says [Continue], and fails with EPIPE when it has gone.
func (p *Program) Wait(name string) {
	told := p.Label()
	p.Call(name, linux.SysRead, Control(), NewBuffer("word", 8), Value(8)).On(told, int32(len(continueWord)))
	p.Fail(name, unix.EPIPE)
	p.Mark(told)
}

// Tell sends a value, and descriptors if there are any, to the other side, where [Await] returns them.
func (p *Program) Tell(name string, value Arg, fds ...Arg) Result {
	report := &structure{shown: "told " + value.text(nil), fields: []field{
		{"", 4, number(told), nil}, {"", 4, value, nil}, {"", 4, number(0), nil},
	}}
	return p.Call(name, linux.SysSendmsg, Control(), Message(report, reportSize, fds...), Value(unix.MSG_NOSIGNAL))
}
