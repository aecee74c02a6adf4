// Package describe is hull describe: a Pod and its events for people to read, as kubectl writes it.
package describe

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hull-pods/hull/internal/cli/complete"
	"github.com/hull-pods/hull/internal/cli/env"
	"github.com/hull-pods/hull/internal/cli/pod"
	"github.com/hull-pods/hull/internal/client"
)

// Command is hull describe.
func Command(e *env.Env) *cobra.Command {
	var selector string
	var events bool
	cmd := &cobra.Command{
		Use:   "describe pod [NAME_PREFIX... | -l SELECTOR]",
		Short: "Show a Pod's details and events",
		Example: `  hull describe pod web
  hull describe pods -l app=web --show-events`,
		ValidArgsFunction: complete.Pods(e, 1, "pod"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("you must specify the type of resource to describe: hull describe pod NAME")
			}
			names, err := pod.Args(args)
			if err != nil {
				return err
			}
			if selector != "" && len(names) > 0 {
				return errors.New("name cannot be provided when a selector is specified")
			}
			c, err := e.Connect(cmd.Context())
			if err != nil {
				return err
			}
			pods, failed, similar, err := find(cmd.Context(), c, e.Namespace, names, selector)
			if err != nil {
				return err
			}
			if len(pods)+len(failed) == 0 {
				e.Warnf("No resources found in %s namespace.\n", e.Namespace)
			}
			if !cmd.Flags().Changed("show-events") {
				events = len(pods)+len(failed) == 1 && !similar
			}
			for i, p := range pods {
				if i > 0 && !similar {
					e.Printf("\n\n")
				}
				if err := describe(cmd.Context(), e, c, p, events); err != nil {
					return err
				}
				if similar {
					e.Printf("\n")
				}
			}
			return errors.Join(failed...)
		},
	}
	cmd.Flags().StringVarP(&selector, "selector", "l", "", "labels of the Pods to describe")
	cmd.Flags().BoolVar(&events, "show-events", true, "their events too; not of several Pods, if this is not said")
	return cmd
}

// find gets the Pods that are named, or selected, and says what was not found. A single name that no Pod has may be the beginning
// similar ones.
func find(ctx context.Context, c *client.Client, namespace string, names []string, selector string) (pods []*pod.Pod, failed []error, similar bool, _ error) {
	var all struct{ Items []*pod.Pod }
	query := url.Values{"labelSelector": {selector}}
	if len(names) == 0 {
		err := c.Do(ctx, client.Request{Path: pod.All(namespace), Query: query}, &all)
		return all.Items, nil, false, err
	}
	for _, name := range names {
		p, err := pod.Get(ctx, c, pod.Ref{Namespace: namespace, Name: name})
		if err != nil && !client.IsNotFound(err) {
			return nil, nil, false, err
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		pods = append(pods, p)
	}
	if len(names) > 1 || len(failed) == 0 {
		return pods, failed, false, nil
	}
	err := c.Do(ctx, client.Request{Path: pod.All(namespace), Query: query}, &all)
	for _, p := range all.Items {
		if strings.HasPrefix(p.Metadata.Name, names[0]) {
			pods = append(pods, p)
		}
	}
	if len(pods) > 0 {
		failed = nil
	}
	return pods, failed, true, err
}

func describe(ctx context.Context, e *env.Env, c *client.Client, p *pod.Pod, events bool) error {
	d := newDescription(e.Out)
	d.head(p)
	d.containers("Init Containers:", p.Spec.InitContainers, p.Status.InitContainerStatuses)
	d.containers("Containers:", p.Spec.Containers, p.Status.ContainerStatuses)
	d.conditions(p)
	d.volumes(p)
	d.write(0, "QoS Class:\t%s", orNone(p.Status.QOSClass))
	d.list("Node-Selectors:", pairs(p.Spec.NodeSelector, "="))
	d.list("Tolerations:", tolerations(p))
	if events {
		if err := d.events(ctx, c, p); err != nil {
			return err
		}
	}
	return d.tab.Flush()
}

func (d *description) head(p *pod.Pod) {
	m, s := &p.Metadata, &p.Status
	d.write(0, "Name:\t%s", m.Name)
	d.write(0, "Namespace:\t%s", m.Namespace)
	if p.Spec.Priority != nil {
		d.write(0, "Priority:\t%d", *p.Spec.Priority)
	}
	if p.Spec.RuntimeClassName != "" {
		d.write(0, "Runtime Class Name:\t%s", p.Spec.RuntimeClassName)
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
	d.list("Annotations:", annotations(m.Annotations))
	if m.DeletionTimestamp != nil && !p.Ended() {
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
	if sc := p.Spec.SecurityContext; sc != nil {
		d.seccomp(0, sc.SeccompProfile)
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

func (d *description) conditions(p *pod.Pod) {
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
func tolerations(p *pod.Pod) []string {
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

func (d *description) volumes(p *pod.Pod) {
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

func (d *description) events(ctx context.Context, c *client.Client, p *pod.Pod) error {
	var list struct {
		Items []struct {
			Type, Reason, Message string
			Count                 int
			FirstTimestamp        time.Time
			LastTimestamp         time.Time
			Source                struct{ Component string }
			InvolvedObject        struct{ FieldPath string }
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
	if err := d.tab.Flush(); err != nil { // the columns of what comes are their own
		return err
	}
	sort.SliceStable(list.Items, func(i, j int) bool { return list.Items[i].LastTimestamp.Before(list.Items[j].LastTimestamp) })
	d.write(0, "Events:")
	d.write(1, "Type\tReason\tAge\tFrom\tMessage")
	d.write(1, "----\t------\t----\t----\t-------")
	for _, e := range list.Items {
		when := age(e.LastTimestamp)
		if e.Count > 1 {
			when = fmt.Sprintf("%s (x%d over %s)", when, e.Count, age(e.FirstTimestamp))
		}
		message := strings.TrimSpace(e.Message)
		if e.InvolvedObject.FieldPath != "" {
			message = e.InvolvedObject.FieldPath + ": " + message
		}
		d.write(1, "%s\t%s\t%s\t%s\t%s", e.Type, e.Reason, when, e.Source.Component, message)
	}
	return nil
}
