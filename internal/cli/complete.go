package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hull-pods/hull/internal/api/v1alpha1"
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
		var list struct{ Items []podHead }
		if !a.ask(cmd.Context(), a.podPath(""), &list) {
			return nil, cobra.ShellCompDirectiveNoFileComp
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

// complete completes a flag with fixed words.
func complete(cmd *cobra.Command, flag string, words ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// completeNamespaces completes with the namespaces that Pods are in.
func (a *app) completeNamespaces(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	var list struct{ Items []podHead }
	if !a.ask(cmd.Context(), "/api/v1/pods", &list) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, p := range list.Items {
		if ns := p.Metadata.Namespace; strings.HasPrefix(ns, prefix) && !slices.Contains(names, ns) {
			names = append(names, ns)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeImages completes with the names of images.
func (a *app) completeImages(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	var list v1alpha1.ImageList
	if !a.ask(cmd.Context(), own("images"), &list) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, im := range list.Items {
		for _, n := range im.Names {
			if strings.HasPrefix(n, prefix) && !slices.Contains(args, n) {
				names = append(names, n)
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// ask gets a list or an object from a hulld that runs.
func (a *app) ask(ctx context.Context, path string, out any) bool {
	c, running := a.running()
	if !running {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, completionLimit)
	defer cancel()
	return c.Do(ctx, client.Request{Path: path}, out) == nil
}

// completeContainers completes with the containers of the Pod that is named already.
func (a *app) completeContainers(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	p := &pod{}
	if len(args) == 0 || !a.ask(cmd.Context(), a.podPath(strings.TrimPrefix(args[0], "pod/")), p) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := slices.DeleteFunc(p.containerNames(), func(n string) bool { return !strings.HasPrefix(n, prefix) })
	return names, cobra.ShellCompDirectiveNoFileComp
}
