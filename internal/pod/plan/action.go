package plan

import (
	"fmt"
	"strings"
	"time"
)

// Kind is what an action does.
type Kind string

// The kinds of actions. Note and Wait change nothing outside: the worker writes down what they say.
const (
	MakeVolumes     Kind = "make-volumes"
	RemoveVolumes   Kind = "remove-volumes"
	Measure         Kind = "measure-volumes"
	RunSandbox      Kind = "run-sandbox"
	StopSandbox     Kind = "stop-sandbox"
	RemoveSandbox   Kind = "remove-sandbox"
	Start           Kind = "start" // pull the image if need be, create, start
	Kill            Kind = "kill"  // SIGTERM, then SIGKILL
	RemoveContainer Kind = "remove-container"
	Finish          Kind = "finish" // the object itself goes
	Wait            Kind = "wait"   // a container's reason for not running changed
	Note            Kind = "note"   // an event that is told once
)

// Action is one thing to do.
type Action struct {
	Kind Kind
	Name string // of the container, where it concerns one
	ID   string // of the container or sandbox, where it exists already

	Attempt uint32        // RunSandbox, Start
	Backoff time.Duration // Start: is kept with the container, see [NextBackoff]
	// NotBefore (Start) is until when the image must not be pulled again.
	NotBefore time.Time
	After     string        // Start: the container whose attempt ends before this one's process is made
	Grace     time.Duration // Kill
	End       bool          // Kill: the whole Pod ends, see Seen.Ending

	Reason, Message string // Kill, Wait, Note
	Warning         bool   // Note, Wait: the event's type
}

// Key names what the action works on: two actions of one key never run at the same time.
func (a Action) Key() string {
	switch a.Kind {
	case Start:
		return string(a.Kind) + " " + a.Name
	case Wait:
		return strings.TrimSpace(string(a.Kind) + " " + a.Name + " " + a.Reason + " " + a.ID)
	case Note:
		return strings.TrimSpace(string(a.Kind) + " " + a.Reason + " " + a.ID)
	case Kill, StopSandbox, RemoveSandbox, RemoveContainer:
		return string(a.Kind) + " " + a.ID
	}
	return string(a.Kind)
}

// kindOf is the kind in a key.
func kindOf(key string) Kind {
	kind, _, _ := strings.Cut(key, " ")
	return Kind(kind)
}

// StartKey is the key of the start of a container.
func StartKey(name string) string { return Action{Kind: Start, Name: name}.Key() }

// String is for logs and for tests.
func (a Action) String() string {
	s := a.Key()
	switch a.Kind {
	case RunSandbox:
		s = fmt.Sprintf("%s attempt=%d", s, a.Attempt)
	case Start:
		s = fmt.Sprintf("%s attempt=%d", s, a.Attempt)
		if a.Backoff != 0 {
			s += " backoff=" + a.Backoff.String()
		}
		if a.After != "" {
			s += " after=" + a.After
		}
	case Kill:
		s = fmt.Sprintf("%s (%s) grace=%s", s, a.Name, a.Grace)
		if a.Message != "" {
			s += " " + a.Message
		}
	}
	return s
}
