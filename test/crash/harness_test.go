package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hull-pods/hull/internal/client"
	"github.com/hull-pods/hull/internal/hulltest/live"
)

// patience is how long anything may take on a machine that is busy with other tests. Nothing waits for it when all is well.
const patience = 3 * time.Minute

// hull is a Hull that is expected to die under a test's hands.
type hull struct {
	*live.Hull
	t   testing.TB
	ctx context.Context
}

func start(t *testing.T, flags ...string) *hull {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	return &hull{Hull: live.Start(t, live.Pool(), live.Flags(flags...)), t: t, ctx: ctx}
}

// errFired ends what is done until a failpoint fires.
var errFired = errors.New("the failpoint has fired")

// cutOff tells whether what goes wrong now does so because it is over.
func (h *hull) cutOff() bool { return context.Cause(h.ctx) == errFired }

// pod is what the tests read of a Pod.
type pod struct {
	Metadata struct {
		Name, UID         string
		DeletionTimestamp string
	}
	Status struct {
		Phase, Reason, Message, PodIP            string
		InitContainerStatuses, ContainerStatuses []containerStatus
	}
}

type containerStatus struct {
	Name         string
	RestartCount int
	State        containerState
	LastState    containerState
}

type containerState struct {
	Waiting    *struct{ Reason, Message string }
	Running    *struct{ StartedAt string }
	Terminated *struct {
		ExitCode        int
		Reason, Message string
	}
}

func (p *pod) container(name string) containerStatus {
	for _, c := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
		if c.Name == name {
			return c
		}
	}
	return containerStatus{}
}

func (p *pod) running(names ...string) bool {
	for _, n := range names {
		if p.container(n).State.Running == nil {
			return false
		}
	}
	return true
}

const podsPath = "/api/v1/namespaces/default/pods"

// again tries a request until hulld has answered it, however often it dies meanwhile.
func (h *hull) again(try func() error) error {
	for {
		err := try()
		var answer *client.StatusError
		if err == nil || errors.As(err, &answer) && answer.Code < 500 {
			return err
		}
		if rerr := h.Revive(h.ctx, 0); rerr != nil {
			return errors.Join(err, rerr)
		}
	}
}

// create makes a Pod. One whose creation was not answered may be there all the same. A namesake may not: what was seen to go is
// gone, however hulld died since.
func (h *hull) create(manifest string) {
	h.t.Helper()
	var wanted pod
	if err := json.Unmarshal([]byte(manifest), &wanted); err != nil {
		h.t.Fatal(err)
	}
	err := h.again(func() error {
		return h.API.Do(h.ctx, client.Request{Method: "POST", Path: podsPath, Body: []byte(manifest)}, nil)
	})
	if err == nil || h.cutOff() {
		return
	}
	var answer *client.StatusError
	if !errors.As(err, &answer) || answer.Reason != "AlreadyExists" {
		h.t.Errorf("create: %v\n%s", err, manifest)
		return
	}
	p := h.await(wanted.Metadata.Name, "what has the name", func(*pod) bool { return true })
	if p == nil || p.Metadata.DeletionTimestamp != "" {
		h.t.Errorf("create: %v, and then it goes: what has the name was seen to be gone", err)
	}
}

// delete asks for a Pod's removal; grace below zero leaves the grace period to the Pod.
func (h *hull) delete(name string, grace int) {
	h.t.Helper()
	q := url.Values{}
	if grace >= 0 {
		q.Set("gracePeriodSeconds", fmt.Sprint(grace))
	}
	err := h.again(func() error {
		return h.API.Do(h.ctx, client.Request{Method: "DELETE", Path: podsPath + "/" + name, Query: q}, nil)
	})
	if err != nil && !client.IsNotFound(err) && !h.cutOff() {
		h.t.Errorf("delete %s: %v", name, err)
	}
}

// remove deletes a Pod, and waits until it is gone.
func (h *hull) remove(name string, grace int) {
	h.t.Helper()
	h.delete(name, grace)
	h.await(name, "its removal", func(p *pod) bool { return p == nil })
}

// await follows a Pod until it is as wanted, over any number of deaths of hulld. nil is a Pod that is not there.
func (h *hull) await(name, what string, wanted func(*pod) bool) *pod {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.ctx, patience)
	defer cancel()
	var last *pod
	for {
		p, ok, err := h.follow(ctx, name, wanted, &last)
		if ok {
			return p
		}
		if ctx.Err() == nil {
			err = h.Revive(ctx, 0)
		}
		if h.cutOff() {
			return &pod{}
		}
		if ctx.Err() != nil {
			said, _ := json.MarshalIndent(last, "", " ")
			h.t.Errorf("Pod %s: waited in vain for %s: %v\n%s", name, what, err, said)
			return &pod{}
		}
	}
}

func (h *hull) follow(ctx context.Context, name string, wanted func(*pod) bool, last **pod) (*pod, bool, error) {
	q := url.Values{
		"watch": {"1"}, "fieldSelector": {"metadata.name=" + name}, "sendInitialEvents": {"true"},
		"allowWatchBookmarks": {"true"}, "resourceVersionMatch": {"NotOlderThan"},
	}
	body, err := h.API.Stream(ctx, client.Request{Path: podsPath, Query: q})
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = body.Close() }()
	*last = nil
	listed := false
	lines := json.NewDecoder(body)
	for {
		var ev struct {
			Type   string
			Object json.RawMessage
		}
		if err := lines.Decode(&ev); err != nil {
			return nil, false, err
		}
		switch ev.Type {
		case "BOOKMARK":
			listed = true
		case "DELETED":
			*last = nil
		case "ADDED", "MODIFIED":
			p := &pod{}
			if err := json.Unmarshal(ev.Object, p); err != nil {
				return nil, false, err
			}
			*last = p
		default:
			return nil, false, fmt.Errorf("watch: %s", ev.Object)
		}
		if (listed || *last != nil) && wanted(*last) {
			return *last, true, nil
		}
	}
}

// exec runs a command in a container; ok says that hulld lived to tell how it ended.
func (h *hull) exec(name, container string, args ...string) (output string, ok bool) {
	h.t.Helper()
	cmd := h.Command(append([]string{"exec", name, "-c", container, "--"}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, io.Discard
	err := cmd.Run()
	return out.String(), err == nil
}

// inspected is what hull inspect says of a Pod's processes.
type inspected struct {
	ID         string // of the sandbox
	Infra      process
	Containers []process
}

type process struct {
	Name, ID string
	PID      int
}

func (h *hull) inspect(name string) inspected {
	h.t.Helper()
	var in inspected
	if err := json.Unmarshal([]byte(h.Must("inspect", name, "-o", "json")), &in); err != nil {
		h.t.Fatal(err)
	}
	return in
}

// born identifies a process for ever: its PID, and when it was cloned in clock ticks since boot (proc(5), stat field 22).
func (h *hull) born(pid int) string {
	h.t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		h.t.Errorf("process %d: %v", pid, err)
		return ""
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	return fmt.Sprintf("%d since %s", pid, fields[19])
}

// clean fails the test if anything is left of Pods, in the kernel, on disk or with the keeper, whose descriptors are to be as
// many as they were at first. The kernel takes a network namespace down in its own time, and the keeper closes a command's
// connection in its: so it is looked again and again, but not for ever.
func (h *hull) clean(descriptors int) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.ctx, patience/6)
	defer cancel()
	for {
		left, n := h.Remains(), h.KeeperDescriptors()
		switch {
		case len(left) == 0 && n == descriptors:
			return
		case ctx.Err() == nil:
			continue
		case len(left) > 0:
			h.t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
		default:
			h.t.Errorf("the keeper has %d descriptors open, at first it had %d", n, descriptors)
		}
		return
	}
}
