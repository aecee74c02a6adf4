// Package inspect is hull inspect: a Pod as the kernel has it.
package inspect

import (
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hull-pods/hull/internal/api/v1alpha1"
	"github.com/hull-pods/hull/internal/cli/complete"
	"github.com/hull-pods/hull/internal/cli/console"
	"github.com/hull-pods/hull/internal/cli/env"
	"github.com/hull-pods/hull/internal/cli/hulld"
	"github.com/hull-pods/hull/internal/cli/pod"
	"github.com/hull-pods/hull/internal/client"
	"github.com/hull-pods/hull/internal/ui"
)

// Command is hull inspect.
func Command(e *env.Env) *cobra.Command {
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
		Args:              console.Args("inspect (POD | TYPE/NAME)", "POD or TYPE/NAME", 1, 1),
		ValidArgsFunction: complete.One(complete.Pods(e, 0)),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := pod.Name(args[0])
			if err != nil {
				return err
			}
			var s v1alpha1.Sandbox
			q := url.Values{}
			if birth {
				q.Set("birth", "true")
			}
			path := hulld.Own("namespaces/" + e.Namespace + "/sandboxes/" + name)
			if err := e.Do(cmd.Context(), client.Request{Path: path, Query: q}, &s); err != nil {
				return err
			}
			if output != "" {
				return e.PrintAs(output, &s)
			}
			return printSandbox(e, &s)
		},
	}
	complete.Output(cmd, &output)
	cmd.Flags().BoolVar(&birth, "birth", false, "the system calls by which each process was made")
	return cmd
}

// namespaceOrder is that of the table: the shared ones first.
var namespaceOrder = []string{"net", "ipc", "uts", "mnt", "pid", "user", "cgroup"}

func printSandbox(e *env.Env, s *v1alpha1.Sandbox) error {
	e.Printf("Pod:        %s/%s\n", s.Namespace, s.Name)
	e.Printf("Sandbox:    %s (%s)\n", s.ID, s.State)
	e.Printf("Cgroup:     %s\n", s.Cgroup)
	if s.Interface != "" {
		e.Printf("Network:    %s, %s in the Pod, %s on the host\n\n", strings.Join(s.IPs, ", "), s.Interface, s.HostInterface)
	} else {
		e.Printf("Network:    the host's\n\n")
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
	if err := ui.WriteTable(e.Out, lines); err != nil {
		return err
	}
	e.Printf("\n")
	lines = [][]string{{"CONTAINER", "CGROUP"}}
	for _, p := range processes {
		lines = append(lines, []string{p.Name, p.Cgroup})
	}
	if err := ui.WriteTable(e.Out, lines); err != nil {
		return err
	}
	if err := printVolumes(e, s.Volumes); err != nil {
		return err
	}
	for _, p := range processes {
		if p.Birth != "" {
			e.Printf("\nBirth of %s:\n%s\n", p.Name, strings.TrimRight(p.Birth, "\n"))
		}
	}
	return nil
}

func printVolumes(e *env.Env, volumes []v1alpha1.Volume) error {
	if len(volumes) == 0 {
		return nil
	}
	e.Printf("\n")
	lines := [][]string{{"VOLUME", "KIND", "ON THE HOST", "IN", "AT", "ACCESS"}}
	for _, v := range volumes {
		if len(v.Mounts) == 0 {
			lines = append(lines, []string{v.Name, v.Kind, v.Path, "-", "-", "-"})
		}
		for _, m := range v.Mounts {
			access := "rw"
			if m.ReadOnly {
				access = "ro"
			}
			lines = append(lines, []string{v.Name, v.Kind, filepath.Join(v.Path, m.SubPath), m.Container, m.Path, access})
		}
	}
	return ui.WriteTable(e.Out, lines)
}
