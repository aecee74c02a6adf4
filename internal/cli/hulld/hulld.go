// Package hulld finds the hulld that the command line speaks to, and starts it if it does not run.
package hulld

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hull-pods/hull/internal/api/v1alpha1"
	"github.com/hull-pods/hull/internal/client"
)

// Hull is one Hull of this machine: its two directories name it.
type Hull struct {
	Root, State string
	// Say is told that hulld was started.
	Say func(format string, args ...any)
}

// Own is the API's path of a verb of Hull's own.
func Own(verb string) string { return "/apis/" + v1alpha1.GroupVersion + "/" + verb }

// Socket is where hulld serves.
func (h *Hull) Socket() string { return filepath.Join(h.State, "hull.sock") }

// Connect returns a client of a hulld that runs, and starts it if need be, which it says. If hulld dies, the client waits for
// the keeper to start it again.
func (h *Hull) Connect(ctx context.Context) (*client.Client, error) {
	c, err := client.Dial(ctx, h.Socket())
	switch {
	case err == nil:
		c.Waiting, c.Warn = h.waiting, h.warn
		return c, nil
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("no access to %s: be root or a member of the group hull", h.Socket())
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("talk to hulld: %w", err)
	}
	c = client.New(h.Socket())
	c.Waiting, c.Warn = h.waiting, h.warn
	if os.Geteuid() != 0 {
		if errors.Is(err, syscall.ECONNREFUSED) && c.Back(ctx, h.waiting) == nil {
			return c, nil // it had died, and the keeper has started it again
		}
		return nil, fmt.Errorf("hulld does not run (%s), and only root can start it: sudo hull system start", h.Socket())
	}
	if err := h.Start(ctx, nil); err != nil {
		return nil, err
	}
	return c, nil
}

// Do is [Hull.Connect] and one request.
func (h *Hull) Do(ctx context.Context, r client.Request, out any) error {
	c, err := h.Connect(ctx)
	if err != nil {
		return err
	}
	return c.Do(ctx, r, out)
}

func (h *Hull) waiting() {
	h.Say("hulld has ended unexpectedly: waiting for hull-keeper to start it again\n")
}

func (h *Hull) warn(text string) { h.Say("Warning: %s\n", text) }

// Running is Connect for commands that have nothing to do when hulld does not run.
func (h *Hull) Running(ctx context.Context) (*client.Client, bool) {
	c, err := client.Dial(ctx, h.Socket())
	return c, err == nil
}

// Agree refuses a root that is not the one of the hulld that serves the state: the user means another Hull. That hulld's command
// line says which it has; where none runs, or it cannot be read, there is nothing to compare.
func (h *Hull) Agree() error {
	pid, err := os.ReadFile(filepath.Join(h.State, "hulld.pid"))
	if err != nil {
		return nil
	}
	line, _ := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(pid)), "cmdline"))
	args := strings.Split(string(line), "\x00")
	i := slices.Index(args, "--root")
	if filepath.Base(args[0]) != "hulld" || i < 0 || i+1 == len(args) || filepath.Clean(args[i+1]) == h.Root {
		return nil
	}
	return fmt.Errorf("the hulld of %s has its root in %s, not in %s: each Hull needs a --state of its own", h.State, args[i+1], h.Root)
}

const (
	// goingDown is how long a hulld that was told to end may take, without its socket; askEvery is how often it is looked.
	goingDown = 5 * time.Second
	askEvery  = 200 * time.Millisecond
)

// Start runs hull-keeper, which runs hulld, and returns when hulld serves.
func (h *Hull) Start(ctx context.Context, args []string) error {
	limit, next := time.After(goingDown), time.NewTicker(askEvery)
	defer next.Stop()
	for {
		if err := h.Detach(ctx, args); err != nil {
			return err
		}
		if _, err := os.Stat(h.Socket()); !errors.Is(err, fs.ErrNotExist) {
			h.Say("hulld was not running: started (root %s, state %s)\n", h.Root, h.State)
			return nil
		}
		select {
		case <-next.C: // one that goes down has removed its socket: the keeper starts the next one when it is asked after that
		case <-ctx.Done():
			return ctx.Err()
		case <-limit:
			pid, _ := os.ReadFile(filepath.Join(h.State, "hulld.pid"))
			return fmt.Errorf("hulld runs, but its socket %s has been removed: kill -9 %s, and hull-keeper starts hulld anew; Pods run on",
				h.Socket(), strings.TrimSpace(string(pid)))
		}
	}
}

// Detach has hull-keeper see to it that a hulld serves. One that runs already keeps its flags; the next is started with
// these.
func (h *Hull) Detach(ctx context.Context, args []string) error {
	keeper, err := beside("hull-keeper")
	if err != nil {
		return err
	}
	daemon, err := beside("hulld")
	if err != nil {
		return err
	}
	line := append([]string{"--state", h.State, "--detach", "--", daemon, "--root", h.Root, "--state", h.State}, args...)
	cmd := exec.CommandContext(ctx, keeper, line...)
	said, err := cmd.CombinedOutput()
	if err != nil {
		log := filepath.Join(h.State, "hulld.log")
		if why := lastWords(log); why != "" {
			return fmt.Errorf("start hulld: %s (its log: %s)", why, log)
		}
		return fmt.Errorf("start hulld: %s", lastLine(string(said), err))
	}
	return nil
}

func lastLine(text string, err error) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return err.Error()
	}
	return strings.TrimPrefix(text[strings.LastIndexByte(text, '\n')+1:], "hull-keeper: ")
}

// lastWords finds why hulld has ended, if its log's last lines say so.
func lastWords(log string) string {
	data, err := os.ReadFile(log)
	if err != nil {
		return ""
	}
	const mark = `msg="hulld ends" err=`
	i := bytes.LastIndex(data, []byte(mark))
	if i < 0 || bytes.Contains(data[i:], []byte(`msg="hulld serves"`)) {
		return ""
	}
	text, _, _ := strings.Cut(string(data[i+len(mark):]), "\n")
	if quoted, err := strconv.QuotedPrefix(text); err == nil {
		if text, err = strconv.Unquote(quoted); err != nil {
			return ""
		}
	}
	return text
}

// beside finds a program of Hull's next to this one, or in $PATH.
func beside(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	if resolved, err := filepath.EvalSymlinks(self); err == nil {
		self = resolved
	}
	path := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	path, err = exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is neither beside %s nor in $PATH", name, self)
	}
	return path, nil
}
