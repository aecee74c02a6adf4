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
	selector   string
	most       int
	ignore     bool
}

// selectorTail is how much is shown of each container where a selector may choose many.
const selectorTail = 10

// Command is hull logs.
func Command(e *env.Env) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "logs (POD | TYPE/NAME | -l SELECTOR) [-c CONTAINER]",
		Short: "Print the output of a Pod's containers",
		Example: `  hull logs web
  hull logs web -c nginx -f --tail 20
  hull logs web --all-containers --timestamps
  hull logs -l app=web --prefix`,
		ValidArgsFunction: complete.PodAndContainer(e),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(cmd, args); err != nil {
				return err
			}
			c, err := e.Connect(cmd.Context())
			if err != nil {
				return err
			}
			return logs(cmd.Context(), e, c, args, o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.container, "container", "c", "", "the container; the first one if omitted")
	f.BoolVar(&o.all, "all-containers", false, "every container's output")
	f.BoolVarP(&o.follow, "follow", "f", false, "go on as output comes, until the container ends")
	f.BoolVarP(&o.previous, "previous", "p", false, "of the container before its last restart")
	f.BoolVar(&o.timestamps, "timestamps", false, "each line's time before it")
	f.BoolVar(&o.prefix, "prefix", false, "the Pod's and container's name before each line")
	f.Int64Var(&o.tail, "tail", -1, "so many of the last lines; -1 is all, and 10 if a selector is given")
	f.Int64Var(&o.limit, "limit-bytes", 0, "at most so many bytes")
	f.DurationVar(&o.since, "since", 0, "lines newer than this, such as 5s, 2m or 3h")
	f.StringVar(&o.sinceTime, "since-time", "", "lines newer than this time (RFC 3339)")
	f.StringVarP(&o.selector, "selector", "l", "", "of all Pods with these labels")
	f.IntVar(&o.most, "max-log-requests", 5, "how many containers a selector may follow at a time")
	f.BoolVar(&o.ignore, "ignore-errors", false, "go on with the other containers if one has no output to show")
	_ = cmd.RegisterFlagCompletionFunc("container", complete.Containers(e))
	return cmd
}

// check takes the arguments in, and refuses what contradicts itself, in kubectl's words.
func (o *options) check(cmd *cobra.Command, args []string) error {
	least := 1
	if o.selector != "" {
		least = 0
	}
	if err := console.Args("logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]", "POD or TYPE/NAME", least, 2)(cmd, args); err != nil {
		return err
	}
	if _, err := time.Parse(time.RFC3339, o.sinceTime); err != nil && o.sinceTime != "" {
		return err
	}
	switch {
	case o.selector != "" && len(args) > 0:
		return errors.New("only a selector (-l) or a POD name is allowed")
	case o.since != 0 && o.sinceTime != "":
		return errors.New("at most one of `sinceTime` or `sinceSeconds` may be specified")
	case len(args) == 2 && o.container != "":
		return errors.New("only one of -c or an inline [CONTAINER] arg is allowed")
	case o.limit < 0:
		return errors.New("--limit-bytes must be greater than 0")
	case o.since < 0:
		return errors.New("--since must be greater than 0")
	case o.tail < -1:
		return errors.New("--tail must be greater than or equal to -1")
	}
	if len(args) == 2 {
		o.container = args[1]
	}
	if o.all && o.container != "" {
		return fmt.Errorf("--all-containers=true should not be specified with container name %s", o.container)
	}
	if o.selector != "" && !cmd.Flags().Changed("tail") {
		o.tail = selectorTail
	}
	return nil
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

// stream is one container's output.
type stream struct{ pod, container string }

func logs(ctx context.Context, e *env.Env, c *client.Client, args []string, o options) error {
	pods, err := chosen(ctx, e, c, args, o)
	if err != nil {
		return err
	}
	var streams []stream
	for _, p := range pods {
		names := []string{o.container}
		switch {
		case o.all:
			names = p.ContainerNames()
		case o.container == "":
			names[0] = p.DefaultContainer(e.Warnf)
		case !slices.Contains(p.ContainerNames(), o.container):
			return p.NoContainer(o.container)
		}
		for _, name := range names {
			streams = append(streams, stream{p.Metadata.Name, name})
		}
	}
	if o.follow && o.selector != "" && len(streams) > o.most {
		return fmt.Errorf("you are attempting to follow %d log streams, but maximum allowed concurrency is %d, use --max-log-requests to increase the limit", len(streams), o.most)
	}
	if len(streams) == 1 && !o.prefix {
		return copyLog(ctx, e, c, streams[0], o, e.Out)
	}
	lines := ui.NewPrefixer(e.Out)
	all, ctx := errgroup.WithContext(ctx) // the first error is the end of all
	for _, s := range streams {
		prefix := ""
		if o.prefix {
			prefix = fmt.Sprintf("[pod/%s/%s] ", s.pod, s.container)
		}
		w := lines.Writer(prefix)
		read := func() error {
			return errors.Join(copyLog(ctx, e, c, s, o, w), w.Flush())
		}
		if o.follow {
			all.Go(read)
		} else if err := read(); err != nil {
			return err
		}
	}
	return all.Wait()
}

// chosen are the Pods that are named or selected.
func chosen(ctx context.Context, e *env.Env, c *client.Client, args []string, o options) ([]*pod.Pod, error) {
	refs, err := pod.Named(ctx, c, e.Namespace, args, o.selector)
	if err != nil {
		return nil, err
	}
	if len(refs) == 0 {
		e.Warnf("No resources found in %s namespace.\n", e.Namespace)
	}
	var pods []*pod.Pod
	for _, r := range refs {
		p, err := pod.Get(ctx, c, r)
		var status *client.StatusError
		switch {
		case client.IsNotFound(err) && o.selector != "":
			continue
		case client.IsNotFound(err) && errors.As(err, &status):
			return nil, fmt.Errorf("error from server (NotFound): %s in namespace %q", status.Message, e.Namespace)
		case err != nil:
			return nil, err
		}
		pods = append(pods, p)
	}
	return pods, nil
}

func copyLog(ctx context.Context, e *env.Env, c *client.Client, s stream, o options, w io.Writer) error {
	body, err := c.Stream(ctx, client.Request{Path: e.PodPath(s.pod) + "/log", Query: o.query(s.container)})
	var status *client.StatusError
	switch {
	case o.ignore && errors.As(err, &status):
		e.Warnf("error: %s\n", status.Message)
		return nil
	case err != nil:
		return err
	}
	defer func() { _ = body.Close() }()
	_, err = io.Copy(w, body)
	if ctx.Err() != nil {
		return nil // Ctrl-C is how following ends
	}
	return err
}
