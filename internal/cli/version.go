package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/hull-pods/hull/internal/client"
)

func (a *app) versionCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of hull, and of hulld if it runs",
		Example: "  hull version -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := map[string]any{"clientVersion": map[string]any{"gitVersion": a.version}}
			var server map[string]any
			if c, running := a.running(); running {
				if err := c.Do(cmd.Context(), client.Request{Path: "/version"}, &server); err != nil {
					return err
				}
				out["serverVersion"] = server
			}
			switch output {
			case "":
				a.printf("Client Version: %s\n", a.version)
				if server != nil {
					a.printf("Server Version: %v\n", server["gitVersion"])
				}
				return nil
			case "json", "yaml":
				return a.printAs(output, out)
			default:
				return fmt.Errorf(`--output must be "yaml" or "json"`)
			}
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "json or yaml")
	complete(cmd, "output", "json", "yaml")
	return cmd
}

// printAs prints a value as "json" or "yaml".
func (a *app) printAs(format string, v any) error {
	var data []byte
	var err error
	if format == "yaml" {
		data, err = yaml.Marshal(v)
	} else {
		data, err = json.MarshalIndent(v, "", "  ")
		data = append(data, '\n')
	}
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	_, err = a.out.Write(data)
	return err
}
