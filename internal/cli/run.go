package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/hull-pods/hull/internal/client"
	"github.com/hull-pods/hull/internal/ui"
)

func (a *app) runCommand() *cobra.Command {
	var detach bool
	cmd := &cobra.Command{
		Use:   "run FILE|DIR|-...",
		Short: "Apply Pods and follow them; Ctrl-C removes them",
		Long: `Apply Pods and follow them: what is pulled, what changes, and each container's output with its name before the line.
Ctrl-C removes the Pods. It exits 0 when all of them succeeded, else with the failed container's exit code, and 125 for
Hull's own errors.

With -d it returns when each Pod is ready, or every container has started and those that ended exited 0; and else with
the reason.`,
		Example: `  hull run pod.yaml
  hull run -d web.yaml db.yaml
  cat pod.yaml | hull run -`,
		Args: func(cmd *cobra.Command, args []string) error { return ownError(cobra.MinimumNArgs(1)(cmd, args)) },
		RunE: func(cmd *cobra.Command, args []string) error { return ownError(a.run(cmd.Context(), args, detach)) },
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return ownError(cmd.Root().FlagErrorFunc()(cmd, err)) })
	cmd.Flags().BoolVarP(&detach, "detach", "d", false, "return when the Pods run")
	return cmd
}

// ownError gives an error that is no container's the code of Hull's own.
func ownError(err error) error {
	var coded *codeError
	if err == nil || errors.As(err, &coded) {
		return err
	}
	return &codeError{code: exitHull, err: err}
}

func (a *app) run(ctx context.Context, paths []string, detach bool) error {
	manifests, err := a.readManifests(paths)
	if err != nil {
		return err
	}
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	r := &runner{app: a, client: c, detach: detach, pods: map[string]*followed{}, bars: ui.NewBars(a.err)}
	r.lines = ui.NewPrefixer(r.bars.Over(a.out))
	defer r.bars.Close()
	for _, m := range manifests {
		done, err := a.apply(ctx, c, m, false)
		if err == nil && done.deleting {
			err = fmt.Errorf("pod/%s is being deleted: run it again when it is gone", done.name)
		}
		if err != nil {
			return errors.Join(err, r.abandon(ctx))
		}
		if detach {
			a.printf("pod/%s %s\n", done.name, done.verb)
		}
		r.add(done)
	}
	return r.follow(ctx)
}

// runner follows the Pods of one hull run until they have ended, or, detached, until they run.
type runner struct {
	*app
	client *client.Client
	detach bool
	pods   map[string]*followed // by UID
	lines  *ui.Prefixer
	bars   *ui.Bars
	work   errgroup.Group // followers of logs and pulls
}

// warnf is app's, above the bars of pulls.
func (r *runner) warnf(format string, args ...any) {
	_, _ = io.WriteString(r.bars.Over(r.err), ui.Printable(fmt.Sprintf(format, args...)))
}

func (r *runner) add(p applied) {
	r.pods[p.uid] = &followed{applied: p, seen: map[string]string{}, logs: map[string]bool{}, pulls: map[string]bool{}}
}

// abandon removes what was applied before a manifest that was refused: all or nothing.
func (r *runner) abandon(ctx context.Context) error {
	var errs []error
	for _, p := range r.pods {
		if p.verb == "created" {
			errs = append(errs, r.remove(ctx, p))
		}
	}
	return errors.Join(errs...)
}

func (r *runner) remove(ctx context.Context, p *followed) error {
	path := "/api/v1/namespaces/" + p.namespace + "/pods/" + p.name
	err := r.client.Do(ctx, client.Request{Method: "DELETE", Path: path}, nil)
	if client.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return waitGone(ctx, r.client, target{p.namespace, p.name}, p.uid)
}

// update is one thing that the watches tell.
type update struct {
	uid   string
	pod   *pod   // nil for an event
	gone  bool   // the Pod was deleted
	event *event // nil for a Pod
}

type event struct {
	Metadata       struct{ ResourceVersion string }
	InvolvedObject struct{ UID, FieldPath string }
	Type           string
	Reason         string
	Message        string
}

func (r *runner) follow(ctx context.Context) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	updates := make(chan update)
	var watches errgroup.Group
	for _, ns := range r.namespaces() {
		watches.Go(func() error { return r.watch(watching, ns, "pods", updates) })
		watches.Go(func() error { return r.watch(watching, ns, "events", updates) })
	}
	broken := make(chan error, 1)
	go func() {
		broken <- watches.Wait()
	}()
	for {
		var err error
		select {
		case u := <-updates:
			if p := r.pods[u.uid]; p != nil {
				err = r.handle(watching, p, u)
			}
		case err = <-broken:
			if err == nil {
				err = errors.New("hulld ended the watch")
			}
		case <-ctx.Done():
			return r.interrupted(context.WithoutCancel(ctx))
		}
		if ctx.Err() != nil {
			return r.interrupted(context.WithoutCancel(ctx))
		}
		if err != nil {
			return err
		}
		if r.done() {
			return r.finish(stop)
		}
	}
}

func (r *runner) namespaces() []string {
	seen := map[string]bool{}
	var list []string
	for _, p := range r.pods {
		if !seen[p.namespace] {
			seen[p.namespace] = true
			list = append(list, p.namespace)
		}
	}
	return list
}

// selection asks for no more than what concerns the one Pod that is followed. There may be thousands of old events.
func (r *runner) selection(resource string) url.Values {
	query := url.Values{}
	if len(r.pods) > 1 {
		return query
	}
	for uid, p := range r.pods {
		switch resource {
		case "pods":
			query.Set("fieldSelector", "metadata.name="+p.name)
		case "events":
			query.Set("fieldSelector", "involvedObject.uid="+uid)
		}
	}
	return query
}

func (r *runner) watch(ctx context.Context, namespace, resource string, out chan<- update) error {
	path := "/api/v1/namespaces/" + namespace + "/" + resource
	err := r.client.Watch(ctx, client.Request{Path: path, Query: r.selection(resource)}, func(e client.Event) error {
		u := update{gone: e.Type == "DELETED"}
		var err error
		if resource == "pods" {
			u.pod = &pod{}
			err = json.Unmarshal(e.Object, u.pod)
			u.uid = u.pod.Metadata.UID
		} else {
			u.event = &event{}
			err = json.Unmarshal(e.Object, u.event)
			u.uid = u.event.InvolvedObject.UID
		}
		if err != nil {
			return fmt.Errorf("decode a watch event: %w", err)
		}
		if e.Type == "BOOKMARK" || u.gone && u.event != nil {
			return nil
		}
		select {
		case out <- u:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (r *runner) done() bool {
	for _, p := range r.pods {
		if !p.settled {
			return false
		}
	}
	return true
}

// finish waits for the rest of the output, and answers with the first failure.
func (r *runner) finish(stop func()) error {
	if r.detach {
		stop() // pulls' bars are of no interest any more
	}
	if err := r.work.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	for _, p := range r.pods {
		if p.failure != nil {
			return p.failure
		}
	}
	return nil
}

// exitInterrupted is a shell's code for a command that SIGINT ended.
const exitInterrupted = 130

// interrupted removes the Pods, unless they were to run on.
func (r *runner) interrupted(ctx context.Context) error {
	if r.detach {
		return &codeError{code: exitInterrupted}
	}
	var all errgroup.Group
	for _, p := range r.pods {
		r.warnf("pod/%s: removing\n", p.name)
		all.Go(func() error { return r.remove(ctx, p) })
	}
	if err := all.Wait(); err != nil {
		return err
	}
	return &codeError{code: exitInterrupted}
}
