package describe

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hull-pods/hull/internal/cli/pod"
)

func (d *description) containers(title string, list []pod.Container, statuses []pod.ContainerStatus) {
	if len(list) == 0 {
		return
	}
	d.write(0, "%s", title)
	for i := range list {
		c := &list[i]
		d.write(1, "%s:", c.Name)
		var st *pod.ContainerStatus
		if j := slices.IndexFunc(statuses, func(s pod.ContainerStatus) bool { return s.Name == c.Name }); j >= 0 {
			st = &statuses[j]
		}
		d.container(c, st)
	}
}

func (d *description) container(c *pod.Container, st *pod.ContainerStatus) {
	if st != nil {
		d.write(2, "Container ID:\t%s", st.ContainerID)
	}
	d.write(2, "Image:\t%s", c.Image)
	if st != nil {
		d.write(2, "Image ID:\t%s", st.ImageID)
	}
	d.ports(c)
	if sc := c.SecurityContext; sc != nil {
		d.seccomp(2, sc.SeccompProfile)
	}
	d.block(2, "Command:", c.Command)
	d.block(2, "Args:", c.Args)
	if st != nil {
		d.state("State:", st.State)
		if st.LastState.Terminated != nil {
			d.state("Last State:", st.LastState)
		}
		d.write(2, "Ready:\t%s", map[bool]string{true: "True", false: "False"}[st.Ready])
		d.write(2, "Restart Count:\t%d", st.RestartCount)
	}
	d.block(2, "Limits:", pairs(c.Resources.Limits, ":\t"))
	d.block(2, "Requests:", pairs(c.Resources.Requests, ":\t"))
	var env []string
	for _, e := range c.Env {
		env = append(env, e.Name+":\t"+e.Value)
	}
	d.blockOrNone(2, "Environment:", env)
	d.blockOrNone(2, "Mounts:", mountLines(c))
}

func (d *description) ports(c *pod.Container) {
	var ports, hostPorts []string
	for _, p := range c.Ports {
		name := ""
		if p.Name != "" {
			name = " (" + p.Name + ")"
		}
		ports = append(ports, fmt.Sprintf("%d/%s%s", p.ContainerPort, p.Protocol, name))
		hostPorts = append(hostPorts, fmt.Sprintf("%d/%s%s", p.HostPort, p.Protocol, name))
	}
	plural := ""
	if len(ports) > 1 {
		plural = "s"
	}
	d.write(2, "Port%s:\t%s", plural, orNone(strings.Join(ports, ", ")))
	d.write(2, "Host Port%s:\t%s", plural, orNone(strings.Join(hostPorts, ", ")))
}

func mountLines(c *pod.Container) []string {
	var lines []string
	for _, m := range c.VolumeMounts {
		access := "rw"
		if m.ReadOnly {
			access = "ro"
		}
		if m.SubPath != "" {
			access += fmt.Sprintf(",path=%q", m.SubPath)
		}
		lines = append(lines, fmt.Sprintf("%s from %s (%s)", m.MountPath, m.Name, access))
	}
	slices.Sort(lines)
	return lines
}

func (d *description) state(label string, s pod.State) {
	switch {
	case s.Running != nil:
		d.write(2, "%s\tRunning", label)
		d.write(3, "Started:\t%s", s.Running.StartedAt.Local().Format(time.RFC1123Z))
	case s.Terminated != nil:
		t := s.Terminated
		d.write(2, "%s\tTerminated", label)
		if t.Reason != "" {
			d.write(3, "Reason:\t%s", t.Reason)
		}
		if t.Message != "" {
			d.write(3, "Message:\t%s", t.Message)
		}
		d.write(3, "Exit Code:\t%d", t.ExitCode)
		if t.Signal > 0 {
			d.write(3, "Signal:\t%d", t.Signal)
		}
		d.write(3, "Started:\t%s", t.StartedAt.Local().Format(time.RFC1123Z))
		d.write(3, "Finished:\t%s", t.FinishedAt.Local().Format(time.RFC1123Z))
	default:
		d.write(2, "%s\tWaiting", label)
		if s.Waiting != nil && s.Waiting.Reason != "" {
			d.write(3, "Reason:\t%s", s.Waiting.Reason)
		}
	}
}
