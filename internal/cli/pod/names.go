package pod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hull-pods/hull/internal/client"
)

// Ref names a Pod.
type Ref struct{ Namespace, Name string }

// All is the API's path of all Pods of a namespace.
func All(namespace string) string { return "/api/v1/namespaces/" + namespace + "/pods" }

// Path is the API's path of the Pod. Without a name it is one that no request is made with, and not that of all Pods.
func (r Ref) Path() string { return All(r.Namespace) + "/" + r.Name }

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
	err := c.Do(ctx, client.Request{Path: All(namespace), Query: url.Values{"labelSelector": {selector}}}, &pods)
	var list []Ref
	for _, p := range pods.Items {
		list = append(list, Ref{p.Metadata.Namespace, p.Metadata.Name})
	}
	return list, err
}

// Named is the one Pod that the first argument names, or those that a selector chooses.
func Named(ctx context.Context, c *client.Client, namespace string, args []string, selector string) ([]Ref, error) {
	if len(args) == 0 {
		return List(ctx, c, namespace, selector)
	}
	name, err := Name(args[0])
	return []Ref{{namespace, name}}, err
}

// errMixed is kubectl's answer to a type and TYPE/NAME in one command.
var errMixed = errors.New("there is no need to specify a resource type as a separate argument when passing arguments in resource/name form " +
	"(e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'")

// Split takes "TYPE NAME…" and "TYPE/NAME…" apart. All must be of one type, whose canonical name it returns.
func Split(args []string) (resource string, names []string, err error) {
	typed := slices.ContainsFunc(args, func(arg string) bool { return strings.Contains(arg, "/") })
	if !typed {
		resource, err = typeOf(args[0])
		names = args[1:]
	}
	for _, arg := range args {
		if !typed || err != nil {
			break
		}
		kind, name, ok := strings.Cut(arg, "/")
		var one string
		switch {
		case !ok:
			return "", nil, errMixed
		case kind == "" || name == "" || strings.Contains(name, "/"):
			return "", nil, errors.New("arguments in resource/name form must have a single resource and name")
		}
		if one, err = typeOf(kind); err == nil && resource != "" && one != resource {
			err = fmt.Errorf("%s and %s are of different types: one command names objects of one", args[0], arg)
		}
		resource = one
		names = append(names, name)
	}
	if err == nil {
		err = check(names)
	}
	return resource, names, err
}

// Args is Split for commands that know Pods alone.
func Args(args []string) ([]string, error) {
	if len(args) == 0 {
		return nil, errors.New("you must provide one or more resources by argument or filename")
	}
	resource, names, err := Split(args)
	var unknown *typeError
	switch {
	case errors.As(err, &unknown) && unknown.word == args[0] && args[0] != "":
		return nil, fmt.Errorf("%w: did you mean \"pod %s\"?", err, args[0])
	case err == nil && resource != "pods":
		return nil, fmt.Errorf("not for %s: this command is for pods", resource)
	}
	return names, err
}

// Name takes NAME or TYPE/NAME, of a Pod.
func Name(arg string) (string, error) {
	if !strings.Contains(arg, "/") {
		return arg, check([]string{arg})
	}
	names, err := Args([]string{arg})
	if err != nil {
		return "", err
	}
	return names[0], nil
}

func check(names []string) error {
	for _, name := range names {
		if err := Valid(name); err != nil {
			return err
		}
	}
	return nil
}

// Valid refuses what cannot be a name: above all nothing at all, as the path without a name is that of all Pods.
func Valid(name string) error {
	if name == "" {
		return errors.New("resource name may not be empty")
	}
	return segment("resource name", name)
}

// ValidNamespace refuses what cannot be a namespace.
func ValidNamespace(name string) error { return segment("namespace", name) }

// segment refuses what cannot be one part of a path, in kubectl's words.
func segment(what, text string) error {
	if text == "." || text == ".." {
		return fmt.Errorf("invalid %s %q: [may not be '%s']", what, text, text)
	}
	if i := strings.IndexAny(text, "/%"); i >= 0 {
		return fmt.Errorf("invalid %s %q: [may not contain '%c']", what, text, text[i])
	}
	return nil
}

// typeError is a word that is no type.
type typeError struct{ word string }

func (e *typeError) Error() string {
	return fmt.Sprintf("the server doesn't have a resource type %q", e.word)
}

func typeOf(word string) (string, error) {
	switch strings.ToLower(word) {
	case "pod", "pods", "po":
		return "pods", nil
	case "event", "events", "ev":
		return "events", nil
	}
	return "", &typeError{word}
}

// IsType tells whether a word says that what follows are Pods.
func IsType(s string) bool {
	resource, err := typeOf(s)
	return err == nil && resource == "pods"
}

// WaitGone returns when the object that was deleted is gone, also if another one has its name by then. If hulld ends meanwhile,
// the next one is asked.
func WaitGone(ctx context.Context, c *client.Client, r Ref, uid string) error {
	for {
		over, err := watchGone(ctx, c, r, uid)
		switch {
		case over, err != nil && !client.Broke(err) && !expired(err):
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
	}
}

// expired says that the next hulld does not know the version that the one before it has told.
func expired(err error) bool {
	var answer *client.StatusError
	return errors.As(err, &answer) && answer.Code == http.StatusGone
}

// watchGone looks for the object, and watches it for as long as hulld serves. The wait is over when the object is gone, and when
// no hulld can be asked: for one that comes back, the client has waited by then.
//
// It is looked for in a list, whose version is the newest there is: the object's own can be older than all that hulld remembers.
func watchGone(ctx context.Context, c *client.Client, r Ref, uid string) (over bool, err error) {
	var now struct {
		Metadata struct{ ResourceVersion string }
		Items    []Head
	}
	query := url.Values{"fieldSelector": {"metadata.name=" + r.Name}}
	if err := c.Do(ctx, client.Request{Path: All(r.Namespace), Query: query}, &now); err != nil {
		return true, err
	}
	if !slices.ContainsFunc(now.Items, func(p Head) bool { return uid == "" || p.Metadata.UID == uid }) {
		return true, nil
	}
	query.Set("resourceVersion", now.Metadata.ResourceVersion)
	err = c.Watch(ctx, client.Request{Path: All(r.Namespace), Query: query}, func(e client.Event) error {
		var p Head
		if err := json.Unmarshal(e.Object, &p); err != nil {
			return fmt.Errorf("decode a watch event: %w", err)
		}
		if e.Type == "DELETED" || uid != "" && p.Metadata.UID != "" && p.Metadata.UID != uid {
			over = true
			return client.ErrStop
		}
		return nil
	})
	return over, err
}
