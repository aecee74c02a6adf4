// Package fate tells what has become of a container that an earlier hulld left, by what is on record and by what the keeper
// has.
package fate

import (
	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/runtime/record"
)

// Fate is what start-up does with a container.
type Fate string

const (
	None    Fate = "none"    // nothing of it has run; what is half made is taken back when all is known
	Clear   Fate = "clear"   // the same, but the keeper may have died in the middle of its start
	Unstart Fate = "unstart" // it was being started, and never ran its command
	Ended   Fate = "ended"   // its end is on record
	Lost    Fate = "lost"    // it ran, and the keeper that would know how it ended is dead
	Adopt   Fate = "adopt"   // it runs, or has ended with an exit that the keeper saw; unless its birth was cut off
)

// Of decides by the record and by what the keeper has.
func Of(rec *record.Container, k *keeper.Record) Fate {
	switch st := rec.Status.State; {
	case rec.Phase == record.Making:
		return None
	case st == record.ContainerExited || st == record.ContainerUnknown:
		return Ended
	case st == record.ContainerCreated && k == nil:
		return Clear
	case st == record.ContainerCreated:
		return Unstart
	case k == nil:
		return Lost
	case k.PID == 0: // in a PID namespace that it joins, a process is made last, and goes on when the keeper knows it
		return Unstart
	default:
		return Adopt
	}
}
