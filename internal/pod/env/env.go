// Package env makes a container's environment, command and arguments as the kubelet does, with $(VAR) expanded.
//
// There are no Services here, so the service links that enableServiceLinks asks for are none.
package env

import (
	"fmt"
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

// Variables is the container's environment in the order of the spec. A value may refer to variables before it; what a
// reference does not find stays as it is written. A variable that is given twice has the last value, at its first place.
func Variables(c *v1.Container) ([]v1.EnvVar, error) {
	if len(c.EnvFrom) > 0 {
		return nil, fmt.Errorf("envFrom of container %q has no source here", c.Name)
	}
	list := make([]v1.EnvVar, 0, len(c.Env))
	known := make(map[string]string, len(c.Env))
	for _, v := range c.Env {
		if v.ValueFrom != nil {
			return nil, fmt.Errorf("variable %q of container %q has no source here", v.Name, c.Name)
		}
		value := expansion.Expand(v.Value, expansion.MappingFuncFor(known))
		if i := slices.IndexFunc(list, func(e v1.EnvVar) bool { return e.Name == v.Name }); i >= 0 {
			list[i].Value = value
		} else {
			list = append(list, v1.EnvVar{Name: v.Name, Value: value})
		}
		known[v.Name] = value
	}
	return list, nil
}

// Expand replaces $(VAR) in each string by the variable's value; $$(VAR) is $(VAR) itself, and a variable that is not
// known stays as it is written.
func Expand(args []string, variables []v1.EnvVar) []string {
	if len(args) == 0 {
		return nil
	}
	known := make(map[string]string, len(variables))
	for _, v := range variables {
		known[v.Name] = v.Value
	}
	mapping := expansion.MappingFuncFor(known)
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = expansion.Expand(a, mapping)
	}
	return out
}

// Strings writes variables as NAME=value.
func Strings(variables []v1.EnvVar) []string {
	out := make([]string, len(variables))
	for i, v := range variables {
		out[i] = v.Name + "=" + v.Value
	}
	return out
}
