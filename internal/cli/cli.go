// Package cli is hull's command line: kubectl's words where kubectl has them, podman's where it does not. Each command is a
// package below this one; here they are put together, and an error becomes an exit code.
//
// A command turns flags and arguments into calls of the API and prints what comes back. It decides nothing about Pods.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hull-pods/hull/internal/cli/apply"
	"github.com/hull-pods/hull/internal/cli/complete"
	"github.com/hull-pods/hull/internal/cli/console"
	"github.com/hull-pods/hull/internal/cli/describe"
	"github.com/hull-pods/hull/internal/cli/env"
	"github.com/hull-pods/hull/internal/cli/exec"
	"github.com/hull-pods/hull/internal/cli/follow"
	"github.com/hull-pods/hull/internal/cli/get"
	"github.com/hull-pods/hull/internal/cli/hulld"
	"github.com/hull-pods/hull/internal/cli/image"
	"github.com/hull-pods/hull/internal/cli/inspect"
	"github.com/hull-pods/hull/internal/cli/logs"
	"github.com/hull-pods/hull/internal/cli/pod"
	"github.com/hull-pods/hull/internal/cli/remove"
	"github.com/hull-pods/hull/internal/cli/system"
	"github.com/hull-pods/hull/internal/client"
	"github.com/hull-pods/hull/internal/ui"
)

// exitError is the exit code of all errors that have none of their own.
const exitError = 1

// Main runs one command line and returns the exit code.
func Main(args []string, version string, in io.Reader, out, errw io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// What goes on after Ctrl-C, goes on until the next one, unless the command has something to do at that.
	defer context.AfterFunc(ctx, stop)()
	e := &env.Env{Console: console.Console{In: in, Out: out, Err: errw}, Version: version}
	e.Hull = hulld.Hull{Say: e.Warnf}
	cmd := command(e, args)
	cmd.SetArgs(args)
	cmd.SetIn(in)
	cmd.SetOut(out)
	cmd.SetErr(errw)
	return report(ctx, errw, cmd.ExecuteContext(ctx))
}

// report says what went wrong, and returns the exit code. Nobody needs to be told of an interruption of their own.
func report(ctx context.Context, errw io.Writer, err error) int {
	if err == nil {
		return 0
	}
	code := exitError
	var coded *console.CodeError
	var exit *client.ExitError
	switch {
	case interrupted(ctx, err):
		code = console.Interrupted
	case errors.As(err, &coded):
		code = coded.Code
	case errors.As(err, &exit):
		code = exit.Code
	}
	for _, one := range apart(err) {
		text := one.Error()
		if text == "" || interrupted(ctx, one) {
			continue
		}
		var status *client.StatusError
		if !errors.As(one, &status) && !errors.As(one, &exit) {
			text = "error: " + text
		}
		_, _ = fmt.Fprintln(errw, ui.Printable(text))
	}
	return code
}

func interrupted(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, context.Canceled)
}

// apart is the errors that were joined, each of which is told in its own words.
func apart(err error) []error {
	if coded, ok := err.(*console.CodeError); ok && coded.Err != nil {
		return apart(coded.Err)
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, one := range joined.Unwrap() {
		all = append(all, apart(one)...)
	}
	return all
}

// verb is a command by its name.
type verb struct {
	name, group string
	make        func(*env.Env) *cobra.Command
}

// commands are in the order of the help.
var commands = []verb{
	{"run", "pods", follow.Command},
	{"apply", "pods", apply.Command},
	{"get", "pods", get.Command},
	{"describe", "pods", describe.Command},
	{"logs", "pods", logs.Command},
	{"exec", "pods", exec.Command},
	{"delete", "pods", remove.Command},
	{"inspect", "pods", inspect.Command},
	{"image", "host", image.Command},
	{"system", "host", system.Command},
	{"version", "host", versionCommand},
}

// command is hull with the command that the arguments begin with, or with all.
func command(e *env.Env, args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "hull",
		Short: "Run Kubernetes Pods on this host, with no cluster",
		Long: `hull runs Kubernetes Pods on this Linux host, with no cluster: one Pod manifest in, the kubelet's behaviour out.

It starts its daemon, hulld, by itself when it does not run.`,
		Example: `  # Run a Pod and follow its output; Ctrl-C removes it
  hull run pod.yaml

  # Run it in the background, look at it, look inside, remove it
  hull run -d pod.yaml
  hull get pods -o wide
  hull inspect web
  hull exec web -- ls /
  hull delete pod web`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.HiddenDefaultCmd = false
	flags := root.PersistentFlags()
	flags.StringVar(&e.Root, "root", envOr("HULL_ROOT", "/var/lib/hull"), "directory of objects, images and volumes ($HULL_ROOT)")
	flags.StringVar(&e.State, "state", envOr("HULL_STATE", "/run/hull"), "directory of sockets and running Pods' state ($HULL_STATE)")
	flags.StringVarP(&e.Namespace, "namespace", "n", "default", "namespace of the Pods")
	_ = root.RegisterFlagCompletionFunc("namespace", complete.Namespaces(e))
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w\nSee '%s --help' for usage", err, cmd.CommandPath())
	})
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return settle(e, cmd) }
	root.AddGroup(&cobra.Group{ID: "pods", Title: "Pods:"}, &cobra.Group{ID: "host", Title: "Images and the host:"})
	wanted := commands
	if len(args) > 0 {
		// A command line names one command: the others would be made for nothing.
		if i := slices.IndexFunc(commands, func(v verb) bool { return v.name == args[0] }); i >= 0 {
			wanted = commands[i : i+1]
			root.CompletionOptions.DisableDefaultCmd = true
		}
	}
	for _, v := range wanted {
		c := v.make(e)
		c.GroupID = v.group
		root.AddCommand(c)
	}
	return root
}

// socketPath is how long the kernel lets the path of a unix socket be.
const socketPath = 107

// settle makes of the flags that all commands share what a command works with.
func settle(e *env.Env, cmd *cobra.Command) error {
	e.NamespaceSet = cmd.Flags().Changed("namespace")
	if e.Namespace == "" {
		e.Namespace, e.NamespaceSet = "default", false
	}
	if err := pod.ValidNamespace(e.Namespace); err != nil {
		return err
	}
	for _, dir := range []*string{&e.Root, &e.State} { // keeper and hulld have another working directory
		if *dir == "" {
			return errors.New("--root and --state may not be empty")
		}
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return err
		}
		*dir = abs
	}
	if len(filepath.Join(e.State, "keeper.sock")) > socketPath {
		return fmt.Errorf("--state %s is too long: the path of a socket in it has %d bytes at most", e.State, socketPath)
	}
	if !cmd.Flags().Changed("root") && os.Getenv("HULL_ROOT") == "" {
		return nil
	}
	return e.Agree()
}

func envOr(name, fallback string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return fallback
}
