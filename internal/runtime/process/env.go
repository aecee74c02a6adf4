// Package process says what a container's first process is, from its configuration and its image: arguments, environment,
// user, and the signal that stops it.
package process

import (
	"slices"
	"strings"

	"github.com/hull-pods/hull/internal/image"
)

// Arguments merges a container's command and args with its image's, as Kubernetes documents it: command replaces the
// entrypoint and drops the image's cmd; args alone replace cmd.
func Arguments(command, args []string, img *image.ImageConfig) []string {
	if len(command) > 0 {
		return slices.Concat(command, args)
	}
	if len(args) > 0 {
		return slices.Concat(img.Entrypoint, args)
	}
	return slices.Concat(img.Entrypoint, img.Cmd)
}

// Environment is the image's variables, then the container's: a later one replaces an earlier one in place. HOME is the
// user's when nobody names another; PATH, HOSTNAME and TERM come with the spec.
func Environment(own []string, img *image.ImageConfig, home string) []string {
	env := newEnviron(len(img.Env) + len(own) + 1)
	for _, kv := range img.Env {
		env.set(kv)
	}
	for _, kv := range own {
		env.set(kv)
	}
	if _, named := env.at["HOME"]; !named {
		env.set("HOME=" + home)
	}
	return env.list
}

type environ struct {
	list []string
	at   map[string]int
}

func newEnviron(size int) *environ {
	return &environ{list: make([]string, 0, size), at: make(map[string]int, size)}
}

func (e *environ) set(kv string) {
	name, _, ok := strings.Cut(kv, "=")
	if !ok || name == "" {
		return // an image may carry a bare name; runtimes drop it
	}
	if i, seen := e.at[name]; seen {
		e.list[i] = kv
		return
	}
	e.at[name] = len(e.list)
	e.list = append(e.list, kv)
}
