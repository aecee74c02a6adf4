package cli

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
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

// description writes kubectl's two columns: a label, and a value 18 characters in.
type description struct {
	strings.Builder
}

func (d *description) line(indent int, label, format string, args ...any) {
	pad := strings.Repeat(" ", indent*2)
	value := fmt.Sprintf(format, args...)
	if value == "" {
		fmt.Fprintf(d, "%s%s\n", pad, label)
		return
	}
	fmt.Fprintf(d, "%s%-*s%s\n", pad, max(18-len(pad), len(label)+2), label, value)
}

// list writes values under each other, beside their label.
func (d *description) list(indent int, label string, values []string) {
	if len(values) == 0 {
		d.line(indent, label, "<none>")
		return
	}
	for i, v := range values {
		if i > 0 {
			label = ""
		}
		pad := strings.Repeat(" ", indent*2)
		fmt.Fprintf(d, "%s%-*s%s\n", pad, 18-len(pad), label, v)
	}
}

func (a *app) describe(ctx context.Context, c *client.Client, name string) error {
	p, err := a.pod(ctx, c, name)
	if err != nil {
		return err
	}
	d := &description{}
	d.head(p)
	d.containers("Init Containers:", p.Spec.InitContainers, p.Status.InitContainerStatuses)
	d.containers("Containers:", p.Spec.Containers, p.Status.ContainerStatuses)
	d.conditions(p)
	d.volumes(p)
	d.line(0, "QoS Class:", "%s", orNone(p.Status.QOSClass))
	a.printf("%s", d)
	return a.describeEvents(ctx, c, p)
}

func (d *description) head(p *pod) {
	m, s := &p.Metadata, &p.Status
	d.line(0, "Name:", "%s", m.Name)
	d.line(0, "Namespace:", "%s", m.Namespace)
	host := ""
	if len(s.HostIPs) > 0 {
		host = "/" + s.HostIPs[0].IP
	}
	d.line(0, "Node:", "%s%s", orNone(p.Spec.NodeName), host)
	if s.StartTime != nil {
		d.line(0, "Start Time:", "%s", s.StartTime.Local().Format(time.RFC1123Z))
	}
	d.list(0, "Labels:", pairs(m.Labels, "="))
	d.list(0, "Annotations:", pairs(m.Annotations, ": "))
	if m.DeletionTimestamp != nil {
		d.line(0, "Status:", "Terminating (lasts %s)", age(*m.DeletionTimestamp))
		if m.DeletionGracePeriodSeconds != nil {
			d.line(0, "Termination Grace Period:", "%ds", *m.DeletionGracePeriodSeconds)
		}
	} else {
		d.line(0, "Status:", "%s", orNone(s.Phase))
	}
	if s.Reason != "" {
		d.line(0, "Reason:", "%s", s.Reason)
	}
	if s.Message != "" {
		d.line(0, "Message:", "%s", s.Message)
	}
	d.line(0, "IP:", "%s", s.PodIP)
	if len(s.PodIPs) == 0 {
		d.line(0, "IPs:", "<none>")
		return
	}
	d.line(0, "IPs:", "")
	for _, ip := range s.PodIPs {
		d.line(1, "IP:", "%s", ip.IP)
	}
}

func (d *description) containers(title string, list []podContainer, statuses []containerStatus) {
	if len(list) == 0 {
		return
	}
	d.line(0, title, "")
	for i := range list {
		c := &list[i]
		d.line(1, c.Name+":", "")
		var st containerStatus
		if j := slices.IndexFunc(statuses, func(s containerStatus) bool { return s.Name == c.Name }); j >= 0 {
			st = statuses[j]
		}
		d.container(c, &st)
	}
}

func (d *description) container(c *podContainer, st *containerStatus) {
	d.line(2, "Container ID:", "%s", st.ContainerID)
	d.line(2, "Image:", "%s", c.Image)
	d.line(2, "Image ID:", "%s", st.ImageID)
	var ports, hostPorts []string
	for _, p := range c.Ports {
		ports = append(ports, fmt.Sprintf("%d/%s", p.ContainerPort, p.Protocol))
		hostPorts = append(hostPorts, fmt.Sprintf("%d/%s", p.HostPort, p.Protocol))
	}
	d.line(2, "Port:", "%s", orNone(strings.Join(ports, ", ")))
	d.line(2, "Host Port:", "%s", orNone(strings.Join(hostPorts, ", ")))
	d.block(2, "Command:", c.Command)
	d.block(2, "Args:", c.Args)
	d.state("State:", st.State)
	if st.LastState != (containerState{}) {
		d.state("Last State:", st.LastState)
	}
	d.line(2, "Ready:", "%s", map[bool]string{true: "True", false: "False"}[st.Ready])
	d.line(2, "Restart Count:", "%d", st.RestartCount)
	for label, m := range map[string]map[string]string{"Limits:": c.Resources.Limits, "Requests:": c.Resources.Requests} {
		if len(m) > 0 {
			d.block(2, label, pairs(m, ":  "))
		}
	}
	var env []string
	for _, e := range c.Env {
		env = append(env, e.Name+":  "+e.Value)
	}
	d.blockOrNone(2, "Environment:", env)
	var mounts []string
	for _, m := range c.VolumeMounts {
		access := "rw"
		if m.ReadOnly {
			access = "ro"
		}
		sub := ""
		if m.SubPath != "" {
			sub = fmt.Sprintf(",path=%q", m.SubPath)
		}
		mounts = append(mounts, fmt.Sprintf("%s from %s (%s%s)", m.MountPath, m.Name, access, sub))
	}
	d.blockOrNone(2, "Mounts:", mounts)
}

func (d *description) block(indent int, label string, values []string) {
	if len(values) == 0 {
		return
	}
	d.line(indent, label, "")
	for _, v := range values {
		fmt.Fprintf(d, "%s%s\n", strings.Repeat(" ", (indent+1)*2), v)
	}
}

func (d *description) blockOrNone(indent int, label string, values []string) {
	if len(values) == 0 {
		d.line(indent, label, "<none>")
		return
	}
	d.block(indent, label, values)
}

func (d *description) state(label string, s containerState) {
	switch {
	case s.Running != nil:
		d.line(2, label, "Running")
		d.line(3, "Started:", "%s", s.Running.StartedAt.Local().Format(time.RFC1123Z))
	case s.Waiting != nil:
		d.line(2, label, "Waiting")
		if s.Waiting.Reason != "" {
			d.line(3, "Reason:", "%s", s.Waiting.Reason)
		}
	case s.Terminated != nil:
		t := s.Terminated
		d.line(2, label, "Terminated")
		if t.Reason != "" {
			d.line(3, "Reason:", "%s", t.Reason)
		}
		if t.Message != "" {
			d.line(3, "Message:", "%s", t.Message)
		}
		d.line(3, "Exit Code:", "%d", t.ExitCode)
		if t.Signal > 0 {
			d.line(3, "Signal:", "%d", t.Signal)
		}
		d.line(3, "Started:", "%s", t.StartedAt.Local().Format(time.RFC1123Z))
		d.line(3, "Finished:", "%s", t.FinishedAt.Local().Format(time.RFC1123Z))
	default:
		d.line(2, label, "Waiting")
	}
}

func (d *description) conditions(p *pod) {
	if len(p.Status.Conditions) == 0 {
		return
	}
	lines := [][]string{{"  Type", "Status"}}
	for _, c := range p.Status.Conditions {
		lines = append(lines, []string{"  " + c.Type, c.Status + " "})
	}
	d.line(0, "Conditions:", "")
	_ = ui.WriteColumns(d, lines, nil) // a strings.Builder does not fail
}

func (d *description) volumes(p *pod) {
	if len(p.Spec.Volumes) == 0 {
		d.line(0, "Volumes:", "<none>")
		return
	}
	d.line(0, "Volumes:", "")
	for _, v := range p.Spec.Volumes {
		d.line(1, fmt.Sprintf("%v:", v["name"]), "")
		for _, kind := range slices.Sorted(maps.Keys(v)) {
			source, ok := v[kind].(map[string]any)
			if !ok {
				continue
			}
			title := strings.ToUpper(kind[:1]) + kind[1:]
			d.line(2, "Type:", "%s%s", title, volumeKinds[kind])
			for _, k := range slices.Sorted(maps.Keys(source)) {
				d.line(2, strings.ToUpper(k[:1])+k[1:]+":", "%v", source[k])
			}
		}
	}
}

var volumeKinds = map[string]string{
	"emptyDir": " (a temporary directory that shares a pod's lifetime)",
	"hostPath": " (bare host directory volume)",
}

func (a *app) describeEvents(ctx context.Context, c *client.Client, p *pod) error {
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
		a.printf("%-18s%s\n", "Events:", "<none>")
		return nil
	}
	lines := [][]string{{"  Type", "Reason", "Age", "From", "Message"}, {"  ----", "------", "----", "----", "-------"}}
	for _, e := range list.Items {
		when := age(e.LastTimestamp)
		if e.Count > 1 {
			when = fmt.Sprintf("%s (x%d over %s)", when, e.Count, age(e.FirstTimestamp))
		}
		lines = append(lines, []string{"  " + e.Type, e.Reason, when, e.Source.Component, strings.TrimSpace(e.Message)})
	}
	a.printf("Events:\n")
	return ui.WriteColumns(a.out, lines, nil)
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
