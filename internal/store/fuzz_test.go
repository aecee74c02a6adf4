package store

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// selected is what a selector of the label app=x sees: names with the versions of the objects.
type selected map[string]string

func chosen(o Object) bool { return o.GetLabels()["app"] == "x" }

// look lists, and at which version that was.
func look(t *testing.T, s *Store) (selected, uint64) {
	t.Helper()
	objs, version, err := s.List("pods", "", chosen)
	if err != nil {
		t.Fatal(err)
	}
	all := selected{}
	for _, o := range objs {
		all[o.GetName()] = o.GetResourceVersion()
	}
	return all, version
}

// follow takes a list on to where the object "last" is there, by what a watch says. Each event must be one that can come then.
func (all selected) follow(t *testing.T, events <-chan watch.Event, at uint64) {
	t.Helper()
	for ev := range events {
		o := ev.Object.(Object)
		name, version := o.GetName(), VersionOf(o)
		if version <= at {
			t.Fatalf("%s %s@%d after version %d", ev.Type, name, version, at)
		}
		at = version
		_, known := all[name]
		if known == (ev.Type == watch.Added) {
			t.Fatalf("%s %s@%d, and it was there: %t", ev.Type, name, version, known)
		}
		if ev.Type == watch.Deleted {
			delete(all, name)
		} else {
			all[name] = o.GetResourceVersion()
		}
		if name == "last" {
			return
		}
	}
	t.Fatal("the watch ended")
}

// FuzzWatch makes, changes and removes objects, and looks and watches in between: who has looked and then watches from there knows
// in the end what who looks then does.
func FuzzWatch(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 8, 4, 5, 6, 7, 9})
	f.Add([]byte{0, 9, 20, 9, 40, 9, 60, 9, 0, 8, 20, 8})
	f.Fuzz(func(t *testing.T, dice []byte) {
		s := fresh(t)
		type looked struct {
			all   selected
			at    uint64
			early <-chan watch.Event // opened then; nil: is to be opened in the end
		}
		var looks []looked
		for _, d := range dice[:min(len(dice), 64)] {
			name := fmt.Sprint("p", d/10%4)
			switch d % 10 {
			case 0, 1, 2:
				p := pod("default", name)
				p.Labels["app"] = []string{"x", "y"}[d/40%2]
				_, _, _ = s.Create(p) // it may be there
			case 3, 4:
				_, _, _ = Update(s, "default", name, func(p *corev1.Pod) (*corev1.Pod, error) {
					next := *p
					next.Labels = map[string]string{"app": []string{"x", "y"}[d/40%2], "n": fmt.Sprint(d)}
					return &next, nil
				})
			case 5:
				_, _, _ = Update(s, "default", name, func(p *corev1.Pod) (*corev1.Pod, error) {
					next := *p
					next.DeletionTimestamp, next.DeletionGracePeriodSeconds, next.Finalizers = new(metav1.Now()), new(int64(d/40)), nil
					return &next, nil
				})
			case 6, 7:
				_, _, _ = s.Remove(Key{"pods", "default", name}, nil)
			case 8:
				all, at := look(t, s)
				looks = append(looks, looked{all: all, at: at})
			case 9:
				all, at := look(t, s)
				looks = append(looks, looked{all, at, mustWatch(t, s, WatchOptions{Match: chosen, Settled: d/40%2 == 0})})
			}
		}
		last := pod("default", "last")
		last.Labels["app"] = "x"
		mustCreate(t, s, last)
		want, _ := look(t, s)
		looks = append(looks, looked{all: selected{}, early: mustWatch(t, s, WatchOptions{Match: chosen, Initial: true})})
		for i, l := range looks {
			switch {
			case l.early == nil && l.at == 0: // before the first write: from version 0 would be from now
				continue
			case l.early == nil:
				l.early = mustWatch(t, s, WatchOptions{Match: chosen, Since: l.at, Settled: true})
			}
			if i == len(looks)-1 {
				for range want {
					o := (<-l.early).Object.(Object)
					l.all[o.GetName()] = o.GetResourceVersion()
				}
			} else {
				l.all.follow(t, l.early, l.at)
			}
			if fmt.Sprint(l.all) != fmt.Sprint(want) {
				t.Errorf("who looked at version %d knows %v, and there is %v", l.at, l.all, want)
			}
		}
	})
}
