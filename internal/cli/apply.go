package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"reflect"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/hull-pods/hull/internal/client"
)

const manager = "hull"

func (a *app) applyCommand() *cobra.Command {
	var files []string
	var dryRun string
	cmd := &cobra.Command{
		Use:   "apply -f FILENAME",
		Short: "Create Pods from files, or bring existing ones in line",
		Example: `  hull apply -f pod.yaml
  hull apply -f manifests/
  cat pod.yaml | hull apply -f -`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(files) == 0 {
				return errors.New("must specify one of -f")
			}
			manifests, err := a.readManifests(files)
			if err != nil {
				return err
			}
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			for _, m := range manifests {
				done, err := a.apply(cmd.Context(), c, m, dryRun == "server")
				if err != nil {
					return err
				}
				suffix := ""
				if dryRun == "server" {
					suffix = " (server dry run)"
				}
				if done.deleting {
					a.warnf("Warning: Detected changes to resource %s which is currently being deleted.\n", done.name)
				}
				a.printf("pod/%s %s%s\n", done.name, done.verb, suffix)
			}
			return nil
		},
	}
	cmd.Flags().StringSliceVarP(&files, "filename", "f", nil, "file, directory or - for standard input")
	cmd.Flags().StringVar(&dryRun, "dry-run", "none", `"none", or "server": the server says what it would do`)
	return cmd
}

// applied is what became of one manifest.
type applied struct {
	name, namespace string
	uid, version    string
	verb            string // created, configured, unchanged
	deleting        bool
}

type podHead struct {
	Metadata struct {
		Name, Namespace, UID string
		ResourceVersion      string
		DeletionTimestamp    string
	}
}

func (a *app) apply(ctx context.Context, c *client.Client, m manifest, dry bool) (applied, error) {
	namespace, err := a.namespaceOf(m)
	if err != nil {
		return applied{}, err
	}
	query := url.Values{"fieldManager": {manager}, "fieldValidation": {"Strict"}}
	if dry {
		query.Set("dryRun", "All")
	}
	base := "/api/v1/namespaces/" + namespace + "/pods"
	if m.name != "" {
		var old json.RawMessage
		err := c.Do(ctx, client.Request{Path: base + "/" + m.name}, &old)
		if err == nil {
			return patch(ctx, c, m, base, query, old)
		}
		if !client.IsNotFound(err) {
			return applied{}, err
		}
	}
	var made podHead
	err = c.Do(ctx, client.Request{Method: "POST", Path: base, Query: query, Body: m.data, Type: "application/yaml"}, &made)
	if err != nil {
		return applied{}, describeSource("creating", m, err)
	}
	return result(made, "created"), nil
}

func patch(ctx context.Context, c *client.Client, m manifest, base string, query url.Values, old json.RawMessage) (applied, error) {
	body, err := yaml.YAMLToJSON(m.data)
	if err != nil {
		return applied{}, fmt.Errorf("error parsing %s: %w", m.source, err)
	}
	var now json.RawMessage
	err = c.Do(ctx, client.Request{
		Method: "PATCH", Path: base + "/" + m.name, Query: query, Body: json.RawMessage(body), Type: "application/strategic-merge-patch+json",
	}, &now)
	if err != nil {
		return applied{}, describeSource("patching", m, err)
	}
	var head podHead
	before, berr := wanted(old)
	after, aerr := wanted(now)
	if err := errors.Join(berr, aerr, json.Unmarshal(now, &head)); err != nil {
		return applied{}, fmt.Errorf("decode pod/%s: %w", m.name, err)
	}
	if reflect.DeepEqual(before, after) {
		return result(head, "unchanged"), nil
	}
	return result(head, "configured"), nil
}

// wanted is an object without what a server writes by itself, and at any moment.
func wanted(data json.RawMessage) (map[string]any, error) {
	var obj map[string]any
	if err := json.Unmarshal(data, &obj); err != nil {
		return nil, err
	}
	delete(obj, "status")
	if meta, ok := obj["metadata"].(map[string]any); ok {
		for _, k := range []string{"resourceVersion", "managedFields", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"} {
			delete(meta, k)
		}
	}
	return obj, nil
}

func result(p podHead, verb string) applied {
	return applied{name: p.Metadata.Name, namespace: p.Metadata.Namespace, uid: p.Metadata.UID, version: p.Metadata.ResourceVersion, verb: verb, deleting: p.Metadata.DeletionTimestamp != ""}
}

// describeSource says which file a refused object came from, as kubectl does; of an invalid object it lists the faults alone.
func describeSource(doing string, m manifest, err error) error {
	var s *client.StatusError
	if !errors.As(err, &s) {
		return fmt.Errorf("error when %s %q: %w", doing, m.source, err)
	}
	told := *s
	told.Message = fmt.Sprintf("error when %s %q: %s", doing, m.source, s.Message)
	if s.Reason == "Invalid" {
		told.Message = s.Message
	}
	return &told
}

// namespaceOf is the manifest's own namespace, or the command's. Two that disagree are an error, as in kubectl.
func (a *app) namespaceOf(m manifest) (string, error) {
	switch {
	case m.namespace == "":
		return a.namespace, nil
	case a.namespaceSet && m.namespace != a.namespace:
		return "", fmt.Errorf("the namespace from the provided object %q does not match the namespace %q. You must pass '--namespace=%s' to perform this operation", m.namespace, a.namespace, m.namespace)
	default:
		return m.namespace, nil
	}
}
