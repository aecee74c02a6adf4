package pod

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hull-pods/hull/internal/image"
	"github.com/hull-pods/hull/internal/runtime"
	"github.com/hull-pods/hull/internal/store"
	"github.com/hull-pods/hull/internal/volume"
)

func withVolume(pod *v1.Pod) *v1.Pod {
	pod.Spec.Volumes = []v1.Volume{{Name: "v", VolumeSource: v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{}}}}
	return pod
}

func TestComesUpAndGoes(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.create(withVolume(podOf("a b", v1.RestartPolicyAlways)))
		b.want("Running a=Running b=Running")
		b.did(`0: make volumes
			0: sandbox 0
			0: start a 0
			0: start b 0`, "make", "sandbox", "start")
		pod := b.get()
		c := pod.Status.ContainerStatuses[0]
		if pod.Status.PodIP != "10.0.0.2" || pod.Status.HostIP != "192.0.2.1" || !strings.HasPrefix(c.ContainerID, "hull://a-") ||
			c.Image != "docker.io/library/img:latest" || c.ImageID != "docker.io/library/img@sha256:2" || !c.Ready {
			t.Errorf("status %+v", pod.Status)
		}
		b.wantTold(`Pulled a: Container image "img" already present on machine and can be accessed by the pod`, "Created a: Container created", "Started b: Container started")
		b.delete(30)
		b.pass(0)
		if !b.gone() {
			t.Fatalf("not gone: %s", b.summary())
		}
		b.wantTold("Killing a: Stopping container a", "Killing b: Stopping container b")
		b.clean()
	})
}

func TestStartsComeInOrder(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.behaves("a", behaviour{creating: 2 * time.Second})
		b.create(podOf("a b c", v1.RestartPolicyAlways))
		b.pass(3)
		b.did(`2: start a 0
			2: start b 0
			2: start c 0`, "start")
	})
}

func TestInitContainers(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.behaves("i", behaviour{runs: time.Second})
		b.behaves("j", behaviour{runs: time.Second, exit: 3})
		b.create(podOf("i j | a", v1.RestartPolicyAlways))
		b.want("Pending i=Running j=PodInitializing a=PodInitializing")
		b.pass(2.5)
		b.want("Pending i=Completed(0) j=Running/1 a=PodInitializing")
		b.pass(1)
		b.want("Pending i=Completed(0) j=CrashLoopBackOff/1 a=PodInitializing")
		b.behaves("j", behaviour{runs: time.Second})
		b.pass(11)
		b.want("Running i=Completed(0) j=Completed(0)/2 a=Running")
		b.did(`0: start i 0
			1: start j 0
			2: start j 1
			13: start j 2
			14: start a 0`, "start")
	})
}

func TestFailedInitContainerEndsThePod(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.behaves("i", behaviour{runs: time.Second, exit: 3})
		b.create(podOf("i | a", v1.RestartPolicyNever))
		b.pass(5)
		b.want("Failed i=Error(3) a=PodInitializing")
		b.did("0: start i 0", "start")
	})
}

// TestCrashLoop: 10 s doubling to 5 min, from the moment at which the container ended.
func TestCrashLoop(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.behaves("a", behaviour{runs: time.Second, exit: 1})
		b.create(podOf("a", v1.RestartPolicyAlways))
		b.pass(1.5)
		b.want("Running a=Running/1") // the first time at once
		b.pass(1)
		b.want("Running a=CrashLoopBackOff/1")
		pod := b.get()
		c := pod.Status.ContainerStatuses[0]
		if want := fmt.Sprintf("back-off 10s restarting failed container=a pod=p_default(%s)", pod.UID); c.State.Waiting.Message != want || c.LastTerminationState.Terminated.ExitCode != 1 {
			t.Errorf("%q, last %+v", c.State.Waiting.Message, c.LastTerminationState)
		}
		b.wantTold(fmt.Sprintf("Warning BackOff a: Back-off restarting failed container a in pod p_default(%s)", pod.UID))
		b.pass(1300)
		b.did(`0: start a 0
			1: start a 1
			12: start a 2
			33: start a 3
			74: start a 4
			155: start a 5
			316: start a 6
			617: start a 7
			918: start a 8
			1219: start a 9`, "start")
		// Only the last dead container is kept.
		if n := len(b.rt.containers); n != 1 && n != 2 {
			t.Errorf("%d records", n)
		}
		b.behaves("a", behaviour{runs: 601 * time.Second, exit: 1})
		b.pass(300 + 605)
		b.rt.done()
		b.want("Running a=Running/11") // ran long: at once
	})
}

// TestNamedIsThere: while the status names a container as the one before, its log can be asked for.
func TestNamedIsThere(t *testing.T) {
	inBubble(t, func(b *bench) {
		removed := 0
		b.rt.removing = func(id string) {
			removed++
			last := b.get().Status.ContainerStatuses[0].LastTerminationState.Terminated
			if last != nil && strings.Contains(last.ContainerID, id) {
				t.Errorf("%s is removed, and was the one before", id)
			}
		}
		b.behaves("a", behaviour{runs: time.Second, exit: 1})
		b.create(podOf("a", v1.RestartPolicyAlways))
		b.pass(3000)
		if removed < 10 {
			t.Errorf("%d containers were removed", removed)
		}
	})
}

func TestRestartPolicies(t *testing.T) {
	for _, tc := range []struct {
		policy v1.RestartPolicy
		exit   int
		want   string
	}{
		{v1.RestartPolicyNever, 0, "Succeeded a=Completed(0)"},
		{v1.RestartPolicyNever, 2, "Failed a=Error(2)"},
		{v1.RestartPolicyOnFailure, 0, "Succeeded a=Completed(0)"},
		{v1.RestartPolicyOnFailure, 2, "Running a=CrashLoopBackOff/1"},
		{v1.RestartPolicyAlways, 0, "Running a=CrashLoopBackOff/1"},
	} {
		inBubble(t, func(b *bench) {
			b.behaves("a", behaviour{runs: time.Second, exit: tc.exit})
			b.create(podOf("a", tc.policy))
			b.pass(5)
			b.want(tc.want)
			if tc.want[0] == 'R' {
				return
			}
			// An ended Pod has no sandbox and no volumes, but its record.
			b.did("1: stop sandbox\n1: remove volumes", "stop", "remove")
			if len(b.rt.containers) != 1 {
				t.Error("the record of the container is gone")
			}
			b.delete(30)
			b.pass(0)
			if !b.gone() {
				t.Error("not gone")
			}
			b.clean()
		})
	}
}

func TestImagePull(t *testing.T) {
	inBubble(t, func(b *bench) {
		pod := podOf("a b", v1.RestartPolicyAlways)
		pod.Spec.Containers[1].Image = "far"
		b.create(pod)
		b.want("Pending a=Running b=ErrImagePull")
		b.pass(2)
		b.want("Pending a=Running b=ImagePullBackOff")
		if got, want := b.get().Status.ContainerStatuses[1].State.Waiting.Message, `Back-off pulling image "far": ErrImagePull: no such host`; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		b.wantTold(`Pulling b: Pulling image "far"`, `Warning Failed b: Failed to pull image "far": no such host`, "Warning Failed b: Error: ErrImagePull",
			`BackOff b: Back-off pulling image "far"`, "Warning Failed b: Error: ImagePullBackOff")
		b.pass(200)
		b.did("0: pull far\n10: pull far\n30: pull far\n70: pull far\n150: pull far", "pull")
		// Somebody loads it meanwhile: it is looked for every ten seconds.
		b.images.mu.Lock()
		b.images.present["far"] = b.images.present["img"]
		b.images.mu.Unlock()
		b.pass(10)
		b.want("Running a=Running b=Running")
		b.did("", "pull")
	})
}

func TestImagePullSucceeds(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.images.pulling = 3 * time.Second
		b.images.remote["far"] = image.Image{ID: "sha256:9", Size: 7}
		pod := podOf("a", v1.RestartPolicyAlways)
		pod.Spec.Containers[0].Image, pod.Spec.Containers[0].ImagePullPolicy = "far", v1.PullAlways
		b.create(pod)
		b.want("Pending a=ContainerCreating")
		b.pass(4)
		b.want("Running a=Running")
		b.wantTold(`Pulled a: Successfully pulled image "far" in 3s (3s including waiting). Image size: 7 bytes.`)
	})
}

func TestStartFailures(t *testing.T) {
	root := int64(0)
	for _, tc := range []struct {
		name    string
		edit    func(*v1.Pod, *bench)
		want    string
		message string
		event   string
		calls   string // in half a minute
	}{
		{"never pull", func(p *v1.Pod, _ *bench) {
			p.Spec.Containers[0].Image, p.Spec.Containers[0].ImagePullPolicy = "far", v1.PullNever
		}, "Pending a=ErrImageNeverPull", `Container image "far" is not present with pull policy of Never`, "Warning ErrImageNeverPull a: Container image \"far\" is not present with pull policy of Never", ""},
		{"no image's name", func(p *v1.Pod, _ *bench) { p.Spec.Containers[0].Image = "UP" },
			"Pending a=InvalidImageName", `Failed to apply default image tag "UP": `, "Warning Failed a: Error: InvalidImageName", ""},
		{"root is not to be", func(p *v1.Pod, _ *bench) {
			yes := true
			p.Spec.SecurityContext = &v1.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: &root}
		}, "Pending a=CreateContainerConfigError", `container's runAsUser breaks non-root policy (pod: "p_default(UID)", container: a)`,
			`Warning Failed a: Error: container's runAsUser breaks non-root policy (pod: "p_default(UID)", container: a)`, ""},
		{"mounts that do not propagate", func(_ *v1.Pod, b *bench) { b.volumes.lost = &volume.PropagationError{Path: "/x", Mountpoint: "/"} },
			"Pending a=CreateContainerError", `path "/x" is mounted on "/" but it is not a shared mount`, `Warning Failed a: Error: path "/x" is mounted on "/" but it is not a shared mount`, ""},
		{"cannot be created", func(_ *v1.Pod, b *bench) { b.behaves("a", behaviour{createErr: errors.New("no space left")}) },
			"Pending a=CreateContainerError", "no space left", "Warning Failed a: Error: no space left", "0: create a 0\n10: create a 0\n20: create a 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				pod := podOf("a", v1.RestartPolicyNever)
				tc.edit(pod, b)
				pod = b.create(pod)
				b.pass(25)
				b.want(tc.want)
				uid := strings.NewReplacer("UID", string(pod.UID))
				if got := b.get().Status.ContainerStatuses[0].State.Waiting.Message; !strings.HasPrefix(got, uid.Replace(tc.message)) {
					t.Errorf("message %q, want %q", got, uid.Replace(tc.message))
				}
				b.wantTold(uid.Replace(tc.event))
				b.did(tc.calls, "create", "start")
				if left, _ := filepath.Glob(filepath.Join(b.volumes.dir, "termination-*")); len(left) > 0 {
					t.Errorf("each try leaves a file: %v", left)
				}
			})
		})
	}
}

func TestCommandNotFound(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.behaves("a", behaviour{startErr: errors.New(`exec: "nosuch": executable file not found in $PATH`)})
		b.create(podOf("a", v1.RestartPolicyAlways))
		b.pass(1)
		pod := b.get()
		c := pod.Status.ContainerStatuses[0]
		if c.RestartCount != 1 || c.LastTerminationState.Terminated == nil || c.LastTerminationState.Terminated.ExitCode != 128 || c.LastTerminationState.Terminated.Reason != "StartError" {
			t.Errorf("%+v", c)
		}
		b.wantTold(`Warning Failed a: Error: exec: "nosuch": executable file not found in $PATH`)
		b.pass(35)
		b.did("0: start a 0\n0: start a 1\n10: start a 2\n30: start a 3", "start")
	})
	inBubble(t, func(b *bench) {
		b.behaves("a", behaviour{startErr: errors.New("exec: nosuch")})
		b.create(podOf("a", v1.RestartPolicyNever))
		b.pass(1)
		b.want("Failed a=StartError(128)")
	})
}

func TestVolumeAndSandboxFailures(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.volumes.err = &volume.Error{Volume: "data", Err: errors.New("hostPath type check failed: /x is not a directory, it's a File")}
		b.create(withVolume(podOf("a", v1.RestartPolicyAlways)))
		b.pass(4)
		b.want("Pending a=ContainerCreating")
		b.wantTold(`Warning FailedMount: MountVolume.SetUp failed for volume "data" : hostPath type check failed: /x is not a directory, it's a File`)
		if n := strings.Count(b.rt.done("make"), "make"); n != 4 { // at 0, 0.5, 1.5, 3.5
			t.Errorf("%d tries in 4 s", n)
		}
		b.volumes.mu.Lock()
		b.volumes.err = nil
		b.volumes.mu.Unlock()
		b.rt.mu.Lock()
		b.rt.sandboxErr = errors.New("host port 80 is taken")
		b.rt.mu.Unlock()
		b.pass(4 + 15)
		b.wantTold("Warning FailedCreatePodSandBox: Failed to create pod sandbox: host port 80 is taken")
		b.rt.mu.Lock()
		b.rt.sandboxErr = nil
		b.rt.warnings = []runtime.Warning{{Reason: runtime.MissingClusterDNS, Message: "no cluster"}, {Reason: "DNSConfigForming", Message: "too many"}}
		b.rt.mu.Unlock()
		b.pass(10)
		b.wantTold("Warning DNSConfigForming: too many")
		if told := b.told(); slices.ContainsFunc(told, func(e string) bool { return strings.Contains(e, runtime.MissingClusterDNS) }) {
			t.Errorf("told that there is no cluster: %q", told)
		}
		b.want("Running a=Running")
	})
}

func TestDeletion(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.behaves("a", behaviour{deaf: true})
		b.behaves("b", behaviour{dying: 2 * time.Second})
		b.create(podOf("a b", v1.RestartPolicyAlways))
		b.pass(1)
		b.delete(10)
		b.pass(5)
		b.want("Running a=Running b=Error(143)")
		b.pass(4.9)
		b.want("Running a=Running b=Error(143)")
		b.pass(0.2)
		if !b.gone() {
			t.Fatalf("not gone after its grace period: %s", b.summary())
		}
		b.did(`1: stop a 10s
			1: stop b 10s
			11: stop sandbox`, "stop")
		b.clean()
	})
}

func TestLessPatience(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.behaves("a", behaviour{deaf: true})
		b.create(podOf("a", v1.RestartPolicyAlways))
		b.delete(30)
		b.pass(1)
		b.delete(4)
		b.pass(3.1)
		if !b.gone() {
			t.Errorf("a shorter period did not count: %s", b.summary())
		}
		b.did("0: stop a 30s\n1: stop a 3s", "stop a")
		events := b.told()
		n := 0
		for _, e := range events {
			if e == "Killing a: Stopping container a" {
				n++
			}
		}
		if n != 1 {
			t.Errorf("told %d times that it is killed", n)
		}
	})
}

func TestDeletedWhilePulling(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.images.pulling = time.Hour
		pod := podOf("a", v1.RestartPolicyAlways)
		pod.Spec.Containers[0].Image = "far"
		b.create(pod)
		b.delete(30)
		b.pass(0)
		if !b.gone() {
			t.Errorf("a pull that nobody needs holds up the deletion: %s", b.summary())
		}
		b.clean()
	})
}

// TestCreatedAhead: what a Pod begins with is created while its sandbox is made. What comes of that is told with the start.
func TestCreatedAhead(t *testing.T) {
	for name, calls := range map[string][]string{
		"good":            {"0: sandbox 0\n0: create a 0", "3: start a 0", ""},
		"no space left":   {"0: sandbox 0\n0: create a 0", "", "13: create a 0\n13: start a 0"},
		"no sandbox":      {"0: sandbox 0", "", "10: sandbox 0\n10: create a 0\n13: start a 0"},
		"always pulled":   {"0: sandbox 0", "3: create a 0\n3: start a 0", ""},
		"no slot to hand": {"0: sandbox 0", "3: create a 0\n3: start a 0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				b.rt.sandboxing = 3 * time.Second
				pod := podOf("a", v1.RestartPolicyAlways)
				switch name {
				case "no space left":
					b.behaves("a", behaviour{createErr: errors.New(name)})
				case "no sandbox":
					b.rt.sandboxErr = errors.New(name)
				case "always pulled":
					pod.Spec.Containers[0].ImagePullPolicy = v1.PullAlways
					b.images.remote["img"] = image.Image{}
				case "no slot to hand":
					b.pods.slots.free = 1
				}
				b.create(pod)
				b.pass(2)
				b.did(calls[0], "sandbox", "create", "start")
				b.pass(2)
				b.did(calls[1], "sandbox", "create", "start")
				b.behaves("a", behaviour{})
				b.rt.mu.Lock()
				b.rt.sandboxErr = nil
				b.rt.mu.Unlock()
				b.pass(13)
				b.did(calls[2], "sandbox", "create", "start")
				b.want("Running a=Running")
			})
		})
	}
}

func TestDeletedBeforeTheStart(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.behaves("a", behaviour{creating: 5 * time.Second})
		b.create(podOf("a", v1.RestartPolicyAlways))
		b.pass(1)
		b.delete(30)
		b.pass(5)
		if !b.gone() {
			t.Errorf("not gone: %s", b.summary())
		}
		b.did("", "start")
		b.clean()
	})
}

// TestDeletedWhileItIsBorn: a process that does not go on, for others have stopped it, does not keep its Pod.
func TestDeletedWhileItIsBorn(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.behaves("a", behaviour{hangs: true})
		b.create(podOf("a", v1.RestartPolicyAlways))
		b.pass(5)
		b.want("Pending a=ContainerCreating")
		b.delete(30)
		b.pass(2)
		if !b.gone() {
			t.Errorf("the Pod waits for a birth: %s", b.summary())
		}
	})
}

// TestNobodyWaitsForAnExecve: a container's command may run when the one before it has the word to go on, whatever comes of that.
func TestNobodyWaitsForAnExecve(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.behaves("a", behaviour{executing: 10 * time.Second})
		b.create(podOf("a b", v1.RestartPolicyNever))
		b.pass(5)
		b.want("Pending a=ContainerCreating b=Running")
		b.pass(10)
		b.want("Running a=Running b=Running")
	})
}

// TestDiesBeforeItsTurn: what waits for those before it, and dies, is not waited for.
func TestDiesBeforeItsTurn(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.images.remote["img"], b.images.pulling = image.Image{}, 100*time.Second
		b.behaves("b", behaviour{dies: time.Second})
		pod := podOf("a b", v1.RestartPolicyNever)
		pod.Spec.Containers[0].ImagePullPolicy = v1.PullAlways
		b.create(pod)
		b.pass(5)
		b.want("Pending a=ContainerCreating b=StartError(128)")
		b.pass(100)
		b.want("Running a=Running b=StartError(128)")
	})
}

func TestForcedDeletion(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.behaves("a", behaviour{deaf: true})
		b.create(podOf("a", v1.RestartPolicyAlways))
		b.delete(0) // the store lets go of it at once
		if !b.gone() {
			t.Fatal("the object is still there")
		}
		// Another Pod takes the name, while the first is still on its way out.
		b.create(podOf("b", v1.RestartPolicyAlways))
		b.pass(3)
		b.want("Running b=Running")
		b.did("0: stop a 2s", "stop a")
		if len(b.rt.sandboxes) != 1 || len(b.rt.containers) != 1 {
			t.Errorf("left: %v %v", b.rt.sandboxes, b.rt.containers)
		}
	})
}

// TestRemovalFails: why a Pod that is deleted stays is told on it, until it can go.
func TestRemovalFails(t *testing.T) {
	inBubble(t, func(b *bench) {
		fails := func(err error) {
			b.volumes.mu.Lock()
			defer b.volumes.mu.Unlock()
			b.volumes.busy = err
		}
		b.create(withVolume(podOf("a", v1.RestartPolicyAlways)))
		fails(errors.New("remove volumes: input/output error"))
		b.delete(30)
		b.pass(15)
		b.wantTold("Warning FailedRemovePod: error removing what has ended: remove volumes: input/output error")
		fails(nil)
		b.pass(10)
		if !b.gone() {
			t.Errorf("not gone: %s", b.summary())
		}
		b.clean()
	})
}

func TestFinalizers(t *testing.T) {
	inBubble(t, func(b *bench) {
		pod := podOf("a", v1.RestartPolicyAlways)
		pod.Finalizers = []string{"example.com/wait"}
		b.create(pod)
		b.delete(30)
		b.pass(5)
		b.want("Failed a=Error(143)")
		if _, _, err := store.Update(b.store, "default", "p", func(p *v1.Pod) (*v1.Pod, error) {
			next := p.DeepCopy()
			next.Finalizers = nil
			return next, nil
		}); err != nil {
			t.Fatal(err)
		}
		b.pass(0)
		if !b.gone() {
			t.Errorf("not gone: %s", b.summary())
		}
		b.clean()
	})
}

func TestSandboxDies(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.behaves("i", behaviour{runs: time.Second})
		b.create(podOf("i | a b", v1.RestartPolicyAlways))
		b.pass(2)
		b.rt.done()
		b.rt.dies()
		b.pass(3)
		b.want("Running i=Completed(0)/1 a=Running/1 b=Running/1")
		b.wantTold("SandboxChanged: Pod sandbox changed, it will be killed and re-created.", "Killing a: Stopping container a")
		b.did(`2: stop a 30s
			2: stop b 30s
			2: stop sandbox
			2: remove i 0
			2: sandbox 1
			2: start i 0
			3: start a 1
			3: start b 1`, "stop", "remove i", "sandbox", "start")
	})
	inBubble(t, func(b *bench) { // again and again: what was told of sandboxes that are gone is forgotten
		pod := b.create(podOf("a", v1.RestartPolicyAlways))
		for range 5 {
			b.pass(1000)
			b.rt.dies()
		}
		b.pass(1000)
		if n := len(b.pods.workers[pod.UID].noted); n > 1 {
			t.Errorf("%d notes are kept", n)
		}
	})
	inBubble(t, func(b *bench) {
		b.create(podOf("a b", v1.RestartPolicyNever))
		b.rt.exits("b", 0)
		b.pass(1)
		b.rt.dies()
		b.pass(1)
		b.want("Failed a=Error(143) b=Completed(0)")
	})
	inBubble(t, func(b *bench) {
		b.create(podOf("a b", v1.RestartPolicyOnFailure))
		b.rt.exits("b", 0)
		b.pass(1)
		b.rt.done()
		b.rt.dies()
		b.pass(1)
		b.want("Running a=Running/1 b=Completed(0)")
		b.did("1: start a 1", "start")
	})
}

func TestSidecars(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.behaves("i", behaviour{runs: time.Second})
		b.behaves("a", behaviour{dying: time.Second})
		b.behaves("r", behaviour{dying: time.Second})
		b.create(podOf("s+ i r+ | a", v1.RestartPolicyAlways))
		b.pass(2)
		b.want("Running s=Running i=Completed(0) r=Running a=Running")
		b.did("0: start s 0\n0: start i 0\n1: start r 0\n1: start a 0", "start")
		b.rt.exits("s", 1)
		b.pass(1)
		b.want("Running s=Running/1 i=Completed(0) r=Running a=Running")
		b.rt.done()
		b.delete(10)
		b.pass(4)
		if !b.gone() {
			t.Fatalf("not gone: %s", b.summary())
		}
		b.did("3: stop a 10s\n4: stop r 9s\n5: stop s 8s", "stop a", "stop r", "stop s ")
	})
}

func TestSidecarsEndWithTheirContainers(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.behaves("a", behaviour{runs: time.Second})
		b.create(podOf("s+ | a", v1.RestartPolicyNever))
		b.pass(3)
		b.want("Succeeded s=Error(143) a=Completed(0)")
	})
}

func TestTerminationMessages(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.behaves("a", behaviour{runs: time.Second, exit: 1, leaves: "out of cheese", says: "a log"})
		b.behaves("b", behaviour{runs: time.Second, exit: 1, says: strings.Repeat("x", 3000) + "the end"})
		b.behaves("c", behaviour{runs: time.Second, exit: 0, says: "never shown"})
		pod := podOf("a b c", v1.RestartPolicyNever)
		for i := range pod.Spec.Containers {
			pod.Spec.Containers[i].TerminationMessagePolicy = v1.TerminationMessageFallbackToLogsOnError
		}
		b.create(pod)
		b.pass(2)
		var got []string
		for _, c := range b.get().Status.ContainerStatuses {
			got = append(got, c.State.Terminated.Message)
		}
		if got[0] != "out of cheese" || len(got[1]) != 2048 || !strings.HasSuffix(got[1], "xthe end") || got[2] != "" {
			t.Errorf("messages %.60q", got)
		}
	})
}

// reimage gives the Pod's first container another image, as kubectl set image does.
func (b *bench) reimage(name string) {
	b.t.Helper()
	if _, _, err := store.Update(b.store, "default", "p", func(p *v1.Pod) (*v1.Pod, error) {
		next := p.DeepCopy()
		next.Spec.Containers[0].Image = name
		next.Generation++
		return next, nil
	}); err != nil {
		b.t.Fatal(err)
	}
}

// TestAnotherImage: a container whose image is changed is started again, whatever the restart policy says.
func TestAnotherImage(t *testing.T) {
	for _, policy := range []v1.RestartPolicy{v1.RestartPolicyAlways, v1.RestartPolicyOnFailure, v1.RestartPolicyNever} {
		inBubble(t, func(b *bench) {
			b.images.present["new"], b.images.present["found"] = b.images.present["img"], b.images.present["img"]
			b.create(podOf("a b", policy))
			b.behaves("a", behaviour{dying: 2 * time.Second})
			b.reimage("new")
			b.pass(1)
			b.want("Running a=Running b=Running")
			b.pass(2)
			b.want("Running a=Running/1 b=Running")
			b.wantTold("Killing a: Container a definition changed, will be restarted")
			if pod := b.get(); pod.Status.ObservedGeneration != 2 {
				t.Errorf("observedGeneration %d", pod.Status.ObservedGeneration)
			}
			b.reimage("missing")
			b.pass(5)
			b.want("Running a=ImagePullBackOff/1 b=Running")
			b.reimage("found")
			b.pass(1)
			b.want("Running a=Running/2 b=Running")
		})
	}
}

// TestAnotherImageInACrashLoop: what held the old one back says nothing about the new one.
func TestAnotherImageInACrashLoop(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.images.present["new"] = b.images.present["img"]
		b.behaves("a", behaviour{runs: time.Second, exit: 1})
		b.create(podOf("a", v1.RestartPolicyAlways))
		b.pass(60)
		b.want("Running a=CrashLoopBackOff/3")
		b.behaves("a", behaviour{runs: time.Second, exit: 2})
		b.reimage("new")
		b.pass(0.5)
		b.want("Running a=Running/4")
		b.pass(1)
		b.want("Running a=Running/5") // at once the first time, as ever
	})
}

func TestDeadline(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.behaves("a", behaviour{dying: 2 * time.Second})
		pod := podOf("a", v1.RestartPolicyAlways)
		pod.Spec.ActiveDeadlineSeconds = new(int64(60))
		b.create(pod)
		b.pass(59)
		b.want("Running a=Running")
		b.pass(2)
		b.want("Running a=Running") // it still runs, so nothing is final
		b.pass(2)
		b.want("Failed a=Error(143)")
		if s := b.get().Status; s.Reason != "DeadlineExceeded" {
			t.Errorf("reason %q", s.Reason)
		}
		b.wantTold("DeadlineExceeded: Pod was active on the node longer than the specified deadline")
	})
}

func TestVolumeOverItsLimit(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.behaves("a", behaviour{deaf: true})
		pod := podOf("a", v1.RestartPolicyAlways)
		pod.Spec.Volumes = []v1.Volume{{Name: "v", VolumeSource: v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{SizeLimit: new(resource.MustParse("1Mi"))}}}}
		b.create(pod)
		b.pass(15)
		b.want("Running a=Running")
		const full = `Usage of EmptyDir volume "v" exceeds the limit "1Mi". `
		b.volumes.mu.Lock()
		b.volumes.full = full
		b.volumes.mu.Unlock()
		b.pass(8)
		b.want("Failed a=Error(137)")
		if s := b.get().Status; s.Reason != "Evicted" || s.Message != full {
			t.Errorf("%s: %s", s.Reason, s.Message)
		}
		b.wantTold("Warning Evicted: " + full)
		b.did("20: stop a 2s", "stop a")
	})
}

// TestRestart: what runs is left alone, what ended meanwhile counts, and the back-off goes on where it was.
func TestRestart(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.behaves("b", behaviour{runs: time.Second, exit: 1})
		b.create(podOf("a b", v1.RestartPolicyAlways))
		b.pass(13.5) // b ended at 1, 2 and 13
		b.want("Running a=Running b=CrashLoopBackOff/2")
		b.rt.done()
		b.stop()
		b.pass(5)
		b.rt.exits("a", 7)
		b.start()
		b.pass(0)
		b.want("Running a=Running/1 b=CrashLoopBackOff/2")
		b.pass(13.5) // it is 32
		b.did("18: start a 1", "start", "sandbox", "stop", "remove")
		b.pass(2)
		b.did("33: start b 3", "start")
		if c := b.get().Status.ContainerStatuses[0]; c.LastTerminationState.Terminated.ExitCode != 7 {
			t.Errorf("the exit code is lost: %+v", c)
		}
	})
}

func TestRestartWithADeletedPod(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.behaves("a", behaviour{deaf: true})
		b.create(podOf("a", v1.RestartPolicyAlways))
		b.stop()
		b.delete(5)
		b.start()
		b.pass(6)
		if !b.gone() {
			t.Errorf("not gone: %s", b.summary())
		}
		b.clean()
	})
}

func TestOrphans(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.create(podOf("a", v1.RestartPolicyAlways))
		b.stop()
		if _, _, err := b.store.Remove(store.KeyOf[*v1.Pod]("default", "p"), nil); err != nil {
			t.Fatal(err)
		}
		// Of this one the object and all that the runtime has were gone when the daemon died.
		b.volumes.have["somebody-else"] = true
		logs := filepath.Join(b.logs, "ns_name_somebody-else")
		if err := os.MkdirAll(filepath.Join(logs, "a"), 0o700); err != nil {
			t.Fatal(err)
		}
		b.start()
		b.pass(1)
		b.did("0: stop a 2s", "stop a")
		b.clean()
		if _, err := os.Stat(logs); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("its logs are still there: %v", err)
		}
	})
}

func TestReboot(t *testing.T) {
	for policy, want := range map[v1.RestartPolicy]string{
		v1.RestartPolicyAlways: "Running a=Running/1",
		v1.RestartPolicyNever:  "Failed a=ContainerStatusUnknown(137)/1",
	} {
		inBubble(t, func(b *bench) {
			pod := b.create(podOf("a", policy))
			dir := filepath.Join(b.logs, fmt.Sprintf("default_p_%s", pod.UID), "a")
			if err := os.WriteFile(filepath.Join(dir, "0.log"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			b.stop()
			b.rt.reboots()
			b.rt.done()
			b.start()
			b.pass(1)
			b.want(want)
			if policy == v1.RestartPolicyAlways {
				b.did("0: start a 1", "start") // not into the log of the run before
			}
		})
	}
}

// TestRebootKeepsExitCodes: what has succeeded is not run again because nobody but the object knows of it.
func TestRebootKeepsExitCodes(t *testing.T) {
	for _, test := range []struct {
		policy       v1.RestartPolicy
		before, then string
		did          string
	}{
		{v1.RestartPolicyOnFailure, "Running i=Completed(0) a=Completed(0) b=Running", "Running i=Completed(0)/1 a=Completed(0) b=Running/1", "2: start i 0\n3: start b 0"},
		{v1.RestartPolicyNever, "Running i=Completed(0) a=Completed(0) b=Running", "Failed i=Completed(0) a=Completed(0) b=ContainerStatusUnknown(137)/1", ""},
	} {
		inBubble(t, func(b *bench) {
			b.behaves("i", behaviour{runs: time.Second})
			b.create(podOf("i | a b", test.policy))
			b.pass(1.5)
			b.rt.exits("a", 0)
			b.pass(0.5)
			b.want(test.before)
			b.stop()
			b.rt.reboots()
			b.rt.done()
			b.start()
			b.pass(3)
			b.want(test.then)
			b.did(test.did, "start")
			b.stop() // and what was kept so is kept when the daemon comes back once more
			b.start()
			b.pass(20)
			b.want(test.then)
			b.did("", "start")
		})
	}
}

// TestDrain: what runs ends as it does in a deletion, but in the time that the machine has; nothing starts; the next daemon
// goes on.
func TestDrain(t *testing.T) {
	for _, test := range []struct {
		policy      v1.RestartPolicy
		ended, then string
		booted      bool
	}{
		{v1.RestartPolicyAlways, "Running s=Error(143) a=Error(143) b=Error(137)", "Running s=Running/1 a=Running/1 b=Running/1", true},
		{v1.RestartPolicyAlways, "Running s=Error(143) a=Error(143) b=Error(137)", "Running s=Running/1 a=Running/1 b=Running/1", false},
		{v1.RestartPolicyNever, "Failed s=Error(143) a=Error(143) b=Error(137)", "Failed s=Error(143) a=Error(143) b=Error(137)", true},
	} {
		inBubble(t, func(b *bench) {
			b.behaves("b", behaviour{deaf: true})
			b.create(podOf("s+ | a b", test.policy))
			b.pass(1)
			b.rt.done()
			drained := b.drain(10 * time.Second)
			b.pass(9)
			if drained() {
				t.Error("did not wait")
			}
			b.pass(1.5)
			if !drained() {
				t.Errorf("has not ended: %s", b.summary())
			}
			b.want(test.ended)
			b.did("1: stop a 10s\n1: stop b 10s\n11: stop s 2s\n11: stop sandbox", "stop", "start", "sandbox")
			b.stop()
			if test.booted {
				b.rt.reboots()
			}
			b.start()
			b.pass(0.5)
			b.want(test.then)
		})
	}
}

func TestDrainWithLessPatience(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.behaves("a", behaviour{deaf: true})
		b.create(podOf("a", v1.RestartPolicyAlways))
		b.pass(1)
		first := b.drain(math.MaxInt64)
		b.pass(1)
		second := b.drain(5 * time.Second)
		b.pass(3)
		if first() || second() {
			t.Error("did not wait")
		}
		b.pass(1)
		if !first() || !second() {
			t.Errorf("has not ended: %s", b.summary())
		}
		b.did("1: stop a 30s\n2: stop a 4s\n6: stop sandbox", "stop")
	})
}

// TestForeignConditions: what others write into the status stays, and counts.
func TestForeignConditions(t *testing.T) {
	inBubble(t, func(b *bench) {
		pod := podOf("a", v1.RestartPolicyAlways)
		pod.Spec.ReadinessGates = []v1.PodReadinessGate{{ConditionType: "example.com/gate"}}
		b.create(pod)
		ready := func() bool {
			for _, c := range b.get().Status.Conditions {
				if c.Type == v1.PodReady {
					return c.Status == v1.ConditionTrue
				}
			}
			return false
		}
		if ready() {
			t.Error("ready before its gate opened")
		}
		if _, _, err := store.Update(b.store, "default", "p", func(p *v1.Pod) (*v1.Pod, error) {
			next := p.DeepCopy()
			next.Status.Conditions = append(next.Status.Conditions, v1.PodCondition{Type: "example.com/gate", Status: v1.ConditionTrue, LastTransitionTime: metav1.Now()})
			return next, nil
		}); err != nil {
			t.Fatal(err)
		}
		b.pass(0)
		if !ready() {
			t.Errorf("not ready after: %+v", b.get().Status.Conditions)
		}
	})
}
