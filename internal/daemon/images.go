package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hull-pods/hull/internal/image"
	"github.com/hull-pods/hull/internal/runtime"
)

// images is the image store, with what its holders are to people: containers of Pods.
type images struct {
	*image.Store
	runtime *runtime.Runtime
}

// Remove removes an image. The refusal for one that is in use names the Pods and the containers, not their IDs.
func (s images) Remove(ctx context.Context, ref string) error {
	err := s.Store.Remove(ctx, ref)
	var used *image.InUseError
	if !errors.As(err, &used) {
		return err
	}
	return &image.InUseError{Ref: used.Ref, Holders: s.users(used.Holders)}
}

// users is "namespace/pod (containers a, b)" for each Pod of the containers with these IDs.
func (s images) users(ids []string) []string {
	var pods []string
	for _, owner := range []runtime.Owner{runtime.OwnerAPI, runtime.OwnerCRI} {
		for _, sandbox := range s.runtime.Sandboxes(owner) {
			var names []string
			for _, c := range s.runtime.Containers(sandbox.ID) {
				if i := slices.Index(ids, c.ID); i >= 0 {
					ids = slices.Delete(ids, i, i+1)
					names = append(names, c.Config.Name)
				}
			}
			if len(names) == 0 {
				continue
			}
			word := "container"
			if len(names) > 1 {
				word = "containers"
			}
			pods = append(pods, fmt.Sprintf("%s/%s (%s %s)", sandbox.Config.Namespace, sandbox.Config.Name, word, strings.Join(names, ", ")))
		}
	}
	slices.Sort(pods)
	for _, id := range ids {
		pods = append(pods, "container "+id) // made or removed just now
	}
	return pods
}
