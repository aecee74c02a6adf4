package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hull-pods/hull/internal/client"
)

// completionLimit is how long a shell waits for names at the press of a key.
const completionLimit = 2 * time.Second

// completePods completes words before position with the given ones, and names of Pods from there on.
func (a *app) completePods(position int, words ...string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) < position {
			return words, cobra.ShellCompDirectiveNoFileComp
		}
		c, running := a.running()
		if !running {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionLimit)
		defer cancel()
		var list struct{ Items []pod }
		if err := c.Do(ctx, client.Request{Path: a.podPath("")}, &list); err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var names []string
		for _, p := range list.Items {
			if strings.HasPrefix(p.Metadata.Name, prefix) && !slices.Contains(args, p.Metadata.Name) {
				names = append(names, p.Metadata.Name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeContainers completes with the containers of the Pod that is named already.
func (a *app) completeContainers(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	c, running := a.running()
	if !running || len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionLimit)
	defer cancel()
	p, err := a.pod(ctx, c, strings.TrimPrefix(args[0], "pod/"))
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names := slices.DeleteFunc(p.containerNames(), func(n string) bool { return !strings.HasPrefix(n, prefix) })
	return names, cobra.ShellCompDirectiveNoFileComp
}
