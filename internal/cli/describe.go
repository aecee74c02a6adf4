package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hull-pods/hull/internal/client"
	"github.com/hull-pods/hull/internal/ui"
)

func (a *app) describeCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "describe pod NAME...",
		Short:             "Show a Pod's details and events",
		Example:           "  hull describe pod web",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completePods(1, "pod"),
		RunE: func(cmd *cobra.Command, args []string) error {
			names, err := podArgs(args)
			if err != nil {
				return err
			}
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			if len(names) == 0 {
				targets, err := a.listTargets(cmd.Context(), c, "")
				if err != nil {
					return err
				}
				for _, t := range targets {
					names = append(names, t.name)
				}
			}
			if len(names) == 0 {
				a.warnf("No resources found in %s namespace.\n", a.namespace)
			}
			for i, name := range names {
				if i > 0 {
					a.printf("\n\n")
				}
				if err := a.describe(cmd.Context(), c, name); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// description writes what kubectl describe does, in its way: two spaces a level, and columns as wide as the lines around want.
type description struct {
	tab *tabwriter.Writer
}

func newDescription(w io.Writer) *description {
	return &description{tab: tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)}
}

// write takes cells that tabs end, as tabwriter does.
func (d *description) write(level int, format string, args ...any) {
	text := fmt.Sprintf(strings.Repeat("  ", level)+format+"\n", args...)
	_, _ = io.WriteString(d.tab, ui.Printable(text)) // Flush tells
}

// list writes values under each other, beside their label.
func (d *description) list(label string, values []string) {
	if len(values) == 0 {
		values = []string{"<none>"}
	}
	for i, v := range values {
		if i > 0 {
			label = ""
		}
		d.write(0, "%s\t%s", label, v)
	}
}

func (a *app) describe(ctx context.Context, c *client.Client, name string) error {
	p, err := a.pod(ctx, c, name)
	if err != nil {
		return err
	}
	d := newDescription(a.out)
	d.head(p)
	d.containers("Init Containers:", p.Spec.InitContainers, p.Status.InitContainerStatuses)
	d.containers("Containers:", p.Spec.Containers, p.Status.ContainerStatuses)
	d.conditions(p)
	d.volumes(p)
	d.write(0, "QoS Class:\t%s", orNone(p.Status.QOSClass))
	d.list("Node-Selectors:", pairs(p.Spec.NodeSelector, "="))
	d.list("Tolerations:", p.tolerations())
	if err := a.describeEvents(ctx, c, p, d); err != nil {
		return err
	}
	return d.tab.Flush()
}

func (d *description) head(p *pod) {
	m, s := &p.Metadata, &p.Status
	d.write(0, "Name:\t%s", m.Name)
	d.write(0, "Namespace:\t%s", m.Namespace)
	if p.Spec.Priority != nil {
		d.write(0, "Priority:\t%d", *p.Spec.Priority)
	}
	if p.Spec.ServiceAccount != "" {
		d.write(0, "Service Account:\t%s", p.Spec.ServiceAccount)
	}
	host := ""
	if len(s.HostIPs) > 0 {
		host = "/" + s.HostIPs[0].IP
	}
	d.write(0, "Node:\t%s%s", orNone(p.Spec.NodeName), host)
	if s.StartTime != nil {
		d.write(0, "Start Time:\t%s", s.StartTime.Local().Format(time.RFC1123Z))
	}
	d.list("Labels:", pairs(m.Labels, "="))
	d.list("Annotations:", pairs(m.Annotations, ": "))
	if m.DeletionTimestamp != nil {
		d.write(0, "Status:\tTerminating (lasts %s)", age(*m.DeletionTimestamp))
		if m.DeletionGracePeriodSeconds != nil {
			d.write(0, "Termination Grace Period:\t%ds", *m.DeletionGracePeriodSeconds)
		}
	} else {
		d.write(0, "Status:\t%s", s.Phase)
	}
	if s.Reason != "" {
		d.write(0, "Reason:\t%s", s.Reason)
	}
	if s.Message != "" {
		d.write(0, "Message:\t%s", s.Message)
	}
	d.write(0, "IP:\t%s", s.PodIP)
	if len(s.PodIPs) == 0 {
		d.write(0, "IPs:\t<none>")
		return
	}
	d.write(0, "IPs:")
	for _, ip := range s.PodIPs {
		d.write(1, "IP:\t%s", ip.IP)
	}
}

func (d *description) containers(title string, list []podContainer, statuses []containerStatus) {
	if len(list) == 0 {
		return
	}
	d.write(0, "%s", title)
	for i := range list {
		c := &list[i]
		d.write(1, "%s:", c.Name)
		var st *containerStatus
		if j := slices.IndexFunc(statuses, func(s containerStatus) bool { return s.Name == c.Name }); j >= 0 {
			st = &statuses[j]
		}
		d.container(c, st)
	}
}

func (d *description) container(c *podContainer, st *containerStatus) {
	if st != nil {
		d.write(2, "Container ID:\t%s", st.ContainerID)
	}
	d.write(2, "Image:\t%s", c.Image)
	if st != nil {
		d.write(2, "Image ID:\t%s", st.ImageID)
	}
	d.ports(c)
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

func (d *description) ports(c *podContainer) {
	var ports, hostPorts []string
	for _, p := range c.Ports {
		port := fmt.Sprintf("%d/%s", p.ContainerPort, p.Protocol)
		if p.Name != "" {
			port += " (" + p.Name + ")"
		}
		ports = append(ports, port)
		hostPorts = append(hostPorts, fmt.Sprintf("%d/%s", p.HostPort, p.Protocol))
	}
	plural := ""
	if len(ports) > 1 {
		plural = "s"
	}
	d.write(2, "Port%s:\t%s", plural, orNone(strings.Join(ports, ", ")))
	d.write(2, "Host Port%s:\t%s", plural, orNone(strings.Join(hostPorts, ", ")))
}

func mountLines(c *podContainer) []string {
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

// block writes values below their label; a value of several lines goes on below itself.
func (d *description) block(level int, label string, values []string) {
	if len(values) == 0 {
		return
	}
	d.write(level, "%s", label)
	for _, v := range values {
		name, text, pair := strings.Cut(v, "\t")
		if !pair {
			for line := range strings.SplitSeq(v, "\n") {
				d.write(level+1, "%s", line)
			}
			continue
		}
		for line := range strings.SplitSeq(text, "\n") {
			d.write(level+1, "%s\t%s", name, line)
			name = ""
		}
	}
}

func (d *description) blockOrNone(level int, label string, values []string) {
	if len(values) == 0 {
		d.write(level, "%s\t<none>", label)
		return
	}
	d.block(level, label, values)
}

func (d *description) state(label string, s containerState) {
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

func (d *description) conditions(p *pod) {
	if len(p.Status.Conditions) == 0 {
		return
	}
	d.write(0, "Conditions:")
	d.write(1, "Type\tStatus")
	for _, c := range p.Status.Conditions {
		d.write(1, "%s \t%s ", c.Type, c.Status)
	}
}

// tolerations are written as kubectl does: key=value:effect.
func (p *pod) tolerations() []string {
	var list []string
	for _, t := range p.Spec.Tolerations {
		text := t.Key
		if t.Value != "" {
			text += "=" + t.Value
		}
		if t.Effect != "" {
			text += ":" + t.Effect
		}
		if t.Operator == "Exists" {
			text = strings.TrimPrefix(text+" op=Exists", " ")
		}
		list = append(list, text)
	}
	return list
}

func (d *description) volumes(p *pod) {
	if len(p.Spec.Volumes) == 0 {
		d.write(0, "Volumes:\t<none>")
		return
	}
	d.write(0, "Volumes:")
	for _, v := range p.Spec.Volumes {
		d.write(1, "%s:", v.Name)
		switch {
		case v.HostPath != nil:
			d.write(2, "Type:\tHostPath (bare host directory volume)")
			d.write(2, "Path:\t%s", v.HostPath.Path)
			d.write(2, "HostPathType:\t%s", v.HostPath.Type)
		case v.EmptyDir != nil:
			limit := v.EmptyDir.SizeLimit
			if limit == "" {
				limit = "<unset>"
			}
			d.write(2, "Type:\tEmptyDir (a temporary directory that shares a pod's lifetime)")
			d.write(2, "Medium:\t%s", v.EmptyDir.Medium)
			d.write(2, "SizeLimit:\t%s", limit)
		default:
			d.write(2, "<unknown>")
		}
	}
}

func (a *app) describeEvents(ctx context.Context, c *client.Client, p *pod, d *description) error {
	var list struct {
		Items []struct {
			Type, Reason, Message string
			Count                 int
			FirstTimestamp        time.Time
			LastTimestamp         time.Time
			Source                struct{ Component string }
		}
	}
	path := "/api/v1/namespaces/" + p.Metadata.Namespace + "/events"
	query := url.Values{"fieldSelector": {"involvedObject.uid=" + p.Metadata.UID}}
	if err := c.Do(ctx, client.Request{Path: path, Query: query}, &list); err != nil {
		return err
	}
	if len(list.Items) == 0 {
		d.write(0, "Events:\t<none>")
		return nil
	}
	d.write(0, "Events:")
	d.write(1, "Type\tReason\tAge\tFrom\tMessage")
	d.write(1, "----\t------\t----\t----\t-------")
	for _, e := range list.Items {
		when := age(e.LastTimestamp)
		if e.Count > 1 {
			when = fmt.Sprintf("%s (x%d over %s)", when, e.Count, age(e.FirstTimestamp))
		}
		d.write(1, "%s\t%s\t%s\t%s\t%s", e.Type, e.Reason, when, e.Source.Component, strings.TrimSpace(e.Message))
	}
	return nil
}

func pairs(m map[string]string, sep string) []string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, k+sep+m[k])
	}
	return list
}

func orNone(s string) string {
	if s == "" {
		return "<none>"
	}
	return s
}

// age is how long ago something was, as kubectl writes it.
func age(t time.Time) string { return ui.Age(time.Since(t)) }
