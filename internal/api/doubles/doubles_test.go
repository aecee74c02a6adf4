package doubles

import (
	"fmt"
	"testing"
)

func TestDoubles(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"none":                         {"a: 1\nb: {a: 1}\nc: [{a: 1}, {a: 2}]", "[]"},
		"JSON":                         {`{"a": 1, "b": {"c": 1, "c": 2}}`, `[line 1: key "c" already set in map]`},
		"two":                          {"a: 1\na: 2\nb:\n- {c: 1, c: 2}", `[line 2: key "a" already set in map line 4: key "c" already set in map]`},
		"quoted":                       {"a: 1\n'a': 2", `[line 2: key "a" already set in map]`},
		"merged, and said anew":        {"x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  a: 3", "[]"},
		"said, and merged over":        {"x: &x {a: 1, b: 2}\ny:\n  a: 3\n  <<: *x", `[line 4: key "a" already set in map]`},
		"merged twice":                 {"x: &x {a: 1}\nz: &z {a: 2}\ny: {<<: [*x, *z], c: 1}", "[]"},
		"merged of what is merged":     {"x: &x {a: 1}\nz: &z {<<: *x}\ny: {a: 1, <<: [*z]}", `[line 3: key "a" already set in map]`},
		"twice beside what is merged":  {"x: &x {a: 1}\ny: {<<: *x, a: 1, a: 2}", `[line 2: key "a" already set in map]`},
		"a key that is only called so": {"'<<': {a: 1}\na: 2", "[]"},
		"an empty document":            {"", "[]"},
	} {
		if got := fmt.Sprint(In([]byte(c.text))); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
