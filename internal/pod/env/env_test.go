package env

import (
	"slices"
	"testing"

	v1 "k8s.io/api/core/v1"
)

func TestVariablesAndArguments(t *testing.T) {
	c := &v1.Container{Name: "c", Env: []v1.EnvVar{
		{Name: "A", Value: "1"},
		{Name: "B", Value: "$(A)2"},
		{Name: "C", Value: "$(LATER) $$(A) $(NOSUCH) $A $(B"},
		{Name: "LATER", Value: "x"},
		{Name: "E", Value: ""},
		{Name: "A", Value: "$(A)$(B)"},
	}}
	vars, err := Variables(c)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := Strings(vars), []string{"A=112", "B=12", "C=$(LATER) $(A) $(NOSUCH) $A $(B", "LATER=x", "E="}; !slices.Equal(got, want) {
		t.Errorf("environment %q, want %q", got, want)
	}
	got := Expand([]string{"sh", "-c", "echo $(B) $(LATER)$(E) $$(B) $(NOSUCH) ${A}"}, vars)
	if want := []string{"sh", "-c", "echo 12 x $(B) $(NOSUCH) ${A}"}; !slices.Equal(got, want) {
		t.Errorf("arguments %q, want %q", got, want)
	}
	if Expand(nil, vars) != nil {
		t.Error("no arguments became some")
	}
}

func TestSourcesAreRefused(t *testing.T) {
	for _, c := range []*v1.Container{
		{Name: "c", Env: []v1.EnvVar{{Name: "A", ValueFrom: &v1.EnvVarSource{}}}},
		{Name: "c", EnvFrom: []v1.EnvFromSource{{}}},
	} {
		if _, err := Variables(c); err == nil {
			t.Errorf("%+v is silently ignored", c)
		}
	}
}
