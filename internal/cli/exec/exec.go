// Package exec is hull exec: a command in a container, with the streams and the terminal of this one.
package exec

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/hull-pods/hull/internal/cli/complete"
	"github.com/hull-pods/hull/internal/cli/env"
	"github.com/hull-pods/hull/internal/cli/pod"
	"github.com/hull-pods/hull/internal/client"
)

// Command is hull exec.
func Command(e *env.Env) *cobra.Command {
	var container string
	var stdin, tty, quiet bool
	cmd := &cobra.Command{
		Use:   "exec [-it] (POD | TYPE/NAME) [-c CONTAINER] [flags] -- COMMAND [ARG...]",
		Short: "Run a command in a container",
		Example: `  hull exec web -- ls /
  hull exec -it web -c nginx -- sh
  tar c . | hull exec -i web -- tar x -C /srv`,
		ValidArgsFunction: complete.One(complete.Pods(e, 0)),

		DisableFlagsInUseLine: true, // they are before the command
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || cmd.ArgsLenAtDash() == 0 {
				return errors.New("pod or type/name must be specified")
			}
			if cmd.ArgsLenAtDash() < 0 && len(args) > 1 {
				return fmt.Errorf("exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\nSee '%s -h' for help and examples", cmd.CommandPath())
			}
			if len(args) < 2 {
				return errors.New("you must specify at least one command for the container")
			}
			name, err := pod.Name(args[0])
			if err != nil {
				return err
			}
			c, err := e.Connect(cmd.Context())
			if err != nil {
				return err
			}
			o := client.ExecOptions{Path: e.PodPath(name) + "/exec", Container: container, Command: args[1:], Stdout: e.Out, Stderr: e.Err, TTY: tty}
			if stdin {
				o.Stdin = e.In
			}
			if container == "" {
				o.Default = client.DefaultTold
				if quiet {
					o.Default = client.DefaultQuiet
				}
			}
			err = run(cmd.Context(), e, c, o)
			return why(cmd.Context(), c, pod.Ref{Namespace: e.Namespace, Name: name}, container, err)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&container, "container", "c", "", "the container; the first one if omitted")
	f.BoolVarP(&stdin, "stdin", "i", false, "pass standard input on")
	f.BoolVarP(&tty, "tty", "t", false, "with a terminal")
	f.BoolVarP(&quiet, "quiet", "q", false, "only the command's output")
	_ = cmd.RegisterFlagCompletionFunc("container", complete.Containers(e))
	return cmd
}

// why says what the server refused in kubectl's words, if it was that the Pod has ended, or has no such container.
func why(ctx context.Context, c *client.Client, r pod.Ref, container string, refused error) error {
	var status *client.StatusError
	if !errors.As(refused, &status) || client.IsNotFound(refused) {
		return refused
	}
	p, err := pod.Get(ctx, c, r)
	switch {
	case err != nil:
		return refused
	case p.Ended():
		return fmt.Errorf("cannot exec into a container in a completed pod; current phase is %s", p.Status.Phase)
	case container != "" && !slices.Contains(p.ContainerNames(), container):
		return p.NoContainer(container)
	}
	return refused
}

func run(ctx context.Context, e *env.Env, c *client.Client, o client.ExecOptions) error {
	if !o.TTY {
		return c.Exec(ctx, o)
	}
	in, ok := e.In.(*os.File)
	if o.Stdin == nil || !ok || !term.IsTerminal(int(in.Fd())) { // without -i there is nothing to type into, and -t says nothing, as in kubectl
		if o.Stdin != nil {
			e.Warnf("Unable to use a TTY - input is not a terminal or the right kind of file\n")
		}
		o.TTY = false
		return c.Exec(ctx, o)
	}
	old, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return fmt.Errorf("set the terminal to raw mode: %w", err)
	}
	defer func() { _ = term.Restore(int(in.Fd()), old) }()
	sizes, stop := watchSize(int(in.Fd()))
	defer stop()
	o.Resize = sizes
	// Ctrl-C belongs to the command now: the terminal is raw, and does not turn it into a signal.
	return c.Exec(ctx, o)
}

// watchSize sends the terminal's size now and at each change.
func watchSize(fd int) (<-chan client.Size, func()) {
	sizes := make(chan client.Size, 1)
	changed := make(chan os.Signal, 1)
	done := make(chan struct{})
	signal.Notify(changed, syscall.SIGWINCH)
	go func() {
		for {
			if w, h, err := term.GetSize(fd); err == nil {
				select {
				case sizes <- client.Size{Width: uint16(w), Height: uint16(h)}:
				case <-done:
					return
				}
			}
			select {
			case <-changed:
			case <-done:
				return
			}
		}
	}()
	return sizes, func() {
		signal.Stop(changed)
		close(done)
	}
}
