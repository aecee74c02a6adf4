package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/runtime/leftover"
	"github.com/hull-pods/hull/internal/runtime/record"
	"github.com/hull-pods/hull/internal/starter"
)

// infraOOMScore is the kubelet's score of the pause container: among the last to be killed.
const infraOOMScore = -998

// infraName is the infra process' argv[0], by which it is found also when no keeper knows it.
func (s *sandbox) infraName() string { return leftover.InfraName(s.r.cfg.Instance, s.id) }

func (s *sandbox) infraRequest() starter.InfraRequest {
	cfg := s.config()
	return starter.InfraRequest{
		Key: s.key(), Name: s.infraName(), Hostname: cfg.KernelName(), Sysctls: cfg.Sysctls,
		JoinNet: !cfg.HostNetwork, NewIPC: !cfg.HostIPC, NewUTS: !cfg.HostNetwork, NewPID: cfg.SharePID && !cfg.HostPID,
		OOMScoreAdj: infraOOMScore,
	}
}

// hold takes the infra process' descriptor. The end of the process may have been told before.
func (s *sandbox) hold(pidfd *os.File, pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.rec.Status.EndedAt.IsZero() {
		_ = pidfd.Close()
		return
	}
	s.pidfd, s.rec.Status.PID = pidfd, pid
}

// ProcessEnded is the keeper's word that the infra process is gone, and with it everything that it held together.
func (s *sandbox) ProcessEnded(e keeper.Exit) {
	s.markEnded(e.At)
	s.r.events.Put(s.config().Owner, Event{Type: SandboxEnded, SandboxID: s.id})
}

func (s *sandbox) markEnded(at time.Time) {
	s.once.Do(func() {
		err := s.update(func(rec *record.Sandbox) {
			rec.Status.State, rec.Status.EndedAt, rec.Status.PID = SandboxNotReady, at, 0
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // the directory has gone with a sandbox that did not come to be
			s.r.log.Error("the end of a sandbox is not on record", "sandbox", s.id, "err", err)
		}
		s.mu.Lock()
		if s.pidfd != nil {
			_ = s.pidfd.Close()
			s.pidfd = nil
		}
		s.mu.Unlock()
		s.finish(errInfraEnded)
		close(s.ended)
	})
}

// kill ends the infra process and waits until it is gone.
func (s *sandbox) kill(ctx context.Context) error {
	s.mu.Lock()
	var err error
	if s.pidfd != nil {
		err = linux.PidfdSignal(s.pidfd, unix.SIGKILL)
	}
	s.mu.Unlock()
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill the infra container of %s: %w", s, err)
	}
	if err := s.group().Thaw(); err != nil {
		s.r.log.Warn("an infra container that is killed may be frozen", "sandbox", s.id, "err", err)
	}
	if err := s.r.exits.Await(ctx, s.ended); err != nil {
		return fmt.Errorf("wait for the end of the infra container of %s: %w", s, err)
	}
	return nil
}

// namespace is the path by which others join one of the sandbox's namespaces. Who has opened it asks [sandbox.alive] after that:
// when the infra process has ended, its PID may be another's.
func (s *sandbox) namespace(name string) string {
	return fmt.Sprintf("/proc/%d/ns/%s", s.status().PID, name)
}

// alive is nil while the infra process has not ended: until then, its PID is nobody else's.
func (s *sandbox) alive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pidfd == nil || linux.PidfdSignal(s.pidfd, 0) != nil {
		return errInfraEnded
	}
	return nil
}

// lent says whether the namespaces that a spec joins by their paths were the sandbox's when they were opened. It is asked after
// that: an infra process that has not ended by now had not then either.
func (s *sandbox) lent(spec *oci.Spec) error {
	for _, ns := range spec.Linux.Namespaces {
		if ns.Path != "" {
			return s.alive()
		}
	}
	return nil // it shares the host's
}
