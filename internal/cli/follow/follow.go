package follow

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/hull-pods/hull/internal/cli/apply"
	"github.com/hull-pods/hull/internal/cli/console"
	"github.com/hull-pods/hull/internal/cli/image"
	"github.com/hull-pods/hull/internal/cli/pod"
	"github.com/hull-pods/hull/internal/client"
)

// followed is one Pod of a hull run, and what has been said of it.
type followed struct {
	apply.Applied
	seen    map[string]string // the last state said, by container; "" is the Pod
	said    map[string]bool   // lines that are said once, and "CONTAINER FAILURE"
	logs    map[string]bool   // container IDs whose output is being followed
	pulls   map[string]bool   // images whose pull is shown
	met     bool              // it has been seen
	settled bool              // nothing more to wait for
	failure error             // of a Pod that failed
}

// Reasons for which a container that waits will not start without somebody's doing.
var stuckReasons = []string{
	"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull",
	"CreateContainerConfigError", "CreateContainerError", "RunContainerError",
}

// Reasons of events which say the same of a Pod that has no container yet.
var stuckEvents = []string{"FailedCreatePodSandBox", "FailedMount", "FailedCreatePodContainer"}

// Reasons of events about a container that say what its state says too.
var statedEvents = []string{"Failed", "BackOff", "InspectFailed", "ErrImageNeverPull"}

func (r *runner) handle(watching, reading context.Context, p *followed, u update) error {
	if u.event != nil {
		r.handleEvent(watching, p, u.event)
		return nil
	}
	if u.gone {
		if !p.settled {
			p.settled = true
			p.failure = &console.CodeError{Code: exitHull, Err: fmt.Errorf("pod/%s was deleted", r.name(p))}
		}
		return nil
	}
	if !p.met && p.Verb != "created" && u.pod.Ended() {
		r.warnf("pod/%s has ended before this: delete it to run it again\n", r.name(p))
	}
	p.met = true
	if !r.detach {
		r.say(p, u.pod)
		r.startLogs(reading, p, u.pod)
	}
	r.judge(p, u.pod)
	return nil
}

func (r *runner) handleEvent(ctx context.Context, p *followed, e *event) {
	switch {
	case e.Reason == "Pulling":
		// Pulling image "docker.io/library/nginx:latest"
		if _, rest, ok := strings.Cut(e.Message, `"`); ok {
			name, _, _ := strings.Cut(rest, `"`)
			if !p.pulls[name] {
				p.pulls[name] = true
				r.work.Go(func() error { r.showPull(ctx, name); return nil })
			}
		}
	case e.Type == "Warning":
		if !r.detach && !(e.InvolvedObject.FieldPath != "" && slices.Contains(statedEvents, e.Reason)) {
			r.once(p, fmt.Sprintf("pod/%s: event %s: %s\n", r.name(p), e.Reason, e.Message))
		}
		if r.detach && slices.Contains(stuckEvents, e.Reason) && !p.settled {
			p.settled = true
			p.failure = &console.CodeError{Code: exitHull, Err: fmt.Errorf("pod/%s: %s: %s", r.name(p), e.Reason, e.Message)}
		}
	}
}

// say prints what has changed since the last time.
func (r *runner) say(p *followed, now *pod.Pod) {
	if phase := now.Status.Phase; p.seen[""] != phase {
		p.seen[""] = phase
		r.warnf("pod/%s: %s\n", r.name(p), phase)
	}
	for _, c := range now.Statuses() {
		state := c.State.String()
		if p.seen[c.Name] == state {
			continue
		}
		p.seen[c.Name] = state
		if w := c.State.Waiting; w != nil && w.Message != "" {
			p.waits(r, c.Name, w.Reason, w.Message)
			continue
		}
		r.warnf("pod/%s: %s: %s\n", r.name(p), c.Name, state)
	}
}

// waits says why a container waits. A try that fails as the one before did is the same news, and so is the wait for the next
// try, whose message ends with the failure: only the rest of it is said.
func (p *followed) waits(r *runner, container, reason, message string) {
	text := reason + ": " + message
	for failure := range p.said {
		if own, ok := strings.CutPrefix(failure, container+" "); ok {
			if strings.HasSuffix(own, ": "+text) {
				return
			}
			text = strings.TrimSuffix(text, ": "+own)
		}
	}
	p.said[container+" "+reason+": "+message] = true
	r.once(p, fmt.Sprintf("pod/%s: %s: %s\n", r.name(p), container, text))
}

// once says a line that has not been said of the Pod.
func (r *runner) once(p *followed, line string) {
	if !p.said[line] {
		p.said[line] = true
		r.warnf("%s", line)
	}
}

// startLogs follows the output of each container that has started since.
func (r *runner) startLogs(ctx context.Context, p *followed, now *pod.Pod) {
	for _, c := range now.Statuses() {
		if c.ContainerID == "" || p.logs[c.ContainerID] || c.State.Waiting != nil {
			continue
		}
		p.logs[c.ContainerID] = true
		name := c.Name
		if len(r.pods) > 1 {
			name = r.name(p) + "/" + name
		}
		w := r.lines.Writer("[" + name + "] ")
		path := p.Path() + "/log"
		r.work.Go(func() error {
			body, err := r.client.Stream(ctx, client.Request{Path: path, Query: url.Values{"container": {c.Name}, "follow": {"true"}}})
			if err != nil {
				if ctx.Err() != nil || client.IsNotFound(err) {
					return nil
				}
				return err
			}
			defer func() { _ = body.Close() }()
			_, err = io.Copy(w, body)
			if ctx.Err() != nil {
				return nil
			}
			if err == nil {
				err = w.Flush()
			}
			return err
		})
	}
}

// judge decides whether there is anything more to wait for.
func (r *runner) judge(p *followed, now *pod.Pod) {
	if p.settled {
		return
	}
	switch phase := now.Status.Phase; {
	case phase == "Succeeded":
		p.settled = true
	case phase == "Failed":
		p.settled, p.failure = true, failureOf(r.name(p), now)
	case r.detach:
		p.settled, p.failure = started(r.name(p), now)
	}
}

// failureOf finds the container that a failed Pod failed by: its exit code becomes hull's.
func failureOf(name string, p *pod.Pod) error {
	for _, c := range p.Statuses() {
		if t := c.State.Terminated; t != nil && t.ExitCode != 0 {
			return &console.CodeError{Code: t.ExitCode, Err: fmt.Errorf("pod/%s: container %s: %s", name, c.Name, c.State)}
		}
	}
	reason := p.Status.Reason
	if p.Status.Message != "" {
		reason += ": " + p.Status.Message
	}
	return &console.CodeError{Code: exitHull, Err: fmt.Errorf("pod/%s failed: %s", name, reason)}
}

// started tells whether a detached run may return: the Pod is ready, or every container has started and those that ended
// exited 0; or one of them cannot start, or has failed.
func started(name string, p *pod.Pod) (settled bool, failure error) {
	for _, cond := range p.Status.Conditions {
		if cond.Type == "Ready" && cond.Status == "True" {
			return true, nil
		}
	}
	for _, c := range p.Statuses() {
		if err := stuck(name, c); err != nil {
			return true, err
		}
	}
	if len(p.Status.ContainerStatuses) < len(p.Spec.Containers) {
		return false, nil
	}
	for _, c := range p.Status.ContainerStatuses {
		ended := c.State.Terminated != nil || c.LastState.Terminated != nil
		if c.State.Running == nil && !ended {
			return false, nil
		}
	}
	return true, nil
}

func stuck(name string, c pod.ContainerStatus) error {
	if w := c.State.Waiting; w != nil && slices.Contains(stuckReasons, w.Reason) {
		return &console.CodeError{Code: exitHull, Err: fmt.Errorf("pod/%s: container %s: %s", name, c.Name, c.State)}
	}
	for _, s := range []pod.State{c.State, c.LastState} {
		if t := s.Terminated; t != nil && t.ExitCode != 0 {
			return &console.CodeError{Code: t.ExitCode, Err: fmt.Errorf("pod/%s: container %s: %s", name, c.Name, s)}
		}
	}
	return nil
}

// showPull shows a pull that hulld does for a Pod. How it ends is in the Pod's status and events, not here.
func (r *runner) showPull(ctx context.Context, name string) {
	_, _ = image.Pull(ctx, r.client, name, r.bars)
}
