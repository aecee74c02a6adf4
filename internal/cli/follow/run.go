// Package follow is hull run: it applies Pods and shows what becomes of them, until they have ended or run.
package follow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/hull-pods/hull/internal/cli/apply"
	"github.com/hull-pods/hull/internal/cli/console"
	"github.com/hull-pods/hull/internal/cli/env"
	"github.com/hull-pods/hull/internal/cli/manifest"
	"github.com/hull-pods/hull/internal/cli/pod"
	"github.com/hull-pods/hull/internal/client"
	"github.com/hull-pods/hull/internal/ui"
)

// Command is hull run.
func Command(e *env.Env) *cobra.Command {
	var detach bool
	cmd := &cobra.Command{
		Use:   "run FILE|DIR|-...",
		Short: "Apply Pods and follow them; Ctrl-C removes them",
		Long: `Apply Pods and follow them: what is pulled, what changes, and each container's output with its name before the line.
Ctrl-C removes the Pods, a second one kills them at once, and a third does not wait for that. It exits 0 when all of
them succeeded, else with the failed container's exit code, and 125 for Hull's own errors.

With -d it returns when each Pod is ready, or every container has started and those that ended exited 0; and else with
the reason.`,
		Example: `  hull run pod.yaml
  hull run -d web.yaml db.yaml
  cat pod.yaml | hull run -`,
		Args: func(cmd *cobra.Command, args []string) error {
			return ownError(console.Args("run FILE|DIR|-...", "FILE, DIR or -", 1, -1)(cmd, args))
		},
		RunE: func(cmd *cobra.Command, args []string) error { return ownError(run(cmd.Context(), e, args, detach)) },
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return ownError(cmd.Root().FlagErrorFunc()(cmd, err)) })
	cmd.Flags().BoolVarP(&detach, "detach", "d", false, "return when the Pods run")
	return cmd
}

// exitHull is the exit code when Hull failed, and not a container.
const exitHull = 125

// ownError gives an error that is no container's the code of Hull's own.
func ownError(err error) error {
	var coded *console.CodeError
	if err == nil || errors.As(err, &coded) {
		return err
	}
	return &console.CodeError{Code: exitHull, Err: err}
}

func run(ctx context.Context, e *env.Env, paths []string, detach bool) error {
	manifests, err := manifest.Read(paths, e.Input(ctx))
	if err != nil {
		return err
	}
	c, err := e.Connect(ctx)
	if err != nil {
		return err
	}
	r := &runner{Env: e, client: c, detach: detach, pods: map[string]*followed{}, bars: ui.NewBars(e.Err)}
	r.lines = ui.NewPrefixer(r.bars.Over(e.Out))
	defer r.bars.Close()
	for _, m := range manifests {
		done, err := apply.Apply(ctx, e, c, m, false)
		if err == nil && done.Deleting {
			err = fmt.Errorf("pod/%s is being deleted: run it again when it is gone", done.Name)
		}
		if err != nil {
			return errors.Join(err, r.abandon(context.WithoutCancel(ctx)))
		}
		switch {
		case detach:
			e.Printf("pod/%s %s\n", done.Name, done.Verb)
		case done.Verb != "created":
			e.Warnf("pod/%s %s\n", done.Name, done.Verb)
		}
		r.add(done)
	}
	return r.follow(ctx)
}

// runner follows the Pods of one hull run until they have ended, or, detached, until they run.
type runner struct {
	*env.Env
	client *client.Client
	detach bool
	pods   map[string]*followed // by UID
	lines  *ui.Prefixer
	bars   *ui.Bars
	work   errgroup.Group // followers of logs and pulls
}

// warnf is the console's, above the bars of pulls.
func (r *runner) warnf(format string, args ...any) {
	_, _ = io.WriteString(r.bars.Over(r.Err), ui.Printable(fmt.Sprintf(format, args...)))
}

func (r *runner) add(p apply.Applied) {
	if r.pods[p.UID] != nil {
		return // it is named twice, and new or not by what became of it first
	}
	r.pods[p.UID] = &followed{Applied: p, seen: map[string]string{}, said: map[string]bool{}, logs: map[string]bool{}, pulls: map[string]bool{}}
}

// name is what a Pod is called here: its name, with its namespace if there are several.
func (r *runner) name(p *followed) string {
	if len(r.namespaces()) > 1 {
		return p.Namespace + "/" + p.Name
	}
	return p.Name
}

// abandon removes what was applied before a manifest that was refused: all or nothing.
func (r *runner) abandon(ctx context.Context) error {
	var errs []error
	for _, p := range r.pods {
		if p.Verb == "created" {
			r.warnf("pod/%s: removing\n", r.name(p))
			errs = append(errs, r.remove(ctx, p, nil))
		}
	}
	return errors.Join(errs...)
}

// remove removes a Pod, within its own grace period if that is nil, and returns when it is gone.
func (r *runner) remove(ctx context.Context, p *followed, grace *int64) error {
	body := map[string]any{"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": map[string]any{"uid": p.UID}}
	if grace != nil {
		body["gracePeriodSeconds"] = *grace
	}
	err := r.client.Do(ctx, client.Request{Method: "DELETE", Path: p.Path(), Body: body}, nil)
	if client.IsNotFound(err) || client.IsConflict(err) { // or another one has its name
		return nil
	}
	if err != nil {
		return err
	}
	return pod.WaitGone(ctx, r.client, p.Ref, p.UID)
}

// update is one thing that the watches tell.
type update struct {
	uid   string
	pod   *pod.Pod // nil for an event
	gone  bool     // the Pod was deleted
	event *event   // nil for a Pod
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
	reading, hush := context.WithCancel(context.WithoutCancel(ctx)) // what containers say at their end is heard too
	defer hush()
	updates := make(chan update)
	var watches errgroup.Group
	for _, ns := range r.namespaces() {
		watches.Go(func() error { return r.watch(watching, ns, "pods", updates) })
		watches.Go(func() error {
			if !r.wantsEvents(watching) {
				return nil
			}
			return r.watch(watching, ns, "events", updates)
		})
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
				err = r.handle(watching, reading, p, u)
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

// soon is how long a detached run waits before it asks what keeps its Pods from running: most of them run by then, and the
// events, of which hulld keeps the old ones too, would be sent for nothing.
const soon = 100 * time.Millisecond

// wantsEvents returns when it is time to ask for events, or when nobody is interested any more: then it is false.
func (r *runner) wantsEvents(ctx context.Context) bool {
	if !r.detach {
		return true
	}
	wait := time.NewTimer(soon)
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (r *runner) namespaces() []string {
	seen := map[string]bool{}
	var list []string
	for _, p := range r.pods {
		if !seen[p.Namespace] {
			seen[p.Namespace] = true
			list = append(list, p.Namespace)
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
			query.Set("fieldSelector", "metadata.name="+p.Name)
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
			u.pod = &pod.Pod{}
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
