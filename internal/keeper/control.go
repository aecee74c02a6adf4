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

// accept serves keeper.sock.
func (k *Keeper) accept() {
	for {
		conn, err := k.socket.Accept()
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			k.log.Error("keeper.sock", "err", err)
			<-time.After(backoffFirst) // out of descriptors, say
			continue
		}
		go k.serve(conn)
	}
}

func (k *Keeper) serve(conn *fdconn.Conn) {
	defer conn.Close()
	uid, err := conn.PeerUID()
	if err != nil || (uid != 0 && int(uid) != os.Geteuid()) {
		k.log.Warn("refused a caller on keeper.sock", "uid", uid, "err", err)
		return
	}
	for {
		b, fds, err := conn.Recv(maxCtl)
		for _, f := range fds {
			f.Close()
		}
		if err != nil {
			if err != io.EOF {
				k.log.Warn("a caller on keeper.sock", "err", err)
			}
			return
		}
		var req Request
		err = json.Unmarshal(b, &req)
		k.events <- func() {
			if err != nil {
				k.reply(conn, "request: "+err.Error())
				return
			}
			k.control(conn, req)
		}
	}
}

func (k *Keeper) control(conn *fdconn.Conn, req Request) {
	switch req.Do {
	case "status":
		k.reply(conn, "")
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
			k.reply(conn, "the daemon "+k.daemon.last)
		case req.Wait && k.daemon.state != stateReady:
			k.starters = append(k.starters, conn)
		default:
			k.reply(conn, "")
		}
	case "stop":
		k.stoppers = append(k.stoppers, conn)
		k.stop()
	default:
		k.reply(conn, fmt.Sprintf("request %q: want status, start or stop", req.Do))
	}
}

// reply never waits: an answer fits the buffer of a caller that reads what it asked for.
func (k *Keeper) reply(conn *fdconn.Conn, problem string) {
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

func (k *Keeper) answerStarters(problem string) {
	for _, conn := range k.starters {
		k.reply(conn, problem)
	}
	k.starters = nil
	if k.starter == nil {
		return
	}
	word := readyWord
	if problem != "" {
		word = problem
	}
	_, err := k.starter.WriteString(word)
	if err = errors.Join(err, k.starter.Close()); err != nil {
		k.log.Debug("who started this keeper went away", "err", err)
	}
	k.starter = nil
}

func (k *Keeper) answerStoppers() {
	for _, conn := range k.stoppers {
		k.reply(conn, "")
	}
	k.stoppers = nil
}

// Status asks the keeper of a state directory how it is. Without a keeper the error is [errdefs.ErrUnavailable].
func Status(ctx context.Context, state string) (*Answer, error) {
	return ask(ctx, state, Request{Do: "status"})
}

// StartDaemon asks a keeper that runs to start the daemon if it does not run, and waits until it is ready. Args and env
// replace what the keeper had, if they are given.
func StartDaemon(ctx context.Context, state string, args, env []string) (*Answer, error) {
	return ask(ctx, state, Request{Do: "start", Args: args, Env: env, Wait: true})
}

// Stop asks the keeper to stop the daemon and to end if no recorded process lives; the answer says whether it does.
func Stop(ctx context.Context, state string) (*Answer, error) {
	return ask(ctx, state, Request{Do: "stop"})
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
