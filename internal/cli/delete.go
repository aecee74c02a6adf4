package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/hull-pods/hull/internal/client"
)

type deleteOptions struct {
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

func (a *app) deleteCommand() *cobra.Command {
	var o deleteOptions
	cmd := &cobra.Command{
		Use:   "delete ([-f FILENAME] | pod NAME... | pods (-l SELECTOR | --all))",
		Short: "Delete Pods, gracefully",
		Example: `  hull delete pod web
  hull delete -f pod.yaml --grace-period 1
  hull delete pods --all`,
		ValidArgsFunction: a.completePods(1, "pod"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.delete(cmd.Context(), o, args)
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

type target struct{ namespace, name string }

func (a *app) delete(ctx context.Context, o deleteOptions, args []string) error {
	c, running := a.running()
	targets, err := a.deleteTargets(ctx, c, o, args)
	if err != nil {
		return err
	}
	if !running {
		if c, err = a.connect(ctx); err != nil {
			return err
		}
		if o.all || o.selector != "" {
			if targets, err = a.deleteTargets(ctx, c, o, args); err != nil {
				return err
			}
		}
	}
	if len(targets) == 0 {
		a.printf("No resources found\n")
		return nil
	}
	waiting := ctx // the time limit is the waiting's: what is asked for is asked for
	if o.timeout > 0 {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeoutCause(ctx, o.timeout, errors.New("timed out waiting for the condition on pods"))
		defer cancel()
	}
	var failed []error
	var gone errgroup.Group
	for _, t := range targets {
		deleted, err := a.deletePod(ctx, c, o, t)
		if err != nil {
			if !o.ignore || !client.IsNotFound(err) {
				failed = append(failed, err)
			}
			continue
		}
		if o.wait {
			gone.Go(func() error {
				err := waitGone(waiting, c, t, deleted.Metadata.UID)
				if err != nil && waiting.Err() != nil {
					return context.Cause(waiting)
				}
				return err
			})
		}
	}
	return errors.Join(append(failed, gone.Wait())...)
}

func (a *app) deleteTargets(ctx context.Context, c *client.Client, o deleteOptions, args []string) ([]target, error) {
	var list []target
	if len(o.files) > 0 {
		manifests, err := a.readManifests(o.files)
		if err != nil {
			return nil, err
		}
		for _, m := range manifests {
			ns, err := a.namespaceOf(m)
			if err != nil {
				return nil, err
			}
			list = append(list, target{ns, m.name})
		}
		return list, nil
	}
	names, err := podArgs(args)
	if err != nil {
		return nil, err
	}
	if o.all || o.selector != "" {
		if len(names) > 0 {
			return nil, errors.New("name cannot be provided when a selector or --all is specified")
		}
		if c == nil {
			return nil, nil
		}
		return a.listTargets(ctx, c, o.selector)
	}
	if len(names) == 0 {
		return nil, errors.New("resource(s) were provided, but no name was specified")
	}
	for _, n := range names {
		list = append(list, target{a.namespace, n})
	}
	return list, nil
}

func (a *app) listTargets(ctx context.Context, c *client.Client, selector string) ([]target, error) {
	var pods struct{ Items []podHead }
	err := c.Do(ctx, client.Request{Path: a.podPath(""), Query: url.Values{"labelSelector": {selector}}}, &pods)
	var list []target
	for _, p := range pods.Items {
		list = append(list, target{p.Metadata.Namespace, p.Metadata.Name})
	}
	return list, err
}

// podArgs takes "pod NAME…", "pods NAME…" and "pod/NAME…" apart.
func podArgs(args []string) ([]string, error) {
	if len(args) == 0 {
		return nil, errors.New("you must provide one or more resources by argument or filename")
	}
	if isPodWord(args[0]) {
		return args[1:], nil
	}
	var names []string
	for _, arg := range args {
		kind, name, ok := strings.Cut(arg, "/")
		if !ok {
			return nil, fmt.Errorf("the server doesn't have a resource type %q: did you mean \"pod %s\"?", arg, arg)
		}
		if !isPodWord(kind) {
			return nil, fmt.Errorf("the server doesn't have a resource type %q", kind)
		}
		names = append(names, name)
	}
	return names, nil
}

func isPodWord(s string) bool { return s == "pod" || s == "pods" || s == "po" }

func (a *app) deletePod(ctx context.Context, c *client.Client, o deleteOptions, t target) (podHead, error) {
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
	var deleted podHead
	path := "/api/v1/namespaces/" + t.namespace + "/pods/" + t.name
	if err := c.Do(ctx, client.Request{Method: "DELETE", Path: path, Body: body}, &deleted); err != nil {
		return podHead{}, err
	}
	verb := "deleted"
	if o.force {
		verb = "force deleted"
	}
	a.printf("pod %q %s from %s namespace\n", t.name, verb, t.namespace)
	return deleted, nil
}

// waitGone returns when the object that was deleted is gone, also if another one has its name by then.
func waitGone(ctx context.Context, c *client.Client, t target, uid string) error {
	base := "/api/v1/namespaces/" + t.namespace + "/pods"
	var now podHead
	err := c.Do(ctx, client.Request{Path: base + "/" + t.name}, &now)
	if client.IsNotFound(err) || err == nil && uid != "" && now.Metadata.UID != uid {
		return nil
	}
	if err != nil {
		return err
	}
	query := url.Values{"fieldSelector": {"metadata.name=" + t.name}, "resourceVersion": {now.Metadata.ResourceVersion}}
	return c.Watch(ctx, client.Request{Path: base, Query: query}, func(e client.Event) error {
		var p podHead
		if err := json.Unmarshal(e.Object, &p); err != nil {
			return fmt.Errorf("decode a watch event: %w", err)
		}
		if e.Type == "DELETED" || uid != "" && p.Metadata.UID != "" && p.Metadata.UID != uid {
			return client.ErrStop
		}
		return nil
	})
}
