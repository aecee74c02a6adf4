package cli

import (
	"github.com/spf13/cobra"

	"github.com/hull-pods/hull/internal/cli/complete"
	"github.com/hull-pods/hull/internal/cli/env"
	"github.com/hull-pods/hull/internal/client"
)

func versionCommand(e *env.Env) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of hull, and of hulld if it runs",
		Example: "  hull version -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := map[string]any{"clientVersion": map[string]any{"gitVersion": e.Version}}
			var server map[string]any
			if c, running := e.Running(cmd.Context()); running {
				if err := c.Do(cmd.Context(), client.Request{Path: "/version"}, &server); err != nil {
					return err
				}
				out["serverVersion"] = server
			}
			if output != "" {
				return e.PrintAs(output, out)
			}
			e.Printf("Client Version: %s\n", e.Version)
			if server != nil {
				e.Printf("Server Version: %v\n", server["gitVersion"])
			}
			return nil
		},
	}
	complete.Output(cmd, &output)
	return cmd
}
