package keeper

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

const usage = `hull-keeper is the parent of Hull's daemon and containers. hull starts it by itself.

  hull-keeper [--state DIR] [--log FILE] [--detach] -- HULLD [ARGUMENTS]

`

// Main is the program hull-keeper, without its name in args. It returns the exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	// Small and slow to grow, rather than fast: the heap is a few hundred kilobytes, and one thread does all.
	debug.SetGCPercent(20)
	runtime.GOMAXPROCS(1)
	flags := flag.NewFlagSet("hull-keeper", flag.ContinueOnError)
	flags.SetOutput(stderr)
	state := flags.String("state", DefaultState, "directory of sockets and locks")
	log := flags.String("log", "", "file that takes the output of keeper and daemon (default: inherited)")
	detach := flags.Bool("detach", false, "start keeper and daemon in the background if they do not run, and return when the daemon is ready")
	check := flags.Bool("check-state", false, "tell whether this program can take over the state on descriptor 3")
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	var err error
	switch {
	case *check:
		err = checkState(os.NewFile(3, "state"), stdout)
	case flags.NArg() == 0:
		flags.Usage()
		return 2
	case *detach:
		err = detached(*state, flags.Args(), stdout)
	default:
		err = run(*state, *log, flags.Args())
	}
	if err != nil {
		fmt.Fprintln(stderr, "hull-keeper:", err)
		return 1
	}
	return 0
}

func detached(state string, args []string, stdout io.Writer) error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	started, err := Detach(ctx, exe, state, args, os.Environ())
	if err == nil && started {
		_, err = fmt.Fprintf(stdout, "started hull-keeper and %s\n", args[0])
	}
	return err
}

func run(state, file string, args []string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("program", "hull-keeper")
	if err := linux.NoHugePages(envSmall); err != nil {
		log.Warn("huge pages under the heap", "err", err)
	}
	if err := os.MkdirAll(state, 0o755); err != nil {
		return fmt.Errorf("make the state directory: %w", err)
	}
	ready, err := readyFile()
	if err != nil {
		return err
	}
	err = Run(Config{
		State: state, Args: args, Env: os.Environ(), File: file, Ready: ready,
		Log: log,
	})
	if err != nil && ready != nil {
		// The word that has been given wins; otherwise this one is the reason.
		_, werr := ready.WriteString(err.Error())
		if werr != nil && !errors.Is(werr, os.ErrClosed) {
			err = errors.Join(err, werr)
		}
	}
	return err
}

// readyFile is where the starter of a detached keeper listens.
func readyFile() (*os.File, error) {
	number := os.Getenv(envReady)
	if number == "" {
		return nil, nil
	}
	fd, err := strconv.Atoi(number)
	if err != nil {
		return nil, fmt.Errorf("%s=%q: %w", envReady, number, err)
	}
	if err := cloexec(fd, true); err != nil {
		return nil, fmt.Errorf("%s: %w", envReady, err)
	}
	return os.NewFile(uintptr(fd), "starter"), os.Unsetenv(envReady)
}
