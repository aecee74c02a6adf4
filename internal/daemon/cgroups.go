package daemon

import (
	"log/slog"

	"github.com/hull-pods/hull/internal/cgroup"
	"github.com/hull-pods/hull/internal/pod/spec"
)

// cgroups are those of all Pods of a Hull: below "hull", or with the instance in it for a Hull that is not the machine's usual
// one.
func cgroups(instance string, log *slog.Logger) cgroup.Config {
	parent := "hull-" + instance
	if instance == instanceOf(DefaultRoot, DefaultState) {
		parent = "hull"
	}
	return cgroup.Config{Parent: parent, Kept: spec.QOSCgroups(), Log: log}
}

// bury removes the cgroups that a Hull had for all its Pods which lives no more.
func (d *daemon) bury(instance string) error {
	t, err := cgroup.Open(cgroups(instance, d.log))
	if err != nil {
		return err
	}
	return t.Close()
}
