package pod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/hull-pods/hull/internal/client"
)

// Ref names a Pod.
type Ref struct{ Namespace, Name string }

// Path is the API's path of a Pod, or of all Pods of the namespace when name is empty.
func Path(namespace, name string) string {
	p := "/api/v1/namespaces/" + namespace + "/pods"
	if name != "" {
		p += "/" + name
	}
	return p
}

// Path is the API's path of the Pod.
func (r Ref) Path() string { return Path(r.Namespace, r.Name) }

// Head is what there is of a Pod where its name and version are all that matters.
type Head struct {
	Metadata struct {
		Name, Namespace, UID string
		ResourceVersion      string
		DeletionTimestamp    string
	}
}

// Get asks for a Pod.
func Get(ctx context.Context, c *client.Client, r Ref) (*Pod, error) {
	p := &Pod{}
	if err := c.Do(ctx, client.Request{Path: r.Path()}, p); err != nil {
		return nil, err
	}
	return p, nil
}

// List names the Pods of a namespace that a selector of labels chooses; all of them if that is "".
func List(ctx context.Context, c *client.Client, namespace, selector string) ([]Ref, error) {
	var pods struct{ Items []Head }
	err := c.Do(ctx, client.Request{Path: Path(namespace, ""), Query: url.Values{"labelSelector": {selector}}}, &pods)
	var list []Ref
	for _, p := range pods.Items {
		list = append(list, Ref{p.Metadata.Namespace, p.Metadata.Name})
	}
	return list, err
}

// Args takes "pod NAME…", "pods NAME…" and "pod/NAME…" apart.
func Args(args []string) ([]string, error) {
	if len(args) == 0 {
		return nil, errors.New("you must provide one or more resources by argument or filename")
	}
	if IsType(args[0]) {
		return args[1:], nil
	}
	var names []string
	for _, arg := range args {
		kind, name, ok := strings.Cut(arg, "/")
		if !ok {
			return nil, fmt.Errorf("the server doesn't have a resource type %q: did you mean \"pod %s\"?", arg, arg)
		}
		if !IsType(kind) {
			return nil, fmt.Errorf("the server doesn't have a resource type %q", kind)
		}
		names = append(names, name)
	}
	return names, nil
}

// IsType tells whether a word says that what follows are Pods.
func IsType(s string) bool { return s == "pod" || s == "pods" || s == "po" }

// WaitGone returns when the object that was deleted is gone, also if another one has its name by then.
func WaitGone(ctx context.Context, c *client.Client, r Ref, uid string) error {
	var now Head
	err := c.Do(ctx, client.Request{Path: r.Path()}, &now)
	if client.IsNotFound(err) || err == nil && uid != "" && now.Metadata.UID != uid {
		return nil
	}
	if err != nil {
		return err
	}
	query := url.Values{"fieldSelector": {"metadata.name=" + r.Name}, "resourceVersion": {now.Metadata.ResourceVersion}}
	return c.Watch(ctx, client.Request{Path: Path(r.Namespace, ""), Query: query}, func(e client.Event) error {
		var p Head
		if err := json.Unmarshal(e.Object, &p); err != nil {
			return fmt.Errorf("decode a watch event: %w", err)
		}
		if e.Type == "DELETED" || uid != "" && p.Metadata.UID != "" && p.Metadata.UID != uid {
			return client.ErrStop
		}
		return nil
	})
}
