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
	"github.com/hull-pods/hull/internal/cli/remove"
	"github.com/hull-pods/hull/internal/cli/system"
	"github.com/hull-pods/hull/internal/client"
	"github.com/hull-pods/hull/internal/ui"
)

// exitUsage is the exit code for all errors that have none of their own.
const exitUsage = 1

// Main runs one command line and returns the exit code.
func Main(args []string, version string, in io.Reader, out, errw io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	e := &env.Env{Console: console.Console{In: in, Out: out, Err: errw}, Version: version}
	e.Hull = hulld.Hull{Say: e.Warnf}
	cmd := command(e)
	cmd.SetArgs(args)
	cmd.SetIn(in)
	cmd.SetOut(out)
	cmd.SetErr(errw)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	code := exitUsage
	var coded *console.CodeError
	var exit *client.ExitError
	switch {
	case errors.As(err, &coded):
		code = coded.Code
	case errors.As(err, &exit):
		code = exit.Code
	}
	if text := err.Error(); text != "" {
		var status *client.StatusError
		if !errors.As(err, &status) && exit == nil {
			text = "error: " + text
		}
		_, _ = fmt.Fprintln(errw, ui.Printable(text))
	}
	return code
}

func command(e *env.Env) *cobra.Command {
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
	root.PersistentPreRun = func(cmd *cobra.Command, _ []string) { e.NamespaceSet = cmd.Flags().Changed("namespace") }
	root.AddGroup(&cobra.Group{ID: "pods", Title: "Pods:"}, &cobra.Group{ID: "host", Title: "Images and the host:"})
	for _, c := range []*cobra.Command{
		follow.Command(e), apply.Command(e), get.Command(e), describe.Command(e), logs.Command(e), exec.Command(e),
		remove.Command(e), inspect.Command(e),
	} {
		c.GroupID = "pods"
		root.AddCommand(c)
	}
	for _, c := range []*cobra.Command{image.Command(e), system.Command(e), versionCommand(e)} {
		c.GroupID = "host"
		root.AddCommand(c)
	}
	return root
}

func envOr(name, fallback string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return fallback
}
