package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/fdconn"
)

// Request is what keeper.sock understands.
type Request struct {
	// Do is "status"; "start": the daemon, if it does not run; or "stop": the daemon, and then the keeper if no recorded
	// process lives. A stop is answered when that has happened.
	Do string `json:"do"`
	// Args and Env replace the daemon's command line and environment from its next start on.
	Args []string `json:"args,omitempty"`
	Env  []string `json:"env,omitempty"`
	// Wait holds the answer to a start back until the daemon is ready, or has died.
	Wait bool `json:"wait,omitempty"`
}

// Answer is what keeper.sock answers every request with.
type Answer struct {
	Error   string       `json:"error,omitempty"`
	Keeper  KeeperStatus `json:"keeper"`
	Daemon  DaemonStatus `json:"hulld"`
	Records int          `json:"records"` // processes that the keeper has a record of
	Live    int          `json:"live"`    // those that live
}

// KeeperStatus is the keeper itself.
type KeeperStatus struct {
	PID      int    `json:"pid"`
	Protocol int    `json:"protocol"`
	Path     string `json:"path"`
	Ends     bool   `json:"ends,omitempty"` // after this answer
}

// DaemonStatus is the daemon.
type DaemonStatus struct {
	PID      int    `json:"pid,omitempty"`
	State    string `json:"state"`          // stopped, starting, ready, waiting (to be started again), stopping
	Failures uint64 `json:"failures"`       // how often it died
	Last     string `json:"last,omitempty"` // how it ended the last time
}

// callers are those on keeper.sock, and who of them waits for what.
type callers struct {
	k        *Keeper
	first    *os.File       // who started this keeper and waits for the daemon's first start; nil when that is over
	starters []*fdconn.Conn // who waits for the daemon to be ready
	stoppers []*fdconn.Conn // who waits for it to be gone
}

// accept serves keeper.sock.
func (c *callers) accept(socket *fdconn.Listener) {
	for {
		conn, err := socket.Accept()
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			c.k.log.Error("keeper.sock", "err", err)
			<-time.After(backoffFirst) // out of descriptors, say
			continue
		}
		go c.serve(conn)
	}
}

func (c *callers) serve(conn *fdconn.Conn) {
	defer conn.Close()
	uid, err := conn.PeerUID()
	if err != nil || (uid != 0 && int(uid) != os.Geteuid()) {
		c.k.log.Warn("refused a caller on keeper.sock", "uid", uid, "err", err)
		return
	}
	for {
		b, fds, err := conn.Recv(maxCtl)
		for _, f := range fds {
			f.Close()
		}
		if err != nil {
			if err != io.EOF {
				c.k.log.Warn("a caller on keeper.sock", "err", err)
			}
			return
		}
		var req Request
		err = json.Unmarshal(b, &req)
		c.k.events <- func() {
			if err != nil {
				c.reply(conn, "request: "+err.Error())
				return
			}
			c.obey(conn, req)
		}
	}
}

func (c *callers) obey(conn *fdconn.Conn, req Request) {
	k := c.k
	// The caller may have seen the daemon end, of which the signal has not come yet: it does not run any more.
	if err := k.reap(); err != nil {
		c.reply(conn, err.Error())
		return
	}
	switch req.Do {
	case "status":
		c.reply(conn, "")
	case "start":
		if len(req.Args) > 0 {
			k.daemon.args = req.Args
		}
		if len(req.Env) > 0 {
			k.daemon.env = req.Env
		}
		k.start()
		switch {
		case k.daemon.state == stateWaiting:
			c.reply(conn, "the daemon "+k.daemon.last)
		case req.Wait && k.daemon.state != stateReady:
			c.starters = append(c.starters, conn)
		default:
			c.reply(conn, "")
		}
	case "stop":
		c.stoppers = append(c.stoppers, conn)
		k.stop()
	default:
		c.reply(conn, fmt.Sprintf("request %q: want status, start or stop", req.Do))
	}
}

// reply never waits: an answer fits the buffer of a caller that reads what it asked for.
func (c *callers) reply(conn *fdconn.Conn, problem string) {
	k := c.k
	b, err := json.Marshal(Answer{
		Error:   problem,
		Keeper:  KeeperStatus{PID: os.Getpid(), Protocol: protocolVersion, Path: k.exe, Ends: k.ended},
		Daemon:  DaemonStatus{PID: k.daemon.pid, State: k.daemon.state, Failures: k.daemon.failures, Last: k.daemon.last},
		Records: len(k.records.entries),
		Live:    k.live(),
	})
	if err == nil {
		err = conn.TrySend(append(b, '\n'), nil)
	}
	if err != nil {
		k.log.Debug("a caller on keeper.sock went away", "err", err)
	}
}

// started answers who waits for the daemon to be ready.
func (c *callers) started(problem string) {
	for _, conn := range c.starters {
		c.reply(conn, problem)
	}
	c.starters = nil
	if c.first == nil {
		return
	}
	word := readyWord
	if problem != "" {
		word = problem
	}
	_, err := c.first.WriteString(word)
	if err = errors.Join(err, c.first.Close()); err != nil {
		c.k.log.Debug("who started this keeper went away", "err", err)
	}
	c.first = nil
}

// stopped answers who waits for the daemon to be gone.
func (c *callers) stopped() {
	for _, conn := range c.stoppers {
		c.reply(conn, "")
	}
	c.stoppers = nil
}

// StartDaemon asks a keeper that runs to start the daemon if it does not run, and waits until it is ready. Args and env
// replace what the keeper had, if they are given. Without a keeper the error is [errdefs.ErrUnavailable].
func StartDaemon(ctx context.Context, state string, args, env []string) (*Answer, error) {
	return ask(ctx, state, Request{Do: "start", Args: args, Env: env, Wait: true})
}

func ask(ctx context.Context, state string, req Request) (*Answer, error) {
	path := filepath.Join(state, SocketName)
	conn, err := fdconn.Dial(path)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ECONNREFUSED) {
		return nil, fmt.Errorf("no keeper runs for %s: %w", state, errdefs.ErrUnavailable)
	}
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	b, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("ask the keeper to %s: %w", req.Do, err)
	}
	if err := conn.Send(append(b, '\n')); err != nil {
		return nil, fmt.Errorf("ask the keeper to %s: %w", req.Do, err)
	}
	b, _, err = conn.Recv(maxMsg)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("it closed the connection: %w", errdefs.ErrUnavailable)
	}
	if err != nil {
		return nil, fmt.Errorf("ask the keeper to %s: %w", req.Do, err)
	}
	var a Answer
	if err := json.Unmarshal(b, &a); err != nil {
		return nil, fmt.Errorf("the keeper's answer: %w", err)
	}
	if a.Error != "" {
		return &a, fmt.Errorf("%s the daemon: %s", req.Do, a.Error)
	}
	return &a, nil
}
