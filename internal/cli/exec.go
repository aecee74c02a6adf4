package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/hull-pods/hull/internal/client"
)

func (a *app) execCommand() *cobra.Command {
	var container string
	var stdin, tty, quiet bool
	cmd := &cobra.Command{
		Use:   "exec [-it] POD [-c CONTAINER] -- COMMAND [ARG...]",
		Short: "Run a command in a container",
		Example: `  hull exec web -- ls /
  hull exec -it web -c nginx -- sh
  tar c . | hull exec -i web -- tar x -C /srv`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completePods(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.ArgsLenAtDash() < 0 && len(args) > 1 {
				return errors.New("exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead")
			}
			if len(args) < 2 {
				return errors.New("you must specify at least one command for the container")
			}
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			name := strings.TrimPrefix(args[0], "pod/")
			if container == "" {
				p, err := a.pod(cmd.Context(), c, name)
				if err != nil {
					return err
				}
				if phase := p.Status.Phase; phase == "Succeeded" || phase == "Failed" {
					return fmt.Errorf("cannot exec into a container in a completed pod; current phase is %s", phase)
				}
				container = a.defaultContainer(p, quiet)
			}
			o := client.ExecOptions{Path: a.podPath(name) + "/exec", Container: container, Command: args[1:], Stdout: a.out, Stderr: a.err, TTY: tty}
			if stdin {
				o.Stdin = a.in
			}
			return a.exec(cmd.Context(), c, o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&container, "container", "c", "", "the container; the first one if omitted")
	f.BoolVarP(&stdin, "stdin", "i", false, "pass standard input on")
	f.BoolVarP(&tty, "tty", "t", false, "with a terminal")
	f.BoolVarP(&quiet, "quiet", "q", false, "only the command's output")
	_ = cmd.RegisterFlagCompletionFunc("container", a.completeContainers)
	return cmd
}

// defaultContainer chooses among several containers as kubectl does: the one that the Pod's annotation names, else the first,
// of which it tells.
func (a *app) defaultContainer(p *pod, quiet bool) string {
	names := p.containerNames()
	if named := p.Metadata.Annotations["kubectl.kubernetes.io/default-container"]; slices.Contains(names, named) {
		return named
	}
	first := p.Spec.Containers[0].Name
	if len(names) > 1 && !quiet {
		a.warnf("Defaulted container %q out of: %s\n", first, p.describeContainers())
	}
	return first
}

func (p *pod) describeContainers() string {
	var names []string
	for _, c := range p.Spec.Containers {
		names = append(names, c.Name)
	}
	for _, c := range p.Spec.InitContainers {
		names = append(names, c.Name+" (init)")
	}
	return strings.Join(names, ", ")
}

func (a *app) exec(ctx context.Context, c *client.Client, o client.ExecOptions) error {
	if !o.TTY {
		return c.Exec(ctx, o)
	}
	in, ok := a.in.(*os.File)
	if !ok || o.Stdin == nil || !term.IsTerminal(int(in.Fd())) {
		a.warnf("Unable to use a TTY - input is not a terminal or the right kind of file\n")
		o.TTY = o.Stdin == nil
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
