package cli

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/hull-pods/hull/internal/client"
)

// followed is one Pod of a hull run, and what has been said of it.
type followed struct {
	applied
	seen    map[string]string // the last state said, by container; "" is the Pod
	logs    map[string]bool   // container IDs whose output is being followed
	pulls   map[string]bool   // images whose pull is shown
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

func (r *runner) handle(ctx context.Context, p *followed, u update) error {
	if u.event != nil {
		r.handleEvent(ctx, p, u.event)
		return nil
	}
	if u.gone {
		if !p.settled {
			p.settled = true
			p.failure = &codeError{code: exitHull, err: fmt.Errorf("pod/%s was deleted", p.name)}
		}
		return nil
	}
	if !r.detach {
		r.say(p, u.pod)
		r.startLogs(ctx, p, u.pod)
	}
	r.judge(p, u.pod)
	return nil
}

func (r *runner) handleEvent(ctx context.Context, p *followed, e *event) {
	switch {
	case e.Reason == "Pulling":
		// Pulling image "docker.io/library/nginx:latest"
		if _, rest, ok := strings.Cut(e.Message, `"`); ok {
			image, _, _ := strings.Cut(rest, `"`)
			if !p.pulls[image] {
				p.pulls[image] = true
				r.work.Go(func() error { r.showPull(ctx, image); return nil })
			}
		}
	case e.Type == "Warning":
		if !r.detach {
			r.warnf("pod/%s: %s: %s\n", p.name, e.Reason, e.Message)
		}
		if r.detach && slices.Contains(stuckEvents, e.Reason) && !p.settled {
			p.settled = true
			p.failure = &codeError{code: exitHull, err: fmt.Errorf("pod/%s: %s: %s", p.name, e.Reason, e.Message)}
		}
	}
}

// say prints what has changed since the last time.
func (r *runner) say(p *followed, now *pod) {
	if phase := now.Status.Phase; p.seen[""] != phase {
		p.seen[""] = phase
		r.warnf("pod/%s: %s\n", p.name, phase)
	}
	for _, c := range now.statuses() {
		state := c.State.String()
		if p.seen[c.Name] == state {
			continue
		}
		p.seen[c.Name] = state
		r.warnf("pod/%s: %s: %s\n", p.name, c.Name, state)
	}
}

// String is a container's state in a few words.
func (s containerState) String() string {
	switch {
	case s.Running != nil:
		return "running"
	case s.Terminated != nil:
		t := s.Terminated
		text := fmt.Sprintf("%s (exit code %d)", t.Reason, t.ExitCode)
		if t.Message != "" && t.Reason != "Completed" {
			text += ": " + strings.TrimSpace(t.Message)
		}
		return text
	case s.Waiting != nil && s.Waiting.Message != "":
		return s.Waiting.Reason + ": " + s.Waiting.Message
	case s.Waiting != nil && s.Waiting.Reason != "":
		return s.Waiting.Reason
	default:
		return "waiting"
	}
}

// startLogs follows the output of each container that has started since.
func (r *runner) startLogs(ctx context.Context, p *followed, now *pod) {
	for _, c := range now.statuses() {
		if c.ContainerID == "" || p.logs[c.ContainerID] || c.State.Waiting != nil {
			continue
		}
		p.logs[c.ContainerID] = true
		name := c.Name
		if len(r.pods) > 1 {
			name = p.name + "/" + name
		}
		w := r.lines.Writer("[" + name + "] ")
		path := "/api/v1/namespaces/" + p.namespace + "/pods/" + p.name + "/log"
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
func (r *runner) judge(p *followed, now *pod) {
	if p.settled {
		return
	}
	switch phase := now.Status.Phase; {
	case phase == "Succeeded":
		p.settled = true
	case phase == "Failed":
		p.settled, p.failure = true, failureOf(now)
	case r.detach:
		p.settled, p.failure = started(now)
	}
}

// failureOf finds the container that a failed Pod failed by: its exit code becomes hull's.
func failureOf(p *pod) error {
	for _, c := range p.statuses() {
		if t := c.State.Terminated; t != nil && t.ExitCode != 0 {
			return &codeError{code: t.ExitCode, err: fmt.Errorf("pod/%s: container %s: %s", p.Metadata.Name, c.Name, c.State)}
		}
	}
	reason := p.Status.Reason
	if p.Status.Message != "" {
		reason += ": " + p.Status.Message
	}
	return &codeError{code: exitHull, err: fmt.Errorf("pod/%s failed: %s", p.Metadata.Name, reason)}
}

// started tells whether a detached run may return: the Pod is ready, or every container has started and those that ended
// exited 0; or one of them cannot start, or has failed.
func started(p *pod) (settled bool, failure error) {
	for _, cond := range p.Status.Conditions {
		if cond.Type == "Ready" && cond.Status == "True" {
			return true, nil
		}
	}
	for _, c := range p.statuses() {
		if err := stuck(p, c); err != nil {
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

func stuck(p *pod, c containerStatus) error {
	if w := c.State.Waiting; w != nil && slices.Contains(stuckReasons, w.Reason) {
		return &codeError{code: exitHull, err: fmt.Errorf("pod/%s: container %s: %s", p.Metadata.Name, c.Name, c.State)}
	}
	for _, s := range []containerState{c.State, c.LastState} {
		if t := s.Terminated; t != nil && t.ExitCode != 0 {
			return &codeError{code: t.ExitCode, err: fmt.Errorf("pod/%s: container %s: %s", p.Metadata.Name, c.Name, s)}
		}
	}
	return nil
}
