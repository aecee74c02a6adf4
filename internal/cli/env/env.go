// Package env is what every command has: its streams, the Hull that it speaks to, and the namespace that it works in.
package env

import (
	"fmt"

	"github.com/hull-pods/hull/internal/cli/console"
	"github.com/hull-pods/hull/internal/cli/hulld"
	"github.com/hull-pods/hull/internal/cli/pod"
)

// Env is filled in from the flags that all commands share before one of them runs.
type Env struct {
	console.Console
	hulld.Hull

	Namespace string
	// NamespaceSet says that the user named one: it must then agree with the manifests.
	NamespaceSet bool
	// Version is this program's.
	Version string
}

// PodPath is the API's path of a Pod.
func (e *Env) PodPath(name string) string { return pod.Ref{Namespace: e.Namespace, Name: name}.Path() }

// NamespaceOf is a manifest's own namespace, or the command's. Two that disagree are an error, as in kubectl.
func (e *Env) NamespaceOf(own string) (string, error) {
	switch {
	case own == "":
		return e.Namespace, nil
	case e.NamespaceSet && own != e.Namespace:
		return "", fmt.Errorf("the namespace from the provided object %q does not match the namespace %q. You must pass '--namespace=%s' to perform this operation", own, e.Namespace, own)
	default:
		return own, pod.ValidNamespace(own)
	}
}
