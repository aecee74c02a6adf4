package manifest

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
)

func TestDocuments(t *testing.T) {
	const a, b = `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}`, "apiVersion: v1\nkind: Pod\nmetadata: {name: b}"
	for name, c := range map[string]struct{ text, want string }{
		"YAML and JSON":          {b + "\n---\n" + a + "\n", "[b a] <nil>"},
		"JSON objects in a row":  {a + strings.ReplaceAll(a, `"a"`, `"c"`) + "\n" + a, "[a c a] <nil>"},
		"a flow mapping of YAML": {"{apiVersion: v1, kind: Pod, metadata: {name: d}} # so", "[d] <nil>"},
		"JSON before a comment":  {a + "\n# the end\n", "[a] <nil>"},
		"JSON that is cut off":   {a + `{"kind": `, "[a] error parsing STDIN: error converting YAML to JSON: yaml: line 1: did not find expected node content"},
		"text behind the mark":   {"--- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\t# b\n" + b, "[a b] <nil>"},
		"text behind the end":    {b + "\n...\n" + a, "[b a] <nil>"},
		"one that is bad":        {b + "\n---\nkind: {\n---\n" + a, "[b a] error parsing STDIN: error converting YAML to JSON: yaml: line 5: did not find expected node content"},
		"a typed list":           {"apiVersion: v1\nkind: PodList\nitems: [{metadata: {name: a}}, " + a + "]", "[a a] <nil>"},
		"a list of no kind":      {"apiVersion: v1\nkind: List\nitems: [{metadata: {name: a}}, " + a + "]", `[a] error validating "STDIN": kind not set`},
		"a list that is none":    {"apiVersion: v1\nkind: PodList\nitems: {}", `[] error validating "STDIN": error validating data: PodList without a list of items`},
		"a kind that is none":    {"apiVersion: v1\nkind: [Pod]", `[] error validating "STDIN": error validating data: kind isn't string type`},
		"a name that is none":    {"apiVersion: v1\nkind: Pod\nmetadata: [a]", "[?] <nil>"},
		"comments":               {"# nothing\n---\n# here\n", "[] no objects passed to apply"},
		"a word":                 {"hello", `[] error validating "STDIN": error validating data: invalid object to validate: its type is string`},
		"another kind":           {"apiVersion: apps/v1\nkind: Deployment", `[] unable to recognize "STDIN": no matches for kind "Deployment" in version "apps/v1" (hull runs Pods)`},
		"no kind":                {"apiVersion: v1", `[] error validating "STDIN": kind not set`},
	} {
		list, err := Read([]string{"-"}, strings.NewReader(c.text))
		names := []string{}
		for _, m := range list {
			names = append(names, cmp.Or(m.Name, "?"))
		}
		if got := fmt.Sprint(names, " ", err); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
