package oci

import (
	"reflect"
	"testing"
)

// TestSeccompDefaults: what is remembered is what would be made anew, and containers of the same capabilities share it.
func TestSeccompDefaults(t *testing.T) {
	var remembered SeccompDefaults
	profile := func(add []string, d *SeccompDefaults) *LinuxSeccomp {
		s, err := New(Config{Args: []string{"sh"}, AddCapabilities: add, Seccomp: Seccomp{Defaults: d}})
		if err != nil {
			t.Fatal(err)
		}
		return s.Linux.Seccomp
	}
	usual, mighty := profile(nil, &remembered), profile([]string{"SYS_ADMIN"}, &remembered)
	if usual != profile(nil, &remembered) || mighty != profile([]string{"SYS_ADMIN"}, &remembered) {
		t.Error("made anew")
	}
	if !reflect.DeepEqual(usual, profile(nil, nil)) || !reflect.DeepEqual(mighty, profile([]string{"SYS_ADMIN"}, nil)) {
		t.Error("not the profile of these capabilities")
	}
	if reflect.DeepEqual(usual, mighty) {
		t.Error("capabilities make no difference")
	}
}
