// Command bench measures what Hull promises about speed and size, against runc and podman in the same run where those are
// installed. It makes a Hull of its own below /tmp, and removes everything, also when it is interrupted.
//
//	make bench
//	BENCH_JSON=bench.json go run ./bench -long
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run.
type bench struct {
	bin    string // where hull, hulld and hull-keeper are
	dir    string // everything that is made
	runs   int
	pods   int
	long   bool
	table  table
	common *ground

	closers []func() error
}

// section is one part of a run. A section that cannot run is a row that says why; the others go on.
type section struct {
	name string
	do   func(context.Context) error
}

func run(ctx context.Context) (err error) {
	b := &bench{}
	flag.StringVar(&b.bin, "bin", "bin", "directory of hull, hulld and hull-keeper")
	flag.IntVar(&b.runs, "n", 15, "runs of each figure, whose median counts; those of podman's slow ones are fewer")
	flag.IntVar(&b.pods, "pods", 100, "Pods at once")
	flag.BoolVar(&b.long, "long", false, "1,000 Pods too")
	only := flag.String("only", "", "one section: container, pod, many, memory, restart, phases")
	flag.Parse()
	if os.Geteuid() != 0 {
		return errors.New("a Pod is made of namespaces, mounts and cgroups: run it as root")
	}
	if b.bin, err = filepath.Abs(b.bin); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("/tmp", "hull-bench-"); err != nil {
		return err
	}
	b.closers = append(b.closers, func() error { return os.RemoveAll(b.dir) })
	defer func() { err = errors.Join(err, b.close()) }()

	fmt.Printf("%s, %d CPUs, %s; load %s; medians of %d\n\n", kernel(), runtime.NumCPU(), time.Now().Format(time.DateOnly), load(), b.runs)
	for _, s := range []section{
		{"container", b.container}, {"pod", b.pod}, {"many", b.many}, {"memory", b.memory}, {"restart", b.restart}, {"phases", b.phases},
	} {
		if *only != "" && *only != s.name {
			continue
		}
		if err := s.do(ctx); err != nil {
			if ctx.Err() != nil {
				return errors.New("interrupted")
			}
			b.table.add(row{Name: s.name, Note: err.Error()})
		}
	}
	b.table.print(os.Stdout)
	if name := os.Getenv("BENCH_JSON"); name != "" {
		return b.table.save(name)
	}
	return nil
}

// then registers what to take back in the end, the last first.
func (b *bench) then(undo func() error) { b.closers = append(b.closers, undo) }

func (b *bench) close() error {
	var errs []error
	for i := len(b.closers) - 1; i >= 0; i-- {
		errs = append(errs, b.closers[i]())
	}
	return errors.Join(errs...)
}
