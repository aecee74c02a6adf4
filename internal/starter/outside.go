package starter

import (
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
)

// outside sets what a process may not set itself once it is in a user namespace. Where we may not either, the process does
// with what we have.
func (d *delivery) outside(pid int, p *oci.Process) {
	if p.OOMScoreAdj == nil {
		return
	}
	f, err := linux.OpenBeneath(d.n.proc, strconv.Itoa(pid)+"/oom_score_adj", unix.O_WRONLY)
	if err == nil {
		_, err = f.WriteString(strconv.Itoa(*p.OOMScoreAdj))
		_ = f.Close()
	}
	if err != nil {
		d.n.cfg.Log.Debug("oom_score_adj stays as it is", "wanted", *p.OOMScoreAdj, "error", err)
	}
}
