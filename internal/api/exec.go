package api

import (
	"context"
	"fmt"
	"io"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/exec"

	"github.com/hull-pods/hull/internal/api/stream"
	"github.com/hull-pods/hull/internal/store"
)

// streams serves what a client says to a container and hears from it.
type streams struct{ *Server }

// exec runs a command in a container, its streams on the upgraded connection. Kubernetes refuses to choose among several
// containers, so that every client asks for the Pod first. Here defaultContainer=told (or quiet) spares that: the choice is
// kubectl's, and is told where the command's errors go.
func (s streams) exec(w http.ResponseWriter, r *http.Request) error {
	var o corev1.PodExecOptions
	if err := s.params.DecodeParameters(r.URL.Query(), corev1.SchemeGroupVersion, &o); err != nil {
		return badRequest(err.Error())
	}
	tell := ""
	if how := r.URL.Query().Get("defaultContainer"); how != "" && o.Container == "" {
		pod, err := store.Get[*corev1.Pod](s.cfg.Store, r.PathValue("namespace"), r.PathValue("name"))
		if err != nil {
			return err
		}
		o.Container, tell = defaultContainer(pod)
		if how == "quiet" {
			tell = ""
		}
	}
	pod, container, err := s.target(r, o.Container)
	if err != nil {
		return err
	}
	if len(o.Command) == 0 {
		return badRequest("you must specify at least one command for the container")
	}
	ends := stream.Ends{Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr && !o.TTY, TTY: o.TTY}
	id, ok := running(pod, container)
	if !ok {
		http.Error(w, fmt.Sprintf("container not found (%q)", container), http.StatusInternalServerError)
		return nil
	}
	return s.session(w, r, stream.Exec, ends, func(ctx context.Context, st stream.Streams) error {
		if err := announce(st, tell); err != nil {
			return err
		}
		code, err := s.cfg.Runtime.Exec(ctx, id, o.Command, st)
		if err == nil && code != 0 {
			err = exec.CodeExitError{Err: fmt.Errorf("exit status %d", code), Code: code}
		}
		return err
	})
}

// announce says what the server has chosen, before the command can say anything.
func announce(st stream.Streams, text string) (err error) {
	switch {
	case text == "":
	case st.Stderr != nil:
		_, err = io.WriteString(st.Stderr, text+"\n")
	case st.TTY && st.Stdout != nil:
		_, err = io.WriteString(st.Stdout, text+"\r\n")
	}
	return err
}

// attach connects to a running container's own streams.
func (s streams) attach(w http.ResponseWriter, r *http.Request) error {
	var o corev1.PodAttachOptions
	if err := s.params.DecodeParameters(r.URL.Query(), corev1.SchemeGroupVersion, &o); err != nil {
		return badRequest(err.Error())
	}
	pod, container, err := s.target(r, o.Container)
	if err != nil {
		return err
	}
	id, ok := running(pod, container)
	if !ok {
		http.Error(w, fmt.Sprintf("container %s not found in pod %s", container, pod.Name+"_"+pod.Namespace), http.StatusInternalServerError)
		return nil
	}
	// Whether there is a terminal was decided when the container was made; which streams the client has, when it asked.
	ends := stream.Ends{Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr && !o.TTY, TTY: o.TTY}
	tty := ttyOf(pod, container)
	return s.session(w, r, stream.Attach, ends, func(ctx context.Context, st stream.Streams) error {
		st.TTY = tty
		return s.cfg.Runtime.Attach(ctx, id, st)
	})
}

// target is the Pod and the container that a request names.
func (s streams) target(r *http.Request, name string) (*corev1.Pod, string, error) {
	pod, err := store.Get[*corev1.Pod](s.cfg.Store, r.PathValue("namespace"), r.PathValue("name"))
	if err != nil {
		return nil, "", err
	}
	container, err := containerOf(pod, name)
	return pod, container, err
}

func ttyOf(pod *corev1.Pod, container string) bool {
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for _, c := range list {
			if c.Name == container {
				return c.TTY
			}
		}
	}
	return false
}

// session upgrades the connection if there is anything to carry on it.
func (s streams) session(w http.ResponseWriter, r *http.Request, verb stream.Verb, ends stream.Ends, run stream.Session) error {
	if !ends.Stdin && !ends.Stdout && !ends.Stderr {
		return badRequest("you must specify at least 1 of stdin, stdout, stderr")
	}
	ctx, cancel := s.until(r.Context())
	defer cancel()
	stream.Serve(w, r.WithContext(ctx), s.cfg.Log, verb, ends, run)
	return nil
}
