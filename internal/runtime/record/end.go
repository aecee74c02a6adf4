package record

import (
	"time"

	"golang.org/x/sys/unix"
)

// startErrorCode is the exit code of a container whose command could not be run, as containerd and the kubelet report it.
const startErrorCode = 128

// SetExited says that the container's first process has ended, as wait(2) tells it.
func (s *ContainerStatus) SetExited(at time.Time, status unix.WaitStatus, oomKilled bool) {
	s.State, s.EndedAt, s.PID = ContainerExited, at, 0
	s.ExitCode, s.Signal = ExitCode(status)
	s.Reason = exitReason(s.ExitCode, oomKilled)
}

// SetStartError says that it never came to run its command.
func (s *ContainerStatus) SetStartError(at time.Time, cause error) {
	s.State, s.PID, s.StartedAt, s.EndedAt = ContainerExited, 0, time.Time{}, at
	s.ExitCode, s.Reason, s.Message = startErrorCode, ReasonStartError, cause.Error()
}

// SetLost says that it ran, and that nobody knows how it ended.
func (s *ContainerStatus) SetLost(at time.Time) {
	s.State, s.EndedAt, s.PID = ContainerUnknown, at, 0
	s.ExitCode, s.Reason = unknownCode, ReasonUnknown
	s.Message = "The container could not be located when the runtime was restarted"
}

// ExitCode is a shell's: 128+n for signal n.
func ExitCode(s unix.WaitStatus) (code, signal int) {
	if s.Signaled() {
		return 128 + int(s.Signal()), int(s.Signal())
	}
	return s.ExitStatus(), 0
}

func exitReason(code int, oom bool) string {
	switch {
	case oom:
		return ReasonOOMKilled
	case code == 0:
		return ReasonCompleted
	default:
		return ReasonError
	}
}
