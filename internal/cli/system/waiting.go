package system

import (
	"context"
	"encoding/json"
	"strings"
	"sync"

	"github.com/hull-pods/hull/internal/cli/env"
	"github.com/hull-pods/hull/internal/cli/hulld"
	"github.com/hull-pods/hull/internal/client"
)

// askToStop has hulld stop, and do before that with its Pods what shall be done. While they are deleted it says which of them others
// keep.
func askToStop(ctx context.Context, e *env.Env, c *client.Client, pods podsAtStop) error {
	watching, cancel := context.WithCancel(ctx)
	var telling sync.WaitGroup
	defer telling.Wait()
	defer cancel()
	if pods.remove {
		telling.Go(func() { tellWhatKeepsPods(watching, e, c) })
	}
	return c.Do(ctx, client.Request{Method: "POST", Path: hulld.Own("stop"), Query: pods.query()}, nil)
}

// tellWhatKeepsPods tells, once a Pod, of those that have ended and cannot go: whoever put finalizers on them has yet to take them off.
// It ends with ctx, or with hulld.
func tellWhatKeepsPods(ctx context.Context, e *env.Env, c *client.Client) {
	told := map[string]bool{} // by UID
	_ = c.Watch(ctx, client.Request{Path: "/api/v1/pods"}, func(ev client.Event) error {
		var p struct {
			Metadata struct {
				Name, Namespace, UID       string
				DeletionGracePeriodSeconds *int64
				Finalizers                 []string
			}
		}
		if err := json.Unmarshal(ev.Object, &p); err != nil {
			return err
		}
		m := &p.Metadata
		ended := m.DeletionGracePeriodSeconds != nil && *m.DeletionGracePeriodSeconds == 0
		if ev.Type != "DELETED" && ended && len(m.Finalizers) > 0 && !told[m.UID] {
			told[m.UID] = true
			e.Warnf("pod %q in namespace %s waits for its finalizers to be removed: %s\n", m.Name, m.Namespace, strings.Join(m.Finalizers, ", "))
		}
		return nil
	})
}
