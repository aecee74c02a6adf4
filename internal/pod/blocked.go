package pod

import (
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
)

// blockedDelay is how long after a Pod's network was made it is looked whether the host lets its traffic pass. All rules of the
// host are read for that: apart from the Pod's start, and once for all Pods that begin together.
const blockedDelay = time.Second

// outlook has Pods told of what on this host drops their traffic.
type outlook struct {
	p *Pods

	mu    sync.Mutex
	pods  []*v1.Pod // that have a network since it was looked last
	timer *time.Timer
	over  bool
	work  sync.WaitGroup
}

// watch has a Pod told soon.
func (o *outlook) watch(pod *v1.Pod) {
	if pod.Spec.HostNetwork || o.p.cfg.Blocked == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return
	}
	if o.pods = append(o.pods, pod); len(o.pods) == 1 {
		o.work.Add(1)
		o.timer = time.AfterFunc(blockedDelay, o.tell)
	}
}

func (o *outlook) tell() {
	defer o.work.Done()
	o.mu.Lock()
	pods := o.pods
	o.pods = nil
	o.mu.Unlock()
	problems, err := o.p.cfg.Blocked()
	if err != nil {
		o.p.cfg.Log.Warn("whether the host lets Pods' traffic pass cannot be told", "err", err)
	}
	for _, problem := range problems {
		for _, pod := range pods {
			recordEvent(o.p, pod, "", v1.EventTypeWarning, eventNetworkBlocked, problem)
		}
	}
}

// close returns when nobody is told any more.
func (o *outlook) close() {
	o.mu.Lock()
	o.over = true
	if len(o.pods) > 0 && o.timer.Stop() {
		o.work.Done()
	}
	o.mu.Unlock()
	o.work.Wait()
}
