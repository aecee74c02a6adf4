package pod

import (
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hull-pods/hull/internal/pod/plan"
	"github.com/hull-pods/hull/internal/store"
)

// TestNameTooLongForLogs: a Pod whose name leaves no room for namespace and UID in that of a directory does not start, as under
// the kubelet, and can be deleted.
func TestNameTooLongForLogs(t *testing.T) {
	inBubble(t, func(b *bench) {
		pod := podOf("a", v1.RestartPolicyAlways)
		pod.Name = strings.Repeat("n", 253)
		b.create(pod)
		b.pass(1)
		got, err := store.Get[*v1.Pod](b.store, pod.Namespace, pod.Name)
		if err != nil {
			t.Fatal(err)
		}
		if why := state(got.Status.ContainerStatuses[0].State); why != plan.CreateConfigError {
			t.Errorf("it waits for %s", why)
		}
		if _, _, err := store.Update(b.store, pod.Namespace, pod.Name, func(current *v1.Pod) (*v1.Pod, error) {
			next := current.DeepCopy()
			next.DeletionTimestamp, next.DeletionGracePeriodSeconds = new(metav1.Now()), new(int64(1))
			return next, nil
		}); err != nil {
			t.Fatal(err)
		}
		b.pass(1)
		if _, err := store.Get[*v1.Pod](b.store, pod.Namespace, pod.Name); err == nil {
			t.Error("it is still there")
		}
		b.clean()
	})
}
