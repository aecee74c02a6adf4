package volume

import (
	"fmt"
	"os"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
)

// PropagationError says that what is mounted on the host later cannot reach a container, or the other way, although a volumeMount asks
// for that: the host's own mount lets nothing through. The words are containerd's.
type PropagationError struct {
	Path, Mountpoint string
	orSlave          bool
}

func (e *PropagationError) Error() string {
	want := "shared"
	if e.orSlave {
		want = "shared or slave"
	}
	return fmt.Sprintf("path %q is mounted on %q but it is not a %s mount", e.Path, e.Mountpoint, want)
}

// checkPropagation looks at the host's mount that an open source is in.
func checkPropagation(f *os.File, wanted string) error {
	if wanted == "" {
		return nil
	}
	var st unix.Statx_t
	if err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st); err != nil {
		return &os.PathError{Op: "statx", Path: f.Name(), Err: err}
	}
	found, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		its := uint64(m.ID) == st.Mnt_id
		return !its, its
	})
	if err != nil {
		return fmt.Errorf("find the mount of %s: %w", f.Name(), err)
	}
	e := &PropagationError{Path: f.Name(), orSlave: wanted == string(v1.MountPropagationHostToContainer)}
	for _, m := range found {
		e.Mountpoint = m.Mountpoint
		for _, option := range strings.Fields(m.Optional) {
			if strings.HasPrefix(option, "shared:") || e.orSlave && strings.HasPrefix(option, "master:") {
				return nil
			}
		}
	}
	return e
}
