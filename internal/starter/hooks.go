package starter

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"time"

	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter/compile"
)

// hookRun runs the hooks of one start.
type hookRun struct {
	n *Native
	r Request
}

func newHookRun(n *Native, r Request) *hookRun { return &hookRun{n, r} }

// any tells whether there are hooks at all.
func (h *hookRun) any() bool { return h != nil && h.r.Spec.Hooks != nil }

// run runs the hooks that a process waits for.
func (h *hookRun) run(ctx context.Context, word int32, pid int) error {
	hooks := h.r.Spec.Hooks
	switch word {
	case compile.TellMounted:
		state := stateOf(h.r, pid, oci.State{Status: oci.StateCreating})
		for i, hook := range compile.RuntimeHooks(hooks) {
			if err := runHook(ctx, fmt.Sprintf("createRuntime hook %d", i+1), hook, state); err != nil {
				return err
			}
		}
		return h.inside(ctx, "createContainer", hooks.CreateContainer, state)
	case compile.TellReady:
		return h.inside(ctx, "startContainer", hooks.StartContainer, stateOf(h.r, pid, oci.State{Status: oci.StateCreated}))
	}
	return nil
}

// stateOf completes a state, of which the status is given, with what is known of the container.
func stateOf(r Request, pid int, s oci.State) oci.State {
	s.Version, s.ID, s.Pid, s.Bundle, s.Annotations = r.Spec.Version, r.Key, pid, r.Bundle, r.Spec.Annotations
	return s
}

// runHook runs a hook as a child of ours, with the container's state on its standard input.
func runHook(ctx context.Context, what string, hook oci.Hook, state oci.State) error {
	if hook.Timeout != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(*hook.Timeout)*time.Second)
		defer cancel()
	}
	input, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, hook.Path)
	if len(hook.Args) > 0 {
		cmd.Args = hook.Args
	}
	cmd.Env = append([]string{}, hook.Env...)
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &output, &output
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return hookError(what, hook, err, output.Bytes())
	}
	return nil
}

// maxOutput is how much of a hook's output is in the error.
const maxOutput = 1024

func hookError(what string, hook oci.Hook, err error, output []byte) error {
	if len(output) > maxOutput {
		output = output[:maxOutput]
	}
	return fmt.Errorf("%s %s: %w: %s", what, hook.Path, err, bytes.TrimSpace(output))
}

// started runs the poststart hooks, whose errors only are logged, as the runtime spec says.
func (n *Native) started(ctx context.Context, r Request, p *Process) {
	if r.Spec.Hooks == nil {
		return
	}
	for i, hook := range r.Spec.Hooks.Poststart {
		if err := runHook(ctx, fmt.Sprintf("poststart hook %d", i+1), hook, stateOf(r, p.PID, oci.State{Status: oci.StateRunning})); err != nil {
			n.cfg.Log.Warn("a hook failed", "container", r.Key, "error", err)
		}
	}
}
