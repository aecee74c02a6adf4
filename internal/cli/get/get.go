// Package get is hull get: lists and single objects, in every form that kubectl prints.
package get

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/hull-pods/hull/internal/cli/complete"
	"github.com/hull-pods/hull/internal/cli/env"
	"github.com/hull-pods/hull/internal/cli/pod"
	"github.com/hull-pods/hull/internal/client"
	"github.com/hull-pods/hull/internal/ui"
)

type options struct {
	output    string
	watch     bool
	watchOnly bool
	selector  string
	fields    string
	all       bool
	noHeaders bool
	labels    bool
	names     []string
	resource  string
}

// Command is hull get.
func Command(e *env.Env) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "get (pods|events) [NAME...]",
		Short: "List Pods, or their events",
		Example: `  hull get pods
  hull get pods -o wide -w
  hull get pod web -o jsonpath='{.status.podIP}'
  hull get events`,
		ValidArgsFunction: complete.Pods(e, 1, "pods", "events"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.parse(args); err != nil {
				return err
			}
			return get(cmd.Context(), e, o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "", "wide, yaml, json, name, jsonpath=TEMPLATE")
	f.BoolVarP(&o.watch, "watch", "w", false, "after listing, follow changes")
	f.BoolVar(&o.watchOnly, "watch-only", false, "follow changes without listing first")
	f.StringVarP(&o.selector, "selector", "l", "", "labels, such as app=web,tier!=db")
	f.StringVar(&o.fields, "field-selector", "", "fields, such as status.phase=Running")
	f.BoolVarP(&o.all, "all-namespaces", "A", false, "in every namespace")
	f.BoolVar(&o.noHeaders, "no-headers", false, "no line of column names")
	f.BoolVar(&o.labels, "show-labels", false, "labels as the last column")
	complete.Flag(cmd, "output", "wide", "yaml", "json", "name", "jsonpath=")
	return cmd
}

func (o *options) parse(args []string) error {
	if len(args) == 0 {
		return errors.New("required resource not specified: pods or events")
	}
	var err error
	if o.resource, o.names, err = pod.Split(args); err != nil {
		return err
	}
	switch {
	case len(o.names) > 0 && (o.selector != "" || o.fields != ""):
		return errors.New("name cannot be provided when a selector is specified")
	case len(o.names) > 0 && o.all:
		return errors.New("a resource cannot be retrieved by name across all namespaces")
	}
	return nil
}

func get(ctx context.Context, e *env.Env, o options) error {
	printer, err := ui.NewPrinter(ui.PrinterOptions{
		Output: o.output, Resource: o.resource, Namespaces: o.all, NoHeaders: o.noHeaders, Labels: o.labels, Each: o.watch, Several: len(o.names) > 1,
	})
	if err != nil {
		return err
	}
	c, err := e.Connect(ctx)
	if err != nil {
		return err
	}
	path := "/api/v1/namespaces/" + e.Namespace + "/" + o.resource
	if o.all {
		path = "/api/v1/" + o.resource
	}
	query := url.Values{}
	for k, v := range map[string]string{"labelSelector": o.selector, "fieldSelector": o.fields} {
		if v != "" {
			query.Set(k, v)
		}
	}
	if len(o.names) == 0 {
		return list(ctx, e, c, o, printer, path, query)
	}
	if o.watch || o.watchOnly {
		if len(o.names) != 1 {
			return errors.New("you may only specify a single resource to watch")
		}
		if err := c.Do(ctx, client.Request{Path: path + "/" + o.names[0]}, nil); err != nil {
			return err // a watch would wait for it
		}
		query.Set("fieldSelector", "metadata.name="+o.names[0])
		return list(ctx, e, c, o, printer, path, query)
	}
	return named(ctx, e, c, o, printer, path)
}

func named(ctx context.Context, e *env.Env, c *client.Client, o options, printer *ui.Printer, path string) error {
	var failed []error
	var found []json.RawMessage
	for _, name := range o.names {
		var data []byte
		if err := c.Do(ctx, client.Request{Path: path + "/" + name, Accept: accept(printer)}, &data); err != nil {
			failed = append(failed, err)
			continue
		}
		found = append(found, data)
	}
	if len(found) > 0 || len(o.names) > 1 && !printer.Table() {
		failed = append(failed, printer.Objects(e.Out, found))
	}
	return errors.Join(failed...)
}

func accept(p *ui.Printer) string {
	if p.Table() {
		return client.Table
	}
	return ""
}

func list(ctx context.Context, e *env.Env, c *client.Client, o options, printer *ui.Printer, path string, query url.Values) error {
	var answer []byte
	if err := c.Do(ctx, client.Request{Path: path, Query: query, Accept: accept(printer)}, &answer); err != nil {
		return err
	}
	if !o.watchOnly {
		n, err := printer.List(e.Out, answer)
		if err != nil {
			return err
		}
		if n == 0 && printer.Table() && !o.watch {
			where := " found in " + e.Namespace + " namespace."
			if o.all {
				where = " found"
			}
			e.Warnf("No resources%s\n", where)
		}
	}
	if !o.watch && !o.watchOnly {
		return nil
	}
	var head struct {
		Metadata struct{ ResourceVersion string }
	}
	if err := json.Unmarshal(answer, &head); err != nil {
		return fmt.Errorf("decode the list: %w", err)
	}
	query.Set("resourceVersion", head.Metadata.ResourceVersion)
	err := c.Watch(ctx, client.Request{Path: path, Query: query, Accept: accept(printer)}, func(ev client.Event) error {
		if ev.Type == "BOOKMARK" {
			return nil
		}
		return printer.Objects(e.Out, []json.RawMessage{ev.Object})
	})
	if ctx.Err() != nil {
		return nil // Ctrl-C is how a watch ends
	}
	return err
}
