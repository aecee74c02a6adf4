// Package logs is hull logs.
package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/hull-pods/hull/internal/cli/complete"
	"github.com/hull-pods/hull/internal/cli/console"
	"github.com/hull-pods/hull/internal/cli/env"
	"github.com/hull-pods/hull/internal/cli/pod"
	"github.com/hull-pods/hull/internal/client"
	"github.com/hull-pods/hull/internal/ui"
)

type options struct {
	container  string
	all        bool
	follow     bool
	previous   bool
	timestamps bool
	prefix     bool
	tail       int64
	limit      int64
	since      time.Duration
	sinceTime  string
}

// Command is hull logs.
func Command(e *env.Env) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "logs POD [-c CONTAINER]",
		Short: "Print the output of a Pod's containers",
		Example: `  hull logs web
  hull logs web -c nginx -f --tail 20
  hull logs web --all-containers --timestamps`,
		Args:              console.Args("logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]", "POD or TYPE/NAME", 1, 2),
		ValidArgsFunction: complete.PodAndContainer(e),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				if o.container != "" {
					return errors.New("only one of -c or an inline [CONTAINER] arg is allowed")
				}
				o.container = args[1]
			}
			c, err := e.Connect(cmd.Context())
			if err != nil {
				return err
			}
			return logs(cmd.Context(), e, c, strings.TrimPrefix(args[0], "pod/"), o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.container, "container", "c", "", "the container; the first one if omitted")
	f.BoolVar(&o.all, "all-containers", false, "every container's output")
	f.BoolVarP(&o.follow, "follow", "f", false, "go on as output comes, until the container ends")
	f.BoolVarP(&o.previous, "previous", "p", false, "of the container before its last restart")
	f.BoolVar(&o.timestamps, "timestamps", false, "each line's time before it")
	f.BoolVar(&o.prefix, "prefix", false, "the Pod's and container's name before each line")
	f.Int64Var(&o.tail, "tail", -1, "so many of the last lines; -1 is all")
	f.Int64Var(&o.limit, "limit-bytes", 0, "at most so many bytes")
	f.DurationVar(&o.since, "since", 0, "lines newer than this, such as 5s, 2m or 3h")
	f.StringVar(&o.sinceTime, "since-time", "", "lines newer than this time (RFC 3339)")
	cmd.MarkFlagsMutuallyExclusive("since", "since-time")
	_ = cmd.RegisterFlagCompletionFunc("container", complete.Containers(e))
	return cmd
}

func (o *options) query(container string) url.Values {
	q := url.Values{}
	if container != "" {
		q.Set("container", container)
	}
	for name, on := range map[string]bool{"follow": o.follow, "previous": o.previous, "timestamps": o.timestamps} {
		if on {
			q.Set(name, "true")
		}
	}
	if o.tail >= 0 {
		q.Set("tailLines", strconv.FormatInt(o.tail, 10))
	}
	if o.limit > 0 {
		q.Set("limitBytes", strconv.FormatInt(o.limit, 10))
	}
	if o.since > 0 {
		q.Set("sinceSeconds", strconv.FormatInt(int64((o.since+time.Second-1)/time.Second), 10))
	}
	if o.sinceTime != "" {
		q.Set("sinceTime", o.sinceTime)
	}
	return q
}

func logs(ctx context.Context, e *env.Env, c *client.Client, name string, o options) error {
	p, err := pod.Get(ctx, c, pod.Ref{Namespace: e.Namespace, Name: name})
	var status *client.StatusError
	switch {
	case client.IsNotFound(err) && errors.As(err, &status):
		return fmt.Errorf("error from server (NotFound): %s in namespace %q", status.Message, e.Namespace)
	case err != nil:
		return err
	case o.container != "" && !slices.Contains(p.ContainerNames(), o.container):
		return fmt.Errorf("container %s is not valid for pod %s", o.container, name)
	}
	if !o.all {
		if o.container == "" {
			o.container = p.DefaultContainer(e.Warnf)
		}
		w := io.Writer(e.Out)
		if o.prefix {
			w = ui.NewPrefixer(e.Out).Writer(fmt.Sprintf("[pod/%s/%s] ", name, o.container))
		}
		return copyLog(ctx, e, c, name, o.container, o, w)
	}
	lines := ui.NewPrefixer(e.Out)
	var all errgroup.Group
	for _, container := range p.ContainerNames() {
		prefix := ""
		if o.prefix {
			prefix = fmt.Sprintf("[pod/%s/%s] ", name, container)
		}
		w := lines.Writer(prefix)
		read := func() error {
			return errors.Join(copyLog(ctx, e, c, name, container, o, w), w.Flush())
		}
		if o.follow {
			all.Go(read)
		} else if err := read(); err != nil {
			return err
		}
	}
	return all.Wait()
}

func copyLog(ctx context.Context, e *env.Env, c *client.Client, name, container string, o options, w io.Writer) error {
	body, err := c.Stream(ctx, client.Request{Path: e.PodPath(name) + "/log", Query: o.query(container)})
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	_, err = io.Copy(w, body)
	if ctx.Err() != nil {
		return nil // Ctrl-C is how following ends
	}
	return err
}
