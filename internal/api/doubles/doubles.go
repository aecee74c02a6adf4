// Package doubles finds the keys that a mapping of a YAML document has twice.
//
// The decoder that Kubernetes has for this takes what a merge key (<<) brings for a key of the mapping's own, and refuses the very thing
// that merge keys are for: all of another mapping, but for what is said here.
package doubles

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// In returns an error for each double of a document. It is for documents that can be decoded: aliases of many aliases have been
// refused there.
func In(document []byte) []error {
	var root yaml.Node
	if err := yaml.Unmarshal(document, &root); err != nil {
		return []error{err}
	}
	return in(&root)
}

func in(n *yaml.Node) (found []error) {
	if n.Kind != yaml.MappingNode {
		for _, child := range n.Content {
			found = append(found, in(child)...)
		}
		return found
	}
	own := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		for _, k := range keys(key, value) {
			if own[k] {
				found = append(found, fmt.Errorf("line %d: key %q already set in map", key.Line, k))
			}
		}
		if !merges(key) {
			own[key.Value] = true
		}
		found = append(found, in(value)...)
	}
	return found
}

// keys are the key itself, or all that a merge key brings: the mapping's own that are above it would be lost.
func keys(key, value *yaml.Node) (all []string) {
	if !merges(key) {
		return []string{key.Value}
	}
	if value.Alias != nil {
		value = value.Alias
	}
	if value.Kind == yaml.SequenceNode {
		for _, one := range value.Content {
			all = append(all, keys(key, one)...)
		}
		return all
	}
	for i := 0; i+1 < len(value.Content); i += 2 {
		all = append(all, keys(value.Content[i], value.Content[i+1])...)
	}
	return all
}

func merges(key *yaml.Node) bool { return key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge" }
