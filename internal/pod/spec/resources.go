package spec

import (
	v1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
	"k8s.io/kubernetes/pkg/apis/core/v1/helper/qos"

	"github.com/hull-pods/hull/internal/runtime"
)

// The kubelet's numbers.
const (
	cpuPeriod = 100_000 // µs
	minQuota  = 1_000   // µs
	minShares = 2
	maxShares = 262_144

	scoreGuaranteed = -997
	scoreBestEffort = 1000
)

// Cgroups of classes of Pods in the kubelet's tree.
const (
	burstable  = "burstable"
	bestEffort = "besteffort"
)

// QOSCgroups are the parents of those of Pods that are not guaranteed their resources.
func QOSCgroups() []string { return []string{burstable, bestEffort} }

// CgroupParent is the Pod's cgroup in the kubelet's tree.
func CgroupParent(pod *v1.Pod) string {
	name := "pod" + string(pod.UID)
	switch qos.GetPodQOS(pod) {
	case v1.PodQOSBurstable:
		return burstable + "/" + name
	case v1.PodQOSBestEffort:
		return bestEffort + "/" + name
	}
	return name
}

// shares are the cpu.shares of a number of thousandths of a core.
func shares(milli int64) uint64 {
	return uint64(min(max(milli*1024/1000, minShares), maxShares))
}

// quota is the CPU time in each period of a number of thousandths of a core; 0 is no limit.
func quota(milli int64) int64 {
	if milli == 0 {
		return 0
	}
	return max(milli*cpuPeriod/1000, minQuota)
}

// containerResources are the limits of one container's cgroup.
func containerResources(c *v1.Container, o *Options) runtime.Resources {
	request := c.Resources.Requests.Cpu()
	if _, asked := c.Resources.Requests[v1.ResourceCPU]; !asked {
		request = c.Resources.Limits.Cpu()
	}
	r := runtime.Resources{
		CPUShares: shares(request.MilliValue()), CPUQuota: quota(c.Resources.Limits.Cpu().MilliValue()),
		Memory: c.Resources.Limits.Memory().Value(),
	}
	if o.CountsSwap {
		r.Swap = r.Memory // as the kubelet's default, NoSwap: what is beyond the limit is not swapped out, but killed for
	}
	if r.CPUQuota != 0 {
		r.CPUPeriod = cpuPeriod
	}
	if o.CgroupV2 {
		// What runs out of memory ends as a whole.
		r.Unified = map[string]string{"memory.oom.group": "1"}
	}
	return r
}

// podResources are the limits of the Pod's cgroup: what its containers may use together, where each of them has a limit.
func podResources(pod *v1.Pod, o *Options) runtime.Resources {
	requests := resource.PodRequests(pod, resource.PodResourcesOptions{})
	limits := resource.PodLimits(pod, resource.PodResourcesOptions{})
	cpuLimited, memoryLimited := true, true
	for _, list := range [][]v1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			cpuLimited = cpuLimited && !list[i].Resources.Limits.Cpu().IsZero()
			memoryLimited = memoryLimited && !list[i].Resources.Limits.Memory().IsZero()
		}
	}
	r := runtime.Resources{CPUShares: minShares}
	class := qos.GetPodQOS(pod)
	if class != v1.PodQOSBestEffort {
		r.CPUShares = shares(requests.Cpu().MilliValue())
	}
	if class == v1.PodQOSGuaranteed || (class == v1.PodQOSBurstable && cpuLimited) {
		if r.CPUQuota = quota(limits.Cpu().MilliValue()); r.CPUQuota != 0 {
			r.CPUPeriod = cpuPeriod
		}
	}
	if class == v1.PodQOSGuaranteed || (class == v1.PodQOSBurstable && memoryLimited) {
		r.Memory = limits.Memory().Value()
	}
	if o.PodMaxPIDs > 0 {
		r.PidsLimit = o.PodMaxPIDs
	}
	return r
}

// oomScore says how early a container's processes die when memory runs out: the sooner the more they use of what they did
// not ask for.
func oomScore(pod *v1.Pod, c *v1.Container, capacity int64) int {
	switch qos.GetPodQOS(pod) {
	case v1.PodQOSGuaranteed:
		return scoreGuaranteed
	case v1.PodQOSBestEffort:
		return scoreBestEffort
	}
	if capacity <= 0 {
		return scoreBestEffort - 1
	}
	score := 1000 - 1000*c.Resources.Requests.Memory().Value()/capacity
	if podutil.IsRestartableInitContainer(c) {
		// A sidecar does not go before those that it serves.
		least := int64(0)
		for i := range pod.Spec.Containers {
			if m := pod.Spec.Containers[i].Resources.Requests.Memory().Value(); i == 0 || m < least {
				least = m
			}
		}
		score = min(score, 1000-1000*least/capacity)
	}
	return int(min(max(score, 1000+scoreGuaranteed), scoreBestEffort-1))
}
