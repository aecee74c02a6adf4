// Package apply brings Pods in line with manifests: made when they are not there, else patched.
package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"reflect"

	"github.com/spf13/cobra"

	"github.com/hull-pods/hull/internal/api/v1alpha1"
	"github.com/hull-pods/hull/internal/cli/env"
	"github.com/hull-pods/hull/internal/cli/manifest"
	"github.com/hull-pods/hull/internal/cli/pod"
	"github.com/hull-pods/hull/internal/client"
)

const manager = "hull"

// Command is hull apply.
func Command(e *env.Env) *cobra.Command {
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
			if dryRun != "none" && dryRun != "server" {
				return fmt.Errorf("invalid dry-run value (%s): must be \"none\" or \"server\"", dryRun)
			}
			manifests, bad := manifest.Read(files, e.Input(cmd.Context()))
			if len(manifests) == 0 {
				return bad
			}
			c, err := e.Connect(cmd.Context())
			if err != nil {
				return err
			}
			failed := []error{bad}
			for _, m := range manifests {
				done, err := Apply(cmd.Context(), e, c, m, dryRun == "server")
				if err != nil { // the others are not worse for it
					failed = append(failed, err)
					if cmd.Context().Err() != nil || client.Broke(err) {
						break
					}
					continue
				}
				suffix := ""
				if dryRun == "server" {
					suffix = " (server dry run)"
				}
				if done.Deleting {
					e.Warnf("Warning: Detected changes to resource %s which is currently being deleted.\n", done.Name)
				}
				e.Printf("pod/%s %s%s\n", done.Name, done.Verb, suffix)
			}
			return errors.Join(failed...)
		},
	}
	cmd.Flags().StringSliceVarP(&files, "filename", "f", nil, "file, directory or - for standard input")
	cmd.Flags().StringVar(&dryRun, "dry-run", "none", `"none", or "server": the server says what it would do`)
	return cmd
}

// Applied is what became of one manifest.
type Applied struct {
	pod.Ref
	UID      string
	Verb     string // created, configured, unchanged
	Deleting bool
}

// Apply carries out one manifest; dry asks the server what it would do. Most Pods are new, so it is tried that way first; what the
// server says to that is of interest only if there is no Pod of that name.
func Apply(ctx context.Context, e *env.Env, c *client.Client, m manifest.Manifest, dry bool) (Applied, error) {
	namespace, err := e.NamespaceOf(m.Namespace)
	if err != nil {
		return Applied{}, err
	}
	query := url.Values{"fieldManager": {manager}, "fieldValidation": {"Strict"}}
	if dry {
		query.Set("dryRun", "All")
	}
	base := pod.All(namespace)
	var made pod.Head
	err = c.Do(ctx, client.Request{Method: "POST", Path: base, Query: query, Body: m.Data, Type: v1alpha1.Manifest}, &made)
	if err == nil {
		return result(made, "created"), nil
	}
	var refused *client.StatusError
	if pod.Valid(m.Name) == nil && errors.As(err, &refused) {
		var old json.RawMessage
		switch there := c.Do(ctx, client.Request{Path: base + "/" + m.Name}, &old); {
		case there == nil:
			return patch(ctx, c, m, base, query, old)
		case !client.IsNotFound(there):
			return Applied{}, there
		}
	}
	return Applied{}, client.Explain("creating", m.Source, err)
}

func patch(ctx context.Context, c *client.Client, m manifest.Manifest, base string, query url.Values, old json.RawMessage) (Applied, error) {
	var now json.RawMessage
	err := c.Do(ctx, client.Request{Method: "PATCH", Path: base + "/" + m.Name, Query: query, Body: m.Data, Type: v1alpha1.Manifest}, &now)
	if err != nil {
		return Applied{}, client.Explain("patching", m.Source, err)
	}
	var head pod.Head
	before, berr := wanted(old)
	after, aerr := wanted(now)
	if err := errors.Join(berr, aerr, json.Unmarshal(now, &head)); err != nil {
		return Applied{}, fmt.Errorf("decode pod/%s: %w", m.Name, err)
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

func result(p pod.Head, verb string) Applied {
	return Applied{Ref: pod.Ref{Namespace: p.Metadata.Namespace, Name: p.Metadata.Name}, UID: p.Metadata.UID, Verb: verb, Deleting: p.Metadata.DeletionTimestamp != ""}
}
