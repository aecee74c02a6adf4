package supported

import (
	"errors"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/node/util/sysctl"
)

// pod is the table: the path of each leaf that is acted on, and what of it. "[]" stands for the elements of a list.
func pod() table {
	t := table{}
	t.add("metadata.", metadataFields())
	t.add("spec.", specFields())
	t.add("spec.volumes[].", volumeFields())
	for _, list := range []string{"spec.containers[].", "spec.initContainers[]."} {
		t.add(list, containerFields())
		t.add(list+"securityContext.", securityFields())
	}
	t.add("spec.initContainers[].", fields{"restartPolicy": only(string(corev1.ContainerRestartPolicyAlways))})
	return t
}

// metadataFields are those of an object's metadata. The server sets the first ones itself, whatever a client sent.
func metadataFields() fields {
	return fields{
		"uid": whole, "resourceVersion": whole, "generation": whole, "creationTimestamp": whole,
		"deletionTimestamp": whole, "deletionGracePeriodSeconds": whole,

		"name": whole, "generateName": whole, "namespace": whole, "labels": whole, "finalizers": whole,
		"annotations": keys(func(key string) bool {
			// Annotations are the user's own, but for those by which a cluster is told to do something.
			return !strings.HasPrefix(key, corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix) &&
				key != "kubernetes.io/ingress-bandwidth" && key != "kubernetes.io/egress-bandwidth" &&
				key != corev1.MirrorPodAnnotationKey
		}),
	}
}

func specFields() fields {
	return fields{
		"restartPolicy": whole, "terminationGracePeriodSeconds": whole, "activeDeadlineSeconds": whole,
		"dnsPolicy": whole, "dnsConfig.nameservers": whole, "dnsConfig.searches": whole,
		"dnsConfig.options[].name": whole, "dnsConfig.options[].value": whole,
		"hostAliases[].ip": whole, "hostAliases[].hostnames": whole,
		"hostname": whole, "subdomain": whole, "setHostnameAsFQDN": whole,
		"hostNetwork": whole, "hostPID": whole, "hostIPC": whole, "shareProcessNamespace": whole,
		"enableServiceLinks": whole, // there are no services here: both answers are followed
		"nodeName":           whole, // of this host: see the strategy
		"runtimeClassName":   whole, // of one that hulld has: see the strategy
		"schedulerName":      only(corev1.DefaultSchedulerName),
		"os.name":            only(string(corev1.Linux)),

		// A Pod gets no token of any account, as one that says so gets none in a cluster.
		"serviceAccountName": only("default"), "serviceAccount": only("default"),
		"automountServiceAccountToken": only("false"),
		"hostUsers":                    only("true"),

		"securityContext.runAsUser": whole, "securityContext.runAsGroup": whole, "securityContext.runAsNonRoot": whole,
		"securityContext.supplementalGroups":              whole,
		"securityContext.fsGroup":                         whole,
		"securityContext.fsGroupChangePolicy":             whole, // says nothing about emptyDir and hostPath, here as in a cluster
		"securityContext.supplementalGroupsPolicy":        only(string(corev1.SupplementalGroupsPolicyMerge)),
		"securityContext.sysctls[].name":                  named(namespaced),
		"securityContext.sysctls[].value":                 whole,
		"securityContext.seccompProfile.type":             whole,
		"securityContext.seccompProfile.localhostProfile": whole,
	}
}

// namespaced refuses a sysctl that would change the host. Validation has refused those of namespaces that the Pod shares with
// it.
func namespaced(name string) error {
	switch ns, _, _ := sysctl.GetNamespace(name); ns {
	case sysctl.IPCNamespace, sysctl.NetNamespace:
		return nil
	}
	return errors.New("this sysctl belongs to no namespace of a Pod: it would change the host")
}

func volumeFields() fields {
	return fields{
		"name": whole, "hostPath.path": whole, "hostPath.type": whole,
		"emptyDir.medium": only("", string(corev1.StorageMediumMemory)), "emptyDir.sizeLimit": whole,
	}
}

func containerFields() fields {
	quantities := keys(func(key string) bool {
		return key == string(corev1.ResourceCPU) || key == string(corev1.ResourceMemory)
	})
	return fields{
		"name": whole, "image": whole, "imagePullPolicy": whole,
		"command": whole, "args": whole, "workingDir": whole, "env[].name": whole, "env[].value": whole,
		"ports[].name": whole, "ports[].containerPort": whole, "ports[].protocol": whole,
		"ports[].hostPort": whole, "ports[].hostIP": whole,
		"resources.limits": quantities, "resources.requests": quantities,
		// What defaulting writes: a change of resources restarts nothing, as nothing can be changed.
		"resizePolicy[].resourceName": whole, "resizePolicy[].restartPolicy": only(string(corev1.NotRequired)),
		"volumeMounts[].name": whole, "volumeMounts[].mountPath": whole, "volumeMounts[].subPath": whole,
		"volumeMounts[].readOnly": whole, "volumeMounts[].recursiveReadOnly": whole, "volumeMounts[].mountPropagation": whole,
		"terminationMessagePath": whole, "terminationMessagePolicy": whole,
		"stdin": whole, "stdinOnce": whole, "tty": whole,
	}
}

func securityFields() fields {
	return fields{
		"capabilities.add": whole, "capabilities.drop": whole, "privileged": whole, "allowPrivilegeEscalation": whole,
		"runAsUser": whole, "runAsGroup": whole, "runAsNonRoot": whole, "readOnlyRootFilesystem": whole,
		"procMount":           only(string(corev1.DefaultProcMount)),
		"seccompProfile.type": whole, "seccompProfile.localhostProfile": whole,
	}
}
