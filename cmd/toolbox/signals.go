package main

import (
	"os"
	"os/signal"
	"syscall"
)

// dieOf makes SIGTERM, SIGINT and SIGHUP end the process at once, after fn, also when it is process 1.
func dieOf(fn func()) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	go func() {
		sig := (<-ch).(syscall.Signal)
		if fn != nil {
			fn()
		}
		die(sig)
	}()
}

// die ends the process as if sig had killed it. Process 1 cannot be killed from inside: it exits with the code that a shell
// would show for it.
func die(sig syscall.Signal) {
	if os.Getpid() != 1 {
		signal.Reset(sig)
		if err := syscall.Kill(os.Getpid(), sig); err == nil {
			select {}
		}
	}
	os.Exit(128 + int(sig))
}
