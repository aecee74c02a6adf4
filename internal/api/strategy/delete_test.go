package strategy

import (
	"fmt"
	"math"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hull-pods/hull/internal/store"
)

// TestDelete: one request after another to one Pod, each so many seconds after the first. What it leaves is written as
// "ends=SECONDS grace=SECONDS generation=N", "pending" if the request changes nothing, with "gone" if the store then removes it.
func TestDelete(t *testing.T) {
	type step struct {
		at    int
		grace int64 // -1 = not said
		want  string
	}
	pod := func(change func(*corev1.Pod)) *corev1.Pod {
		grace := int64(30)
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", Generation: 1}, Spec: corev1.PodSpec{NodeName: "n", TerminationGracePeriodSeconds: &grace}}
		if change != nil {
			change(p)
		}
		return p
	}
	zero := int64(0)
	for _, test := range []struct {
		name  string
		pod   *corev1.Pod
		steps []step
	}{
		{"its own grace", pod(nil), []step{{0, -1, "ends=30 grace=30 generation=2"}, {1, -1, "pending"}, {1, 30, "pending"}, {1, 90, "pending"}}},
		{"a longer one", pod(nil), []step{{0, 90, "ends=90 grace=90 generation=2"}}},
		{"made shorter", pod(nil), []step{{0, -1, "ends=30 grace=30 generation=2"}, {5, 10, "ends=10 grace=10 generation=2"}, {5, 20, "pending"}}},
		{"made shorter than what is over", pod(nil), []step{{0, -1, "ends=30 grace=30 generation=2"}, {20, 10, "ends=20 grace=1 generation=2"}}},
		{"forced later", pod(nil), []step{{0, -1, "ends=30 grace=30 generation=2"}, {20, 0, "ends=20 grace=0 generation=2 gone"}}},
		{"forced", pod(nil), []step{{0, 0, "ends=0 grace=0 generation=2 gone"}}},
		{"negative is a second", pod(nil), []step{{0, -5, "ends=1 grace=1 generation=2"}}},
		{"ended", pod(func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), []step{{0, 60, "ends=1 grace=1 generation=2"}, {0, -1, "pending"}}},
		{"ended and forced", pod(func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }), []step{{0, 0, "ends=0 grace=0 generation=2 gone"}}},
		{"no grace of its own", pod(func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = &zero }), []step{{0, -1, "ends=0 grace=0 generation=2 gone"}}},
		{"for ever", pod(nil), []step{{0, math.MaxInt64, "ends=2147483647 grace=9223372036854775807 generation=2"}, {5, math.MaxInt64 - 1, "ends=2147483647 grace=9223372036854775806 generation=2"}, {6, 60, "ends=60 grace=60 generation=2"}}},
		{"held", pod(func(p *corev1.Pod) { p.Finalizers = []string{"x"} }), []step{{0, 0, "ends=0 grace=0 generation=2"}, {5, -1, "ends=0 grace=0 generation=2"}}},
	} {
		start := time.Unix(1_000_000, 0)
		strategy := &Strategy{Grace: podGrace}
		var current store.Object = test.pod
		for i, s := range test.steps {
			o := &metav1.DeleteOptions{}
			if s.grace != -1 {
				o.GracePeriodSeconds = &s.grace
			}
			next, err := strategy.Delete(current, o, start.Add(time.Duration(s.at)*time.Second))
			if err != nil {
				t.Fatalf("%s, step %d: %v", test.name, i, err)
			}
			got := "pending"
			if next != current {
				got = fmt.Sprintf("ends=%d grace=%d generation=%d", next.GetDeletionTimestamp().Unix()-start.Unix(), *next.GetDeletionGracePeriodSeconds(), next.GetGeneration())
				if store.Gone(next) {
					got += " gone"
				}
			}
			if got != s.want {
				t.Errorf("%s, step %d: %s, want %s", test.name, i, got, s.want)
			}
			current = next
		}
	}
}
