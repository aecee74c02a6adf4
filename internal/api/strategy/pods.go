package strategy

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/helper/qos"
	"k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/capabilities"

	"github.com/hull-pods/hull/internal/api/supported"
	"github.com/hull-pods/hull/internal/store"
)

// pods holds what the functions of the Pods' strategy share.
type pods struct {
	scheme *runtime.Scheme
	check  *supported.Checker
	node   string
	// runtimes are the names that a runtimeClassName may have.
	runtimes []string
}

// Pods is the strategy of Pods on a host of that name, which has those runtime classes.
func Pods(scheme *runtime.Scheme, node string, runtimes []string) *Strategy {
	capabilities.Setup(true, 0) // a validation that is not told so refuses privileged containers
	p := pods{scheme: scheme, check: supported.New(), node: node, runtimes: runtimes}
	return &Strategy{
		Resource: "pods", Singular: "pod", Kind: corev1.SchemeGroupVersion.WithKind("Pod"),
		ShortNames: []string{"po"}, Categories: []string{"all"},
		New:    func() store.Object { return &corev1.Pod{} },
		List:   podList,
		Fields: podFields,
		Create: func(obj store.Object) ([]string, error) { return p.create(obj.(*corev1.Pod)) },
		Update: func(obj, old store.Object) ([]string, error) {
			return p.update(obj.(*corev1.Pod), old.(*corev1.Pod))
		},
		UpdateStatus: func(obj, old store.Object) ([]string, error) {
			return p.updateStatus(obj.(*corev1.Pod), old.(*corev1.Pod))
		},
		Grace: podGrace,
	}
}

func podList(items []store.Object, version string) runtime.Object {
	list := &corev1.PodList{
		TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"},
		ListMeta: metav1.ListMeta{ResourceVersion: version},
		Items:    make([]corev1.Pod, len(items)),
	}
	for i, obj := range items {
		list.Items[i] = *obj.(*corev1.Pod)
		list.Items[i].TypeMeta = metav1.TypeMeta{} // the list says it for all
	}
	return list
}

// podFields has the fields that Kubernetes lets a selector name.
func podFields(obj store.Object) fields.Set {
	p := obj.(*corev1.Pod)
	set := fields.Set{
		"metadata.name":            p.Name,
		"metadata.namespace":       p.Namespace,
		"spec.nodeName":            p.Spec.NodeName,
		"spec.restartPolicy":       string(p.Spec.RestartPolicy),
		"spec.schedulerName":       p.Spec.SchedulerName,
		"spec.serviceAccountName":  p.Spec.ServiceAccountName,
		"spec.hostNetwork":         strconv.FormatBool(p.Spec.HostNetwork),
		"status.phase":             string(p.Status.Phase),
		"status.podIP":             "",
		"status.nominatedNodeName": p.Status.NominatedNodeName,
	}
	if len(p.Status.PodIPs) > 0 {
		set["status.podIP"] = p.Status.PodIPs[0].IP
	}
	return set
}

// create makes of a client's Pod the Pod that is stored.
func (p pods) create(pod *corev1.Pod) ([]string, error) {
	wipe(&pod.ObjectMeta)
	if pod.ResourceVersion != "" {
		return nil, apierrors.FromObject(&metav1.Status{
			Status: metav1.StatusFailure, Code: 500, Message: "resourceVersion should not be set on objects to be created",
		})
	}
	pod.Generation = 1
	pod.Status = corev1.PodStatus{Phase: corev1.PodPending}
	errs := p.admit(pod)

	in, err := Convert[core.Pod](p.scheme, pod)
	if err != nil {
		return nil, err
	}
	podutil.DropDisabledPodFields(in, nil)
	podutil.DefaultPodLevelResources(in)
	in.Status.QOSClass = qos.GetPodQOS(in)

	opts := podutil.GetValidationOptionsFromPodSpecAndMeta(&in.Spec, nil, &in.ObjectMeta, nil)
	opts.ResourceIsPod = true
	invalid := validation.ValidatePodCreate(in, opts)
	if len(invalid) == 0 {
		invalid = apivalidation.ValidateObjectMetaAccessor(in, true, pathSegment, field.NewPath("metadata"))
	}
	errs = append(errs, p.unsupported(pod, invalid)...)
	if len(errs) != 0 {
		return nil, apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Pod").GroupKind(), pod.Name, errs)
	}
	if err := p.scheme.Convert(in, pod, nil); err != nil {
		return nil, fmt.Errorf("convert a Pod back: %w", err)
	}
	return p.warnings(in), nil
}

// admit does what admission and the scheduler do in a cluster: the Pod gets its node, and an account that gives it nothing.
func (p pods) admit(pod *corev1.Pod) (errs field.ErrorList) {
	if pod.Spec.NodeName == "" {
		pod.Spec.NodeName = p.node
	}
	if pod.Spec.NodeName != p.node {
		errs = append(errs, field.NotSupported(field.NewPath("spec", "nodeName"), pod.Spec.NodeName, []string{p.node}))
	}
	if class := pod.Spec.RuntimeClassName; class != nil && *class != "" && !slices.Contains(p.runtimes, *class) {
		errs = append(errs, field.Forbidden(field.NewPath("spec", "runtimeClassName"),
			fmt.Sprintf("RuntimeClass %q not found: hulld knows those of its --runtime NAME=PROGRAM", *class)))
	}
	if pod.Spec.ServiceAccountName == "" {
		pod.Spec.ServiceAccountName = pod.Spec.DeprecatedServiceAccount
	}
	if pod.Spec.ServiceAccountName == "" {
		pod.Spec.ServiceAccountName = "default"
	}
	pod.Spec.DeprecatedServiceAccount = pod.Spec.ServiceAccountName
	return errs
}

// unsupported adds to the errors of validation what Hull does not act on. What is wrong inside of something that is refused
// as a whole is not worth a word.
func (p pods) unsupported(pod *corev1.Pod, invalid field.ErrorList) field.ErrorList {
	refused := p.check.Check(pod)
	var errs field.ErrorList
	for _, e := range invalid {
		within := false
		for _, r := range refused {
			within = within || e.Field == r.Field || strings.HasPrefix(e.Field, r.Field+".") || strings.HasPrefix(e.Field, r.Field+"[")
		}
		if !within {
			errs = append(errs, e)
		}
	}
	return append(errs, refused...)
}

func (p pods) warnings(in *core.Pod) (out []string) {
	if msgs := utilvalidation.IsDNS1123Label(in.Name); len(msgs) != 0 {
		out = append(out, fmt.Sprintf("metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: %v", msgs))
	}
	return append(out, podutil.GetWarningsForPod(context.Background(), in, nil)...)
}

// update makes of a client's Pod the Pod that takes the place of old.
func (p pods) update(pod, old *corev1.Pod) ([]string, error) {
	keep(&pod.ObjectMeta, &old.ObjectMeta)
	pod.Status = *old.Status.DeepCopy()
	in, oldIn, err := p.pair(pod, old)
	if err != nil {
		return nil, err
	}
	podutil.DropDisabledPodFields(in, oldIn)
	if !equality.Semantic.DeepEqual(in.Spec, oldIn.Spec) {
		in.Generation++
	}
	opts := podutil.GetValidationOptionsFromPodSpecAndMeta(&in.Spec, &oldIn.Spec, &in.ObjectMeta, &oldIn.ObjectMeta)
	opts.ResourceIsPod = true
	errs := metadataErrors(in, oldIn)
	errs = append(errs, p.unsupported(pod, validation.ValidatePodUpdate(in, oldIn, opts))...)
	return nil, p.finish(in, pod, errs)
}

// updateStatus takes the status of a client's Pod and nothing else but labels, annotations and the like.
func (p pods) updateStatus(pod, old *corev1.Pod) ([]string, error) {
	keep(&pod.ObjectMeta, &old.ObjectMeta)
	pod.Spec = *old.Spec.DeepCopy()
	pod.OwnerReferences = old.OwnerReferences
	if pod.Status.QOSClass == "" {
		pod.Status.QOSClass = old.Status.QOSClass
	}
	in, oldIn, err := p.pair(pod, old)
	if err != nil {
		return nil, err
	}
	podutil.DropDisabledPodFields(in, oldIn)
	opts := podutil.GetValidationOptionsFromPodSpecAndMeta(&in.Spec, &oldIn.Spec, &in.ObjectMeta, &oldIn.ObjectMeta)
	opts.ResourceIsPod = true
	errs := metadataErrors(in, oldIn)
	errs = append(errs, p.unsupported(pod, validation.ValidatePodStatusUpdate(in, oldIn, opts))...)
	return nil, p.finish(in, pod, errs)
}

func (p pods) pair(pod, old *corev1.Pod) (in, oldIn *core.Pod, err error) {
	if in, err = Convert[core.Pod](p.scheme, pod); err != nil {
		return nil, nil, err
	}
	// The internal form of the stored Pod is dropped from by Kubernetes' code: it must not share with the stored one.
	oldIn, err = Convert[core.Pod](p.scheme, old.DeepCopy())
	return in, oldIn, err
}

func (p pods) finish(in *core.Pod, pod *corev1.Pod, errs field.ErrorList) error {
	if len(errs) != 0 {
		return apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Pod").GroupKind(), pod.Name, errs)
	}
	if err := p.scheme.Convert(in, pod, nil); err != nil {
		return fmt.Errorf("convert a Pod back: %w", err)
	}
	return nil
}

// podGrace is how long a Pod has for its end: what was asked, or what it says itself. One that has ended already has the shortest
// period that there is, which nothing of it needs: its object stays for as long as hulld removes what is left of it, so that who
// waits for the one has waited for the other. A period of 0 that somebody asks for is force, and waits for nothing.
func podGrace(obj store.Object, asked *int64) int64 {
	pod := obj.(*corev1.Pod)
	ended := pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
	period := int64(0)
	switch {
	case pod.Spec.NodeName == "":
		return 0
	case ended && (asked == nil || *asked != 0):
		return 1
	case asked != nil:
		period = *asked
	case pod.Spec.TerminationGracePeriodSeconds != nil:
		period = *pod.Spec.TerminationGracePeriodSeconds
	}
	if period < 0 {
		period = 1
	}
	return period
}

// wipe clears what only the server says about a new object.
func wipe(m *metav1.ObjectMeta) {
	m.CreationTimestamp, m.UID = metav1.Time{}, ""
	m.SetSelfLink("")
	m.DeletionTimestamp, m.DeletionGracePeriodSeconds, m.ManagedFields = nil, nil, nil
}

// keep carries over what an update cannot change.
func keep(m, old *metav1.ObjectMeta) {
	m.Generation, m.ManagedFields = old.Generation, old.ManagedFields
	m.SetSelfLink(old.GetSelfLink())
	if m.UID == "" {
		m.UID = old.UID
	}
	m.CreationTimestamp = old.CreationTimestamp
	m.DeletionTimestamp = old.DeletionTimestamp
	m.DeletionGracePeriodSeconds = old.DeletionGracePeriodSeconds
	if m.ResourceVersion == "" {
		m.ResourceVersion = old.ResourceVersion
	}
}

func metadataErrors(in, old metav1.Object) field.ErrorList {
	at := field.NewPath("metadata")
	return append(apivalidation.ValidateObjectMetaAccessor(in, true, pathSegment, at), apivalidation.ValidateObjectMetaAccessorUpdate(in, old, at)...)
}

func pathSegment(name string, prefix bool) []string {
	if prefix {
		return content.IsPathSegmentPrefix(name)
	}
	return content.IsPathSegmentName(name)
}
