// Package cli holds hull's commands: kubectl's words where kubectl has them, podman's where it does not.
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
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hull-pods/hull/internal/client"
	"github.com/hull-pods/hull/internal/ui"
)

// Exit codes of hull itself; a command that runs a container's command passes that one's code on.
const (
	exitUsage = 1
	exitHull  = 125 // hull run: Hull, not a container, failed
)

// app is what every command has: its streams, and which Hull it speaks to.
type app struct {
	in       io.Reader
	out, err io.Writer
	version  string

	root, state string
	namespace   string
	// namespaceSet says that the user named one: it must then agree with the manifests.
	namespaceSet bool
}

// codeError ends the program with a code of its own, and prints its text if it has one.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *codeError) Unwrap() error { return e.err }

// Main runs one command line and returns the exit code.
func Main(args []string, version string, in io.Reader, out, errw io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{in: in, out: out, err: errw, version: version}
	cmd := a.command()
	cmd.SetArgs(args)
	cmd.SetIn(in)
	cmd.SetOut(out)
	cmd.SetErr(errw)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	code := exitUsage
	var coded *codeError
	var exit *client.ExitError
	switch {
	case errors.As(err, &coded):
		code = coded.code
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

func (a *app) command() *cobra.Command {
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
	flags.StringVar(&a.root, "root", envOr("HULL_ROOT", "/var/lib/hull"), "directory of objects, images and volumes ($HULL_ROOT)")
	flags.StringVar(&a.state, "state", envOr("HULL_STATE", "/run/hull"), "directory of sockets and running Pods' state ($HULL_STATE)")
	flags.StringVarP(&a.namespace, "namespace", "n", "default", "namespace of the Pods")
	_ = root.RegisterFlagCompletionFunc("namespace", a.completeNamespaces)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w\nSee '%s --help' for usage", err, cmd.CommandPath())
	})
	root.PersistentPreRun = func(cmd *cobra.Command, _ []string) { a.namespaceSet = cmd.Flags().Changed("namespace") }
	root.AddGroup(&cobra.Group{ID: "pods", Title: "Pods:"}, &cobra.Group{ID: "host", Title: "Images and the host:"})
	for _, c := range []*cobra.Command{
		a.runCommand(), a.applyCommand(), a.getCommand(), a.describeCommand(), a.logsCommand(), a.execCommand(),
		a.deleteCommand(), a.inspectCommand(),
	} {
		c.GroupID = "pods"
		root.AddCommand(c)
	}
	for _, c := range []*cobra.Command{a.imageCommand(), a.systemCommand(), a.versionCommand()} {
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

func (a *app) socket() string { return filepath.Join(a.state, "hull.sock") }

// podPath is the API's path of a Pod, or of all Pods of the namespace when name is empty.
func (a *app) podPath(name string) string {
	p := "/api/v1/namespaces/" + a.namespace + "/pods"
	if name != "" {
		p += "/" + name
	}
	return p
}

func (a *app) printf(format string, args ...any) {
	_, _ = io.WriteString(a.out, ui.Printable(fmt.Sprintf(format, args...)))
}
func (a *app) warnf(format string, args ...any) {
	_, _ = io.WriteString(a.err, ui.Printable(fmt.Sprintf(format, args...)))
}
