// Package complete tells a shell how the word before the cursor may go on: names of Pods, containers and images, and fixed words.
package complete

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hull-pods/hull/internal/api/v1alpha1"
	"github.com/hull-pods/hull/internal/cli/env"
	"github.com/hull-pods/hull/internal/cli/hulld"
	"github.com/hull-pods/hull/internal/cli/pod"
	"github.com/hull-pods/hull/internal/client"
)

// limit is how long a shell waits for names at the press of a key.
const limit = 2 * time.Second

// Pods completes words before position with the given ones, and names of Pods from there on, or where the word has begun
// with their type: pod/NAME.
func Pods(e *env.Env, position int, words ...string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		kind := ""
		if typed, rest, ok := strings.Cut(prefix, "/"); ok && pod.IsType(typed) {
			kind, prefix = typed+"/", rest
		} else if len(args) > 0 && prefix == "" {
			if typed, _, ok := strings.Cut(args[0], "/"); ok {
				kind = typed + "/"
			}
		}
		if len(args) < position && kind == "" {
			return words, cobra.ShellCompDirectiveNoFileComp
		}
		var list struct{ Items []pod.Head }
		if position > 0 && len(args) > 0 && args[0] == "events" || !ask(cmd.Context(), e, pod.All(e.Namespace), &list) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, p := range list.Items {
			if name := kind + p.Metadata.Name; strings.HasPrefix(p.Metadata.Name, prefix) && !slices.Contains(args, name) {
				names = append(names, name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// One completes the first word alone.
func One(first cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return first(cmd, args, prefix)
	}
}

// PodAndContainer completes a Pod, and then one of its containers.
func PodAndContainer(e *env.Env) cobra.CompletionFunc {
	pods, containers := One(Pods(e, 0)), Containers(e)
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 1 {
			return containers(cmd, args, prefix)
		}
		return pods(cmd, args, prefix)
	}
}

// Flag completes a flag with fixed words.
func Flag(cmd *cobra.Command, flag string, words ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// Output gives a command the flag -o, for what it prints as it came.
func Output(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", "", "json or yaml")
	Flag(cmd, "output", "json", "yaml")
}

// Namespaces completes with the namespaces that Pods are in.
func Namespaces(e *env.Env) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		var list struct{ Items []pod.Head }
		if !ask(cmd.Context(), e, "/api/v1/pods", &list) {
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
}

// Images completes with the names of images.
func Images(e *env.Env) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		var list v1alpha1.ImageList
		if !ask(cmd.Context(), e, hulld.Own("images"), &list) {
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
}

// ask gets a list or an object from a hulld that runs.
func ask(ctx context.Context, e *env.Env, path string, out any) bool {
	c, running := e.Running(ctx)
	if !running {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return c.Do(ctx, client.Request{Path: path}, out) == nil
}

// Containers completes with the containers of the Pod that is named already.
func Containers(e *env.Env) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		p := &pod.Pod{}
		name, err := pod.Name(args[0])
		if err != nil || !ask(cmd.Context(), e, e.PodPath(name), p) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names := slices.DeleteFunc(p.ContainerNames(), func(n string) bool { return !strings.HasPrefix(n, prefix) })
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
