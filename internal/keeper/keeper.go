// Package keeper is the parent of every process of Hull, and the daemon's connection to it.
//
// The keeper is a tiny program that outlives the daemon. Containers are its children (the daemon clones them with
// CLONE_PARENT), it is the subreaper for what they leave behind, it reaps at once whatever the daemon does, and it holds
// duplicates of the descriptors that must not close: log pipes, terminals. It knows nothing of Pods: a record is a key,
// descriptors, a PID and an exit. Records live in its memory alone; they survive the daemon's death, and the keeper's own
// upgrade, which is an execve of itself.
//
// # The conversation
//
// The daemon inherits its end of a socket pair as descriptor $HULL_KEEPER_FD. Each arrow is one message:
//
//	hulld                                        keeper
//	  │ ◄─────────────────────────────── fork, exec │  1  dies at exec: restarted with back-off
//	  │ Hello{version, oldest} ───────────────────► │  2
//	  │ ◄──────────────────────── Welcome{version}  │  3  the version that both speak from here on
//	  │ ◄───────────────────── Exited{key} …        │  4  exits of before, then new ones whenever they happen
//	  │ List{seq} ────────────────────────────────► │
//	  │ ◄────────── Record{seq, key, …} + fds …     │  5  recovery: one message for each record
//	  │ ◄──────────────────────────── Done{seq}     │
//	  │ Ready{} ──────────────────────────────────► │  6  who waits for the daemon's start goes on
//	  │                                             │
//	  │ Register{seq, key} + fds ─────────────────► │  7
//	  │ clone(CLONE_PARENT) → PID                   │  8  beside the answer; the child waits for its program
//	  │ ◄──────────────────────────── Done{seq}     │
//	  │ Born{key, PID} ───────────────────────────► │  9  no answer: order is enough
//	  │ … its program to the child …                │ 10
//	  │ ◄───────────── Exited{key, PID, status}     │ 11  after wait4 returned it
//	  │ Forget{seq, key …} ───────────────────────► │ 12  record, exit and descriptors are dropped
//	  │ ◄──────────────────────────── Done{seq}     │
//	  │ (Add, Check: like Register)                 │
//
// If the daemon dies
//   - before 7 is sent: nothing is known, nothing was made. Sent messages count: the keeper reads the queue to its end
//     before it starts the next daemon.
//   - between 7 and 9: the record has no PID. The child, if it was cloned, has no program, reads the end of file of its
//     socket, and ends; its exit matches nobody and is dropped. The next daemon finds a record without PID and forgets it.
//   - between 9 and 10: the same, but with a PID and, soon, an exit.
//   - after 10: the container runs on. Its exit waits in the record until it is forgotten.
//   - at 12: forgetting is idempotent; the next daemon says it again.
//
// If the keeper dies, the daemon reads the end of file ([Client.Done]) and exits: containers are then nobody's children, and
// the next daemon's recovery, which finds them by their names and not in the records, kills them.
//
// An exit can be reaped before its Born is read: both are on their way at once. So exits that match no record are kept for
// a while, and Born(PID) first asks the kernel whether PID is a living child of the keeper. If it is, an exit of the same
// number was another process's; if it is not, the kept exit is this child's own, because nothing but its program could
// have made it do anything else than die.
//
// The upgrade (SIGUSR2) hands the records, the kept exits, and the messages that are not sent yet to the new program in a
// sealed memory file; descriptors, children and the connection to the daemon stay what they are, and the daemon notices
// nothing. The new program first proves, in a process of its own, that it can read the state: otherwise the old one goes on.
//
// # keeper.sock
//
// The socket in the state directory is for people's commands: SOCK_SEQPACKET, one JSON object with a newline each way, for
// the keeper's own user and root. In Go, without this package:
//
//	conn, err := net.Dial("unixpacket", state+"/keeper.sock") // refused or no such file: no keeper runs
//	err = json.NewEncoder(conn).Encode(keeper.Request{Do: "status"})
//	n, err := conn.Read(buffer)                             // one answer, at most 64 KiB
//	err = json.Unmarshal(buffer[:n], &answer)               // Answer: {"error": …, "keeper": {…}, "hulld": {…}, …}
//
// Requests are {"do":"status"}, {"do":"start"} and {"do":"stop"}; see [Request] and [Answer].
package keeper

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Names in the environment of the daemon and of the keeper itself.
const (
	EnvFD    = "HULL_KEEPER_FD"    // the daemon's end of the connection
	envState = "HULL_KEEPER_STATE" // the state of the program that this one replaces
	envReady = "HULL_KEEPER_READY" // where a detached keeper says that it listens
	envSmall = "HULL_KEEPER_SMALL" // set while a keeper executes itself again, for a heap without huge pages
)

// DefaultState is the state directory of a machine's usual Hull.
const DefaultState = "/run/hull"

// Files in the state directory.
const (
	SocketName   = "keeper.sock"
	PIDName      = "keeper.pid"
	DaemonPID    = "hulld.pid"
	DaemonLog    = "hulld.log"
	startingName = "keeper.starting"
)

// Record is what the keeper knows of one process, or of one that is about to be made.
type Record struct {
	Key  string
	FDs  []*os.File // duplicates, in the order in which they were registered
	PID  int        // 0 until Born
	Exit *Exit      // nil while it lives
}

// Exit is the end of a process.
type Exit struct {
	Key    string
	PID    int
	Status unix.WaitStatus
	At     time.Time
}
