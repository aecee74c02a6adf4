package runtime

import (
	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/runtime/record"
)

// fate is what start-up does with a container.
type fate string

const (
	fateNone    fate = "none"    // nothing of it has run; what is half made is taken back when all is known
	fateClear   fate = "clear"   // the same, but the keeper may have died in the middle of its start
	fateUnstart fate = "unstart" // it was being started, and never ran its command
	fateEnded   fate = "ended"   // its end is on record
	fateLost    fate = "lost"    // it ran, and the keeper that would know how it ended is dead
	fateAdopt   fate = "adopt"   // it runs, or has ended with an exit that the keeper saw; unless its birth was cut off
)

// fateOf decides by the record and by what the keeper has.
func fateOf(rec *record.Container, k *keeper.Record) fate {
	switch st := rec.Status.State; {
	case rec.Phase == record.Making:
		return fateNone
	case st == ContainerExited || st == ContainerUnknown:
		return fateEnded
	case st == ContainerCreated && k == nil:
		return fateClear
	case st == ContainerCreated:
		return fateUnstart
	case k == nil || k.PID == 0:
		return fateLost
	default:
		return fateAdopt
	}
}
