// Package remove is hull delete.
package remove

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/hull-pods/hull/internal/cli/complete"
	"github.com/hull-pods/hull/internal/cli/env"
	"github.com/hull-pods/hull/internal/cli/manifest"
	"github.com/hull-pods/hull/internal/cli/pod"
	"github.com/hull-pods/hull/internal/client"
)

type options struct {
	files    []string
	grace    int64
	now      bool
	force    bool
	wait     bool
	all      bool
	ignore   bool
	selector string
	timeout  time.Duration
}

// Command is hull delete.
func Command(e *env.Env) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "delete ([-f FILENAME] | pod NAME... | pods (-l SELECTOR | --all))",
		Short: "Delete Pods, gracefully",
		Example: `  hull delete pod web
  hull delete -f pod.yaml --grace-period 1
  hull delete pods --all`,
		ValidArgsFunction: complete.Pods(e, 1, "pod"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(args); err != nil {
				return err
			}
			return remove(cmd.Context(), e, o, args)
		},
	}
	f := cmd.Flags()
	f.StringSliceVarP(&o.files, "filename", "f", nil, "file, directory or - that names the Pods to delete")
	f.Int64Var(&o.grace, "grace-period", -1, "seconds between SIGTERM and SIGKILL; negative: the Pod's own")
	f.BoolVar(&o.now, "now", false, "the same as --grace-period=1")
	f.BoolVar(&o.force, "force", false, "with --grace-period=0: kill at once")
	f.BoolVar(&o.wait, "wait", true, "return when the Pods are gone")
	f.BoolVar(&o.all, "all", false, "all Pods of the namespace")
	f.BoolVar(&o.ignore, "ignore-not-found", false, "a Pod that does not exist is no error")
	f.StringVarP(&o.selector, "selector", "l", "", "labels of the Pods to delete")
	f.DurationVar(&o.timeout, "timeout", 0, "give up waiting after this long")
	return cmd
}

// check refuses what contradicts itself, in kubectl's words.
func (o *options) check(args []string) error {
	switch {
	case o.now && o.grace != -1:
		return errors.New("--now and --grace-period cannot be specified together")
	case o.force && (o.now || o.grace > 0):
		return errors.New("--force and --grace-period greater than 0 cannot be specified together")
	case o.all && o.selector != "":
		return errors.New("cannot set --all and --selector at the same time")
	case len(o.files) > 0 && (len(args) > 0 || o.all || o.selector != ""):
		return errors.New("when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well")
	}
	return nil
}

func remove(ctx context.Context, e *env.Env, o options, args []string) error {
	c, running := e.Running(ctx)
	targets, err := targetsOf(ctx, e, c, o, args)
	if err != nil && len(targets) == 0 {
		return err
	}
	failed := []error{err} // of some documents; the others are not worse for it
	if !running {
		if c, err = e.Connect(ctx); err != nil {
			return err
		}
		if o.all || o.selector != "" {
			if targets, err = targetsOf(ctx, e, c, o, args); err != nil {
				return err
			}
		}
	}
	if len(targets) == 0 {
		e.Printf("No resources found\n")
		return nil
	}
	waiting := ctx // the time limit is the waiting's: what is asked for is asked for
	if o.timeout > 0 {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeoutCause(ctx, o.timeout, errors.New("timed out waiting for the condition"))
		defer cancel()
	}
	var gone errgroup.Group
	for _, t := range targets {
		deleted, err := ask(ctx, e, c, o, t)
		if err != nil {
			if !o.ignore || !client.IsNotFound(err) {
				failed = append(failed, err)
			}
			continue
		}
		if o.wait {
			gone.Go(func() error {
				err := pod.WaitGone(waiting, c, t.Ref, deleted.Metadata.UID)
				if err != nil && waiting.Err() != nil {
					err = context.Cause(waiting)
					if ctx.Err() == nil {
						err = fmt.Errorf("%w on pods/%s", err, t.Name)
					}
				}
				return err
			})
		}
	}
	return errors.Join(append(failed, gone.Wait())...)
}

// target is a Pod to delete, and the file that names it if one does.
type target struct {
	pod.Ref
	source string
}

func targetsOf(ctx context.Context, e *env.Env, c *client.Client, o options, args []string) ([]target, error) {
	var list []target
	if len(o.files) > 0 {
		manifests, err := manifest.Read(o.files, e.Input(ctx))
		failed := []error{err}
		for _, m := range manifests {
			ns, err := e.NamespaceOf(m.Namespace)
			if err == nil {
				err = pod.Valid(m.Name)
			}
			if err != nil {
				failed = append(failed, fmt.Errorf("error when deleting %q: %w", m.Source, err))
				continue
			}
			list = append(list, target{Ref: pod.Ref{Namespace: ns, Name: m.Name}, source: m.Source})
		}
		return list, errors.Join(failed...)
	}
	names, err := pod.Args(args)
	if err != nil {
		return nil, err
	}
	if o.all || o.selector != "" {
		if len(names) > 0 {
			return nil, errors.New("name cannot be provided when a selector is specified")
		}
		if c == nil {
			return nil, nil
		}
		refs, err := pod.List(ctx, c, e.Namespace, o.selector)
		for _, r := range refs {
			list = append(list, target{Ref: r})
		}
		return list, err
	}
	if len(names) == 0 {
		return nil, errors.New("resource(s) were provided, but no name was specified")
	}
	for _, n := range names {
		list = append(list, target{Ref: pod.Ref{Namespace: e.Namespace, Name: n}})
	}
	return list, nil
}

func ask(ctx context.Context, e *env.Env, c *client.Client, o options, t target) (pod.Head, error) {
	body := map[string]any{"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
	switch {
	case o.now:
		body["gracePeriodSeconds"] = 1
	case o.force && o.grace < 0:
		body["gracePeriodSeconds"] = 0
	case o.grace == 0 && !o.force:
		body["gracePeriodSeconds"] = 1 // as kubectl: 0 means "at once, whether or not it is gone", and wants --force
	case o.grace >= 0:
		body["gracePeriodSeconds"] = o.grace
	}
	var deleted pod.Head
	if err := c.Do(ctx, client.Request{Method: "DELETE", Path: t.Path(), Body: body}, &deleted); err != nil {
		if t.source != "" {
			err = client.Explain("deleting", t.source, err)
		}
		return pod.Head{}, err
	}
	verb := "deleted"
	if o.force {
		verb = "force deleted"
	}
	e.Printf("pod %q %s from %s namespace\n", t.Name, verb, t.Namespace)
	return deleted, nil
}
