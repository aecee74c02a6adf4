package store

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestStale: a time to live and a limit each count by themselves; none of the one is not nothing of the other.
func TestStale(t *testing.T) {
	s := fresh(t)
	for name, age := range map[string]time.Duration{"new": 0, "old": 30 * time.Minute, "oldest": 2 * time.Hour} {
		ev := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, LastTimestamp: metav1.NewTime(time.Now().Add(-age))}
		mustCreate(t, s, ev)
	}
	for _, c := range []struct {
		ttl   time.Duration
		limit int
		want  []string
	}{
		{0, 0, nil},
		{time.Hour, 0, []string{"oldest"}},
		{0, 1, []string{"oldest", "old"}},
		{0, 5, nil},
		{time.Hour, 1, []string{"oldest", "old"}},
		{time.Minute, 5, []string{"oldest", "old"}},
	} {
		events := *s.tables["events"]
		events.ttl, events.limit = c.ttl, c.limit
		var names []string
		for _, key := range s.stale(&events) {
			names = append(names, key.Name)
		}
		if !slices.Equal(names, c.want) {
			t.Errorf("ttl %v, limit %d: %v go, want %v", c.ttl, c.limit, names, c.want)
		}
	}
}
