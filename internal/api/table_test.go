package api

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const acceptTable = "Accept: application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

// text is a table as kubectl get -o wide would print it, but for the widths.
func text(table metav1.Table) string {
	var b strings.Builder
	for _, c := range table.ColumnDefinitions {
		fmt.Fprintf(&b, "%s|", strings.ToUpper(c.Name))
	}
	for _, r := range table.Rows {
		b.WriteString("\n")
		for _, c := range r.Cells {
			fmt.Fprintf(&b, "%v|", c)
		}
	}
	return b.String()
}

func TestTable(t *testing.T) {
	h := newHull(t)
	terminated := func(reason string, code int32) *corev1.ContainerStateTerminated {
		return &corev1.ContainerStateTerminated{Reason: reason, ExitCode: code, FinishedAt: metav1.NewTime(time.Now().Add(-3 * time.Minute))}
	}
	h.create("running")
	h.runs("running")
	h.create("pending")
	h.create("crashing")
	h.setStatus("crashing", func(st *corev1.PodStatus) {
		st.Phase = corev1.PodRunning
		st.ContainerStatuses = []corev1.ContainerStatus{{Name: "a", RestartCount: 4,
			State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
			LastTerminationState: corev1.ContainerState{Terminated: terminated("Error", 1)}}}
	})
	h.create("completed")
	h.setStatus("completed", func(st *corev1.PodStatus) {
		st.Phase = corev1.PodSucceeded
		st.ContainerStatuses = []corev1.ContainerStatus{{Name: "a", State: corev1.ContainerState{Terminated: terminated("Completed", 0)}}}
	})
	h.create("ending")
	h.runs("ending")
	want[corev1.Pod](h, 200, "DELETE", podsPath+"/ending", "")
	want[corev1.Pod](h, 201, "POST", podsPath, podJSON("init", `,"initContainers":[{"name":"i","image":"toolbox"},{"name":"j","image":"toolbox"}]`))
	h.setStatus("init", func(st *corev1.PodStatus) {
		st.InitContainerStatuses = []corev1.ContainerStatus{
			{Name: "i", State: corev1.ContainerState{Terminated: terminated("Completed", 0)}},
			{Name: "j", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	})

	table := want[metav1.Table](h, 200, "GET", podsPath, "", acceptTable)
	golden := strings.TrimSpace(`
NAME|READY|STATUS|RESTARTS|AGE|IP|NODE|NOMINATED NODE|READINESS GATES|
completed|0/1|Completed|0|0s|<none>|testhost|<none>|<none>|
crashing|0/1|CrashLoopBackOff|4 (3m ago)|0s|<none>|testhost|<none>|<none>|
ending|1/1|Terminating|0|0s|10.88.0.2|testhost|<none>|<none>|
init|0/1|Init:1/2|0|0s|<none>|testhost|<none>|<none>|
pending|0/1|Pending|0|0s|<none>|testhost|<none>|<none>|
running|1/1|Running|0|0s|10.88.0.2|testhost|<none>|<none>|`)
	got := text(table)
	for _, age := range []string{"|1s|", "|2s|", "|3s|", "|4s|", "|5s|"} {
		got = strings.ReplaceAll(got, age, "|0s|")
	}
	if got != golden {
		t.Errorf("\n%s\nwant\n%s", got, golden)
	}
	if table.Kind != "Table" || table.APIVersion != "meta.k8s.io/v1" || table.ResourceVersion == "" {
		t.Errorf("%+v", table.TypeMeta)
	}
	var row metav1.PartialObjectMetadata
	if err := json.Unmarshal(table.Rows[0].Object.Raw, &row); err != nil || row.Kind != "PartialObjectMetadata" || row.Name != "completed" || row.UID == "" {
		t.Errorf("%v: %s", err, table.Rows[0].Object.Raw)
	}
	var wide []string
	for _, c := range table.ColumnDefinitions {
		if c.Priority > 0 {
			wide = append(wide, c.Name)
		}
	}
	if fmt.Sprint(wide) != "[IP Node Nominated Node Readiness Gates]" {
		t.Errorf("columns of -o wide: %v", wide)
	}
}

func TestTableForms(t *testing.T) {
	h := newHull(t)
	h.create("web")
	one := want[metav1.Table](h, 200, "GET", podsPath+"/web?includeObject=Object", "", acceptTable)
	var p corev1.Pod
	if err := json.Unmarshal(one.Rows[0].Object.Raw, &p); err != nil || p.Kind != "Pod" || p.Spec.NodeName != node {
		t.Errorf("%v: %s", err, one.Rows[0].Object.Raw)
	}
	none := want[metav1.Table](h, 200, "GET", podsPath+"?includeObject=None", "", acceptTable)
	if raw := string(none.Rows[0].Object.Raw); raw != "" && raw != "null" {
		t.Errorf("%s", raw)
	}
	empty := want[metav1.Table](h, 200, "GET", "/api/v1/namespaces/empty/pods", "", acceptTable)
	if len(empty.Rows) != 0 || len(empty.ColumnDefinitions) == 0 {
		t.Errorf("%+v", empty)
	}
	if got := h.refused("GET", podsPath+"?includeObject=Some", "", acceptTable); !strings.HasPrefix(got, "400 BadRequest: Unable to convert to Table as requested: includeObject: Invalid value:") {
		t.Error(got)
	}
	meta := want[metav1.PartialObjectMetadataList](h, 200, "GET", podsPath, "", "Accept: application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")
	if len(meta.Items) != 1 || meta.Items[0].Name != "web" || meta.ResourceVersion != "1" {
		t.Errorf("%+v", meta)
	}
}

// TestTableWatch: the columns come once, then a row for each event.
func TestTableWatch(t *testing.T) {
	h := newHull(t)
	h.create("web")
	resp := h.request("GET", podsPath+"?watch=true", "", acceptTable)
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	next := func() (string, metav1.Table) {
		t.Helper()
		if !lines.Scan() {
			t.Fatal(lines.Err())
		}
		var ev struct {
			Type   string
			Object metav1.Table
		}
		if err := json.Unmarshal(lines.Bytes(), &ev); err != nil {
			t.Fatal(err)
		}
		return ev.Type, ev.Object
	}
	kind, table := next()
	if kind != "ADDED" || len(table.ColumnDefinitions) == 0 || table.Rows[0].Cells[2] != "Pending" {
		t.Errorf("%s %+v", kind, table)
	}
	h.runs("web")
	kind, table = next()
	if kind != "MODIFIED" || len(table.ColumnDefinitions) != 0 || table.Rows[0].Cells[2] != "Running" || table.ResourceVersion != "2" {
		t.Errorf("%s %+v", kind, table)
	}
}
