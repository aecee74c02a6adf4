package spec

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/kubernetes/pkg/securitycontext"

	"github.com/hull-pods/hull/internal/image"
	"github.com/hull-pods/hull/internal/pod/env"
	"github.com/hull-pods/hull/internal/pod/plan"
	"github.com/hull-pods/hull/internal/runtime"
)

// Annotations with which a container's record carries what the worker will want to know of it later, also after a restart.
const (
	noteBackoff     = "hull/restart-backoff"
	noteImageName   = "hull/image-name"
	noteImageRef    = "hull/image-ref"
	noteTermination = "hull/termination-file"
	notePolicy      = "io.kubernetes.container.terminationMessagePolicy"
)

// Run is what one run of a container is made of, besides the Pod's spec.
type Run struct {
	Attempt     uint32
	Backoff     time.Duration // see plan.NextBackoff
	Image       image.Image
	Mounts      []runtime.Mount
	Termination string // the termination file's path on the host; "" for none
}

// Container is the container that a Pod wants. Errors are those that the kubelet reports as CreateContainerConfigError.
func Container(pod *v1.Pod, c *v1.Container, run Run, o *Options) (runtime.ContainerConfig, error) {
	sc := securitycontext.DetermineEffectiveSecurityContext(pod, c)
	if err := verifyNonRoot(pod, c, sc, run.Image.Config.User); err != nil {
		return runtime.ContainerConfig{}, err
	}
	seccomp, err := seccompOf(pod, c, o.SeccompRoot)
	if err != nil {
		return runtime.ContainerConfig{}, err
	}
	vars, err := env.Variables(c)
	if err != nil {
		return runtime.ContainerConfig{}, err
	}
	score := oomScore(pod, c, o.MemoryCapacity)
	cfg := runtime.ContainerConfig{
		Name: c.Name, Attempt: run.Attempt,
		Labels: map[string]string{
			labelContainerName: c.Name, labelPodName: pod.Name, labelPodNamespace: pod.Namespace, labelPodUID: string(pod.UID),
		},
		Annotations: notes(c, run),
		Image:       c.Image, ImageID: run.Image.ID,
		Command: env.Expand(c.Command, vars), Args: env.Expand(c.Args, vars), Env: env.Strings(vars),
		WorkingDir: c.WorkingDir, Stdin: c.Stdin, StdinOnce: c.StdinOnce, TTY: c.TTY,
		LogPath: LogPath(c.Name, run.Attempt), Mounts: run.Mounts,

		RunAsUser: sc.RunAsUser, RunAsGroup: sc.RunAsGroup, SupplementalGroups: groups(pod),
		Privileged: isTrue(sc.Privileged), ReadonlyRootfs: isTrue(sc.ReadOnlyRootFilesystem),
		NoNewPrivileges: securitycontext.AddNoNewPrivileges(sc),
		UnmaskedProc:    sc.ProcMount != nil && *sc.ProcMount == v1.UnmaskedProcMount,
		Seccomp:         seccomp,
		Resources:       containerResources(c, o), OOMScoreAdj: &score,
	}
	if sc.RunAsUser == nil {
		cfg.User = run.Image.Config.User
	}
	if caps := sc.Capabilities; caps != nil {
		cfg.AddCaps, cfg.DropCaps = capabilities(caps.Add), capabilities(caps.Drop)
	}
	return cfg, nil
}

func isTrue(b *bool) bool { return b != nil && *b }

func capabilities(list []v1.Capability) []string {
	var out []string
	for _, c := range list {
		out = append(out, strings.TrimPrefix(string(c), "CAP_"))
	}
	return out
}

// groups are the supplemental groups that the Pod gives to all of its containers.
func groups(pod *v1.Pod) []int64 {
	sc := pod.Spec.SecurityContext
	if sc == nil {
		return nil
	}
	var list []int64
	if sc.FSGroup != nil {
		list = append(list, *sc.FSGroup)
	}
	return append(list, sc.SupplementalGroups...)
}

// verifyNonRoot refuses to run as root what must not. Only a user by number can be told from root; an image that names none
// runs as root.
func verifyNonRoot(pod *v1.Pod, c *v1.Container, sc *v1.SecurityContext, imageUser string) error {
	if !isTrue(sc.RunAsNonRoot) {
		return nil
	}
	where := fmt.Sprintf("(pod: %q, container: %s)", plan.Describe(pod), c.Name)
	if sc.RunAsUser != nil {
		if *sc.RunAsUser == 0 {
			return fmt.Errorf("container's runAsUser breaks non-root policy %s", where)
		}
		return nil
	}
	name, _, _ := strings.Cut(imageUser, ":")
	uid, err := strconv.ParseInt(name, 10, 64)
	switch {
	case name != "" && err != nil:
		return fmt.Errorf("container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is non-root %s", name, where)
	case name == "", uid == 0:
		return fmt.Errorf("container has runAsNonRoot and image will run as root %s", where)
	}
	if errs := validation.IsValidUserID(uid); len(errs) > 0 {
		return fmt.Errorf("container has runAsNonRoot and image has an invalid user id (%d). (Must be 1-(%d)): %s %s",
			uid, math.MaxInt32, strings.Join(errs, "; "), where)
	}
	return nil
}

//lint:ignore ST1005 the kubelet says so, full stop and all
var errNoProfile = errors.New("localhostProfile must be set if seccompProfile type is Localhost.")

// seccompOf is the container's profile, or the Pod's; RuntimeDefault when neither names one.
func seccompOf(pod *v1.Pod, c *v1.Container, root string) (runtime.Seccomp, error) {
	var p *v1.SeccompProfile
	if c.SecurityContext != nil && c.SecurityContext.SeccompProfile != nil {
		p = c.SecurityContext.SeccompProfile
	} else if pod.Spec.SecurityContext != nil {
		p = pod.Spec.SecurityContext.SeccompProfile
	}
	if p == nil {
		return runtime.Seccomp{Kind: string(v1.SeccompProfileTypeRuntimeDefault)}, nil
	}
	if p.Type != v1.SeccompProfileTypeLocalhost {
		return runtime.Seccomp{Kind: string(p.Type)}, nil
	}
	if p.LocalhostProfile == nil || *p.LocalhostProfile == "" {
		return runtime.Seccomp{}, errNoProfile
	}
	if !filepath.IsLocal(*p.LocalhostProfile) {
		return runtime.Seccomp{}, fmt.Errorf("localhostProfile %q must be a path below the directory of profiles", *p.LocalhostProfile)
	}
	return runtime.Seccomp{Kind: string(p.Type), Path: filepath.Join(root, *p.LocalhostProfile)}, nil
}

// notes are the annotations of a container's record.
func notes(c *v1.Container, run Run) map[string]string {
	m := map[string]string{notePolicy: string(c.TerminationMessagePolicy)}
	if run.Backoff > 0 {
		m[noteBackoff] = run.Backoff.String()
	}
	if run.Termination != "" {
		m[noteTermination] = run.Termination
	}
	m[noteImageName], m[noteImageRef] = imageNames(c.Image, &run.Image)
	return m
}

// imageNames are an image's name and reference by digest as a status tells them.
func imageNames(wanted string, img *image.Image) (name, ref string) {
	name, ref = wanted, img.ID
	if len(img.Names) > 0 {
		name = img.Names[0]
		if n, err := image.Normalize(wanted); err == nil && slices.Contains(img.Names, n) {
			name = n
		}
	}
	if len(img.Digests) > 0 {
		ref = img.Digests[0]
		repository, _, _ := strings.Cut(name, "@")
		if i := strings.LastIndexByte(repository, ':'); i > strings.LastIndexByte(repository, '/') {
			repository = repository[:i]
		}
		for _, d := range img.Digests {
			if strings.HasPrefix(d, repository+"@") {
				ref = d
				break
			}
		}
	}
	return name, ref
}

// Notes is what the annotations of a container's record say.
type Notes struct {
	Backoff             time.Duration
	ImageName, ImageRef string
	Termination         string
	FallbackToLogs      bool
}

// ReadNotes reads them back.
func ReadNotes(cfg *runtime.ContainerConfig) Notes {
	m := cfg.Annotations
	n := Notes{
		ImageName: m[noteImageName], ImageRef: m[noteImageRef], Termination: m[noteTermination],
		FallbackToLogs: m[notePolicy] == string(v1.TerminationMessageFallbackToLogsOnError),
	}
	if d, err := time.ParseDuration(m[noteBackoff]); err == nil {
		n.Backoff = d
	}
	return n
}
