package starter_test

import (
	"github.com/hull-pods/hull/internal/starter/startertest"
)

// What tests of all starters share, by short names.
var (
	busyboxRoot = startertest.BusyboxRoot
	rootfs      = startertest.Rootfs
	must        = startertest.Must
	spec        = startertest.Spec
	reap        = startertest.Reap
	reapStage   = startertest.ReapStage
	reapAll     = startertest.ReapAll
	withTimeout = startertest.Context
	run         = startertest.Run
	running     = startertest.Running
	execIn      = startertest.ExecIn
	infra       = startertest.Infra
	nsPath      = startertest.NSPath
	expect      = startertest.Expect
)

type outcome = startertest.Outcome
