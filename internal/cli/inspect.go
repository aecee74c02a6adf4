package cli

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hull-pods/hull/internal/api/v1alpha1"
	"github.com/hull-pods/hull/internal/client"
	"github.com/hull-pods/hull/internal/ui"
)

func (a *app) inspectCommand() *cobra.Command {
	var output string
	var birth bool
	cmd := &cobra.Command{
		Use:   "inspect POD",
		Short: "Show a Pod as the kernel has it: processes, namespaces, cgroups, network, volumes",
		Long: `Show a Pod as the kernel has it: its infra container and every container with PID, cgroup and the inode of each
namespace, so that the shared ones are seen to be equal; addresses and interfaces; volumes and where they are mounted.`,
		Example: `  hull inspect web
  hull inspect web -o json
  hull inspect web --birth`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completePods(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			var s v1alpha1.Sandbox
			q := url.Values{}
			if birth {
				q.Set("birth", "true")
			}
			path := own("namespaces/" + a.namespace + "/sandboxes/" + strings.TrimPrefix(args[0], "pod/"))
			if err := c.Do(cmd.Context(), client.Request{Path: path, Query: q}, &s); err != nil {
				return err
			}
			switch output {
			case "":
				return a.printSandbox(&s)
			case "json", "yaml":
				return a.printAs(output, &s)
			default:
				return fmt.Errorf(`--output must be "yaml" or "json"`)
			}
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "json or yaml")
	complete(cmd, "output", "json", "yaml")
	cmd.Flags().BoolVar(&birth, "birth", false, "the system calls by which each process was made")
	return cmd
}

// namespaceOrder is that of the table: the shared ones first.
var namespaceOrder = []string{"net", "ipc", "uts", "mnt", "pid", "user", "cgroup"}

func (a *app) printSandbox(s *v1alpha1.Sandbox) error {
	a.printf("Pod:        %s/%s\n", s.Namespace, s.Name)
	a.printf("Sandbox:    %s (%s)\n", s.ID, s.State)
	a.printf("Cgroup:     %s\n", s.Cgroup)
	if s.Interface != "" {
		a.printf("Network:    %s, %s in the Pod, %s on the host\n\n", strings.Join(s.IPs, ", "), s.Interface, s.HostInterface)
	} else {
		a.printf("Network:    the host's\n\n")
	}
	processes := append([]v1alpha1.Process{s.Infra}, s.Containers...)
	header := []string{"CONTAINER", "STATE", "PID"}
	for _, ns := range namespaceOrder {
		header = append(header, strings.ToUpper(ns))
	}
	lines := [][]string{header}
	for _, p := range processes {
		line := []string{p.Name, strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(p.State, "CONTAINER_"), "SANDBOX_")), "-"}
		if p.PID != 0 {
			line[2] = strconv.Itoa(p.PID)
		}
		for _, ns := range namespaceOrder {
			inode := "-"
			if n := p.Namespaces[ns]; n != 0 {
				inode = strconv.FormatUint(n, 10)
			}
			line = append(line, inode)
		}
		lines = append(lines, line)
	}
	if err := ui.WriteColumns(a.out, lines, nil); err != nil {
		return err
	}
	a.printf("\n")
	lines = [][]string{{"CONTAINER", "CGROUP"}}
	for _, p := range processes {
		lines = append(lines, []string{p.Name, p.Cgroup})
	}
	if err := ui.WriteColumns(a.out, lines, nil); err != nil {
		return err
	}
	if err := a.printVolumes(s.Volumes); err != nil {
		return err
	}
	for _, p := range processes {
		if p.Birth != "" {
			a.printf("\nBirth of %s:\n%s\n", p.Name, strings.TrimRight(p.Birth, "\n"))
		}
	}
	return nil
}

func (a *app) printVolumes(volumes []v1alpha1.Volume) error {
	if len(volumes) == 0 {
		return nil
	}
	a.printf("\n")
	lines := [][]string{{"VOLUME", "KIND", "ON THE HOST", "IN", "AT", "ACCESS"}}
	for _, v := range volumes {
		for _, m := range v.Mounts {
			access := "rw"
			if m.ReadOnly {
				access = "ro"
			}
			lines = append(lines, []string{v.Name, v.Kind, v.Path, m.Container, m.Path, access})
		}
	}
	return ui.WriteColumns(a.out, lines, nil)
}
