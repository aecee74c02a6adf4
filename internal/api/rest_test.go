package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hull-pods/hull/internal/failpoint"
	"github.com/hull-pods/hull/internal/store"
)

func TestCreate(t *testing.T) {
	h := newHull(t)
	p := h.create("web")
	if p.UID == "" || p.ResourceVersion != "1" || p.Generation != 1 || p.CreationTimestamp.IsZero() || p.Namespace != "default" {
		t.Errorf("metadata: %+v", p.ObjectMeta)
	}
	if p.Kind != "Pod" || p.APIVersion != "v1" {
		t.Errorf("kind %q of %q", p.Kind, p.APIVersion)
	}
	if p.Spec.NodeName != node || p.Spec.ServiceAccountName != "default" || p.Spec.RestartPolicy != corev1.RestartPolicyAlways ||
		*p.Spec.TerminationGracePeriodSeconds != 30 || p.Spec.Containers[0].TerminationMessagePath != "/dev/termination-log" || !*p.Spec.EnableServiceLinks {
		t.Errorf("spec: %+v", p.Spec)
	}
	if p.Spec.Priority != nil || p.Spec.Tolerations != nil || p.Spec.Volumes != nil {
		t.Errorf("something was injected: %+v", p.Spec)
	}
	if p.Status.Phase != corev1.PodPending || p.Status.QOSClass != corev1.PodQOSBestEffort {
		t.Errorf("status: %+v", p.Status)
	}
	got := want[corev1.Pod](h, 200, "GET", podsPath+"/web", "")
	if got.UID != p.UID {
		t.Errorf("get: %+v", got)
	}
}

func TestPrivileged(t *testing.T) {
	h := newHull(t)
	body := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"containers":[` +
		`{"name":"a","image":"toolbox","securityContext":{"privileged":true}}]}}`
	if p := want[corev1.Pod](h, 201, "POST", podsPath, body); !*p.Spec.Containers[0].SecurityContext.Privileged {
		t.Errorf("security context: %+v", p.Spec.Containers[0].SecurityContext)
	}
}

// TestCreateWipes: what only the server says, a client says in vain; a status as well.
func TestCreateWipes(t *testing.T) {
	h := newHull(t)
	p := want[corev1.Pod](h, 201, "POST", podsPath, `{"apiVersion":"v1","kind":"Pod",
		"metadata":{"name":"web","uid":"mine","generation":7,"creationTimestamp":"2001-01-01T00:00:00Z","deletionTimestamp":"2001-01-01T00:00:00Z","selfLink":"x",
			"managedFields":[{"manager":"x","operation":"Update","apiVersion":"v1"}]},
		"spec":{"containers":[{"name":"a","image":"toolbox"}]},"status":{"phase":"Running","podIP":"1.2.3.4"}}`)
	if p.UID == "mine" || p.Generation != 1 || p.CreationTimestamp.Year() == 2001 || p.DeletionTimestamp != nil || p.ManagedFields != nil || p.Status.Phase != "Pending" || p.Status.PodIP != "" {
		t.Errorf("%+v", p)
	}
}

func TestYAML(t *testing.T) {
	h := newHull(t)
	manifest := "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n  - name: a\n    image: toolbox\n"
	p := want[corev1.Pod](h, 201, "POST", podsPath, manifest, "Content-Type: application/yaml")
	if p.Name != "web" {
		t.Errorf("%+v", p)
	}
	code, text := h.call("GET", podsPath+"/web", "", "Accept: application/yaml")
	if code != 200 || !strings.HasPrefix(text, "apiVersion: v1\nkind: Pod\n") {
		t.Errorf("%d %s", code, text)
	}
}

func TestGenerateName(t *testing.T) {
	h := newHull(t)
	body := strings.Replace(podJSON("", ""), `"name":"",`, `"generateName":"web-",`, 1)
	a := want[corev1.Pod](h, 201, "POST", podsPath, body)
	b := want[corev1.Pod](h, 201, "POST", podsPath, body)
	if !strings.HasPrefix(a.Name, "web-") || len(a.Name) != len("web-")+5 || a.Name == b.Name || a.GenerateName != "web-" {
		t.Errorf("%q, %q", a.Name, b.Name)
	}
}

func TestNamespacesAreImplicit(t *testing.T) {
	h := newHull(t)
	p := want[corev1.Pod](h, 201, "POST", "/api/v1/namespaces/shop/pods", podJSON("web", ""))
	if p.Namespace != "shop" {
		t.Errorf("%+v", p)
	}
	list := want[corev1.NamespaceList](h, 200, "GET", "/api/v1/namespaces", "")
	if len(list.Items) != 2 || list.Items[0].Name != "default" || list.Items[1].Name != "shop" || list.Items[1].Status.Phase != corev1.NamespaceActive {
		t.Errorf("%+v", list.Items)
	}
	if one := want[corev1.NamespaceList](h, 200, "GET", "/api/v1/namespaces?fieldSelector=metadata.name%3Dshop", ""); len(one.Items) != 1 {
		t.Errorf("%+v", one.Items)
	}
	if ns := want[corev1.Namespace](h, 200, "GET", "/api/v1/namespaces/shop", ""); ns.Kind != "Namespace" {
		t.Errorf("%+v", ns)
	}
}

func TestListAndSelectors(t *testing.T) {
	h := newHull(t)
	h.create("b")
	h.create("a")
	want[corev1.Pod](h, 201, "POST", "/api/v1/namespaces/other/pods", podJSON("c", ""))
	h.runs("a")
	for path, names := range map[string]string{
		podsPath:                                                                        "a b",
		"/api/v1/pods":                                                                  "a b c",
		podsPath + "?x=":                                                                "a b",
		podsPath + "?labelSelector=app%3Da":                                             "a",
		podsPath + "?labelSelector=app+in+(a,b)":                                        "a b",
		podsPath + "?labelSelector=!app":                                                "",
		podsPath + "?fieldSelector=metadata.name%3Db":                                   "b",
		podsPath + "?fieldSelector=status.phase%3DRunning":                              "a",
		podsPath + "?fieldSelector=status.phase!%3DRunning":                             "b",
		podsPath + "?fieldSelector=status.podIP%3D10.88.0.2":                            "a",
		"/api/v1/pods?fieldSelector=metadata.namespace%3Dother":                         "c",
		"/api/v1/pods?fieldSelector=spec.nodeName%3D" + node:                            "a b c",
		"/api/v1/pods?fieldSelector=spec.nodeName%3Delsewhere":                          "",
		"/api/v1/pods?limit=1":                                                          "a b c",
		"/api/v1/pods?resourceVersion=0&resourceVersionMatch=NotOlderThan":              "a b c",
		"/api/v1/pods?resourceVersion=4&resourceVersionMatch=Exact":                     "a b c",
		"/api/v1/namespaces/empty/pods?labelSelector=a&fieldSelector=spec.nodeName%3Dx": "",
	} {
		list := want[corev1.PodList](h, 200, "GET", path, "")
		var got []string
		for _, p := range list.Items {
			got = append(got, p.Name)
			if p.Kind != "" || p.APIVersion != "" {
				t.Errorf("%s: an item says its kind", path)
			}
		}
		if list.Kind != "PodList" || list.ResourceVersion != "4" || strings.Join(got, " ") != names {
			t.Errorf("%s: %s at %s: %v, want %s", path, list.Kind, list.ResourceVersion, got, names)
		}
	}
	if _, text := h.call("GET", "/api/v1/namespaces/none/pods", ""); !strings.Contains(text, `"items":[]`) {
		t.Errorf("an empty list: %s", text)
	}
}

func TestUpdate(t *testing.T) {
	h := newHull(t)
	p := h.create("web")
	put := func(p *corev1.Pod) string {
		data, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	p.Labels["tier"] = "front"
	p.Status.Phase = corev1.PodFailed // not by this path
	second := want[corev1.Pod](h, 200, "PUT", podsPath+"/web", put(p))
	if second.Labels["tier"] != "front" || second.ResourceVersion != "2" || second.Generation != 1 || second.Status.Phase != corev1.PodPending || second.UID != p.UID {
		t.Errorf("%+v", second)
	}
	if got := h.refused("PUT", podsPath+"/web", put(p)); got != `409 Conflict: Operation cannot be fulfilled on pods "web": the object has been modified; please apply your changes to the latest version and try again` {
		t.Error(got)
	}
	second.Spec.Containers[0].Image = "toolbox:2"
	second.Spec.TerminationGracePeriodSeconds = nil // defaulted again, to what it was
	third := want[corev1.Pod](h, 200, "PUT", podsPath+"/web", put(&second))
	if third.Generation != 2 || third.Spec.Containers[0].Image != "toolbox:2" {
		t.Errorf("%+v", third)
	}
	third.ResourceVersion = "" // whatever is there
	third.Labels["tier"] = "back"
	fourth := want[corev1.Pod](h, 200, "PUT", podsPath+"/web", put(&third))
	if fourth.Labels["tier"] != "back" || fourth.ResourceVersion != "4" {
		t.Errorf("%+v", fourth)
	}
	if same := want[corev1.Pod](h, 200, "PUT", podsPath+"/web", put(&fourth)); same.ResourceVersion != "4" {
		t.Errorf("an update that changes nothing made version %s", same.ResourceVersion)
	}
	fourth.Spec.Hostname = "other"
	if got := h.refused("PUT", podsPath+"/web", put(&fourth)); !strings.HasPrefix(got, `422 Invalid: Pod "web" is invalid: spec: Forbidden: pod updates may not change fields other than `) {
		t.Error(got)
	}
	fourth.Spec.Hostname = ""
	fourth.UID = "another"
	if got := h.refused("PUT", podsPath+"/web", put(&fourth)); !strings.HasPrefix(got, `409 Conflict: Operation cannot be fulfilled on pods "web": Precondition failed: UID in precondition: another, UID in object meta: `) {
		t.Error(got)
	}
}

func TestStatus(t *testing.T) {
	h := newHull(t)
	p := h.create("web")
	p.Status.Phase = corev1.PodRunning
	p.Spec.Containers[0].Image = "other"
	p.Labels["x"] = "y"
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	got := want[corev1.Pod](h, 200, "PUT", podsPath+"/web/status", string(data))
	if got.Status.Phase != corev1.PodRunning || got.Spec.Containers[0].Image != "toolbox" || got.Generation != 1 {
		t.Errorf("%+v", got)
	}
	got = want[corev1.Pod](h, 200, "PATCH", podsPath+"/web/status", `{"status":{"podIP":"10.88.0.9","podIPs":[{"ip":"10.88.0.9"}]}}`, "Content-Type: application/strategic-merge-patch+json")
	if got.Status.PodIP != "10.88.0.9" || got.Status.Phase != corev1.PodRunning {
		t.Errorf("%+v", got.Status)
	}
	// What a Pod may not ask for when it is made, it may not by this door.
	const asks = `{"metadata":{"annotations":{"kubernetes.io/egress-bandwidth":"1M"}}}`
	const refused = `422 Invalid: Pod "web" is invalid: metadata.annotations[kubernetes.io/egress-bandwidth]: Forbidden: Hull does not act on this field`
	for _, door := range []string{"", "/status"} {
		if got := h.refused("PATCH", podsPath+"/web"+door, asks, "Content-Type: application/merge-patch+json"); got != refused {
			t.Errorf("%s: %s", door, got)
		}
	}
}

func TestPatch(t *testing.T) {
	h := newHull(t)
	h.create("web")
	patch := func(kind, body string) corev1.Pod {
		t.Helper()
		return want[corev1.Pod](h, 200, "PATCH", podsPath+"/web", body, "Content-Type: application/"+kind+"+json")
	}
	if p := patch("merge-patch", `{"metadata":{"labels":{"app":null,"a":"b"}}}`); fmt.Sprint(p.Labels) != "map[a:b]" {
		t.Errorf("merge: %v", p.Labels)
	}
	if p := patch("strategic-merge-patch", `{"spec":{"containers":[{"name":"a","image":"toolbox:2"}]}}`); p.Spec.Containers[0].Image != "toolbox:2" || len(p.Spec.Containers) != 1 || p.Generation != 2 {
		t.Errorf("strategic: %+v", p)
	}
	if p := patch("json-patch", `[{"op":"test","path":"/metadata/labels/a","value":"b"},{"op":"add","path":"/metadata/labels/c","value":"d"},{"op":"copy","from":"/metadata/labels/c","path":"/metadata/labels/e"}]`); fmt.Sprint(p.Labels) != "map[a:b c:d e:d]" {
		t.Errorf("json: %v", p.Labels)
	}
	if p := patch("merge-patch", `{}`); p.ResourceVersion != "4" {
		t.Errorf("an empty patch made version %s", p.ResourceVersion)
	}
}

// TestPatchCannotExplode: a patch that copies its document into itself ends at the limit of a body.
func TestPatchCannotExplode(t *testing.T) {
	h := newHull(t)
	h.create("web")
	steps := []string{`{"op":"add","path":"/metadata/annotations","value":{}}`}
	for i := range 60 {
		steps = append(steps, fmt.Sprintf(`{"op":"copy","from":"/metadata","path":"/metadata/annotations/x%d"}`, i))
	}
	got := h.refused("PATCH", podsPath+"/web", "["+strings.Join(steps, ",")+"]", "Content-Type: application/json-patch+json")
	if got != "413 RequestEntityTooLarge: Request entity too large: limit is 3145728" {
		t.Error(got)
	}
}

func TestDryRun(t *testing.T) {
	h := newHull(t)
	p := want[corev1.Pod](h, 201, "POST", podsPath+"?dryRun=All", podJSON("web", ""))
	if p.Spec.NodeName != node || p.Kind != "Pod" {
		t.Errorf("%+v", p)
	}
	h.refused("GET", podsPath+"/web", "")
	h.create("web")
	if got := h.refused("POST", podsPath+"?dryRun=All", podJSON("web", "")); got != `409 AlreadyExists: pods "web" already exists` {
		t.Error(got)
	}
	if p := want[corev1.Pod](h, 200, "PATCH", podsPath+"/web?dryRun=All", `{"metadata":{"labels":{"a":"b"}}}`, "Content-Type: application/merge-patch+json"); p.Labels["a"] != "b" {
		t.Errorf("%+v", p.Labels)
	}
	if p := want[corev1.Pod](h, 200, "DELETE", podsPath+"/web?dryRun=All", ""); p.DeletionTimestamp == nil {
		t.Errorf("%+v", p.ObjectMeta)
	}
	if p := want[corev1.Pod](h, 200, "GET", podsPath+"/web", ""); p.ResourceVersion != "1" || p.DeletionTimestamp != nil {
		t.Errorf("%+v", p.ObjectMeta)
	}
}

func TestDelete(t *testing.T) {
	h := newHull(t)
	gone := func(name string) bool {
		code, _ := h.call("GET", podsPath+"/"+name, "")
		return code == 404
	}
	h.create("web")
	p := want[corev1.Pod](h, 200, "DELETE", podsPath+"/web", "")
	if p.DeletionTimestamp == nil || *p.DeletionGracePeriodSeconds != 30 || p.Generation != 2 || gone("web") {
		t.Fatalf("a graceful deletion: %+v", p.ObjectMeta)
	}
	begun := p.DeletionTimestamp.Add(-30 * time.Second)
	again := want[corev1.Pod](h, 200, "DELETE", podsPath+"/web?gracePeriodSeconds=60", "")
	if again.ResourceVersion != p.ResourceVersion {
		t.Errorf("a deletion was made longer: %+v", again.ObjectMeta)
	}
	again = want[corev1.Pod](h, 200, "DELETE", podsPath+"/web", `{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":10}`)
	if *again.DeletionGracePeriodSeconds != 10 || !again.DeletionTimestamp.Time.Equal(begun.Add(10*time.Second)) || again.Generation != 2 {
		t.Errorf("a deletion that is made shorter: %+v", again.ObjectMeta)
	}
	last := want[corev1.Pod](h, 200, "DELETE", podsPath+"/web?gracePeriodSeconds=0", "")
	if *last.DeletionGracePeriodSeconds != 0 || !gone("web") {
		t.Errorf("a deletion by force: %+v", last.ObjectMeta)
	}

	h.create("done")
	h.setStatus("done", func(st *corev1.PodStatus) { st.Phase = corev1.PodSucceeded })
	p = want[corev1.Pod](h, 200, "DELETE", podsPath+"/done", "")
	if *p.DeletionGracePeriodSeconds != 1 || gone("done") {
		t.Errorf("the object of a Pod that has ended does not wait for the removal of the rest: %+v", p.ObjectMeta)
	}
	want[corev1.Pod](h, 200, "DELETE", podsPath+"/done?gracePeriodSeconds=0", "")
	if !gone("done") {
		t.Error("a Pod that has ended is not deleted by force")
	}

	held := want[corev1.Pod](h, 201, "POST", podsPath, strings.Replace(podJSON("held", ""), `"metadata":{`, `"metadata":{"finalizers":["hull.test/hold"],`, 1))
	want[corev1.Pod](h, 200, "DELETE", podsPath+"/held?gracePeriodSeconds=0", "")
	if gone("held") {
		t.Error("a finalizer does not hold")
	}
	if got := h.refused("DELETE", podsPath+"/held", `{"preconditions":{"uid":"other"}}`); !strings.HasPrefix(got, `409 Conflict: Operation cannot be fulfilled on Pod "held": the UID in the precondition (other) does not match the UID in record (`) {
		t.Error(got)
	}
	want[corev1.Pod](h, 200, "DELETE", podsPath+"/held", fmt.Sprintf(`{"preconditions":{"uid":%q}}`, held.UID))
	want[corev1.Pod](h, 200, "PATCH", podsPath+"/held", `{"metadata":{"finalizers":null}}`, "Content-Type: application/merge-patch+json")
	if !gone("held") {
		t.Error("a Pod without finalizers is still there")
	}
}

func TestDeleteCollection(t *testing.T) {
	h := newHull(t)
	h.create("a")
	h.create("b")
	list := want[corev1.PodList](h, 200, "DELETE", podsPath+"?labelSelector=app%3Da&gracePeriodSeconds=0", "")
	if len(list.Items) != 1 || list.Items[0].Name != "a" {
		t.Errorf("%+v", list.Items)
	}
	if left := want[corev1.PodList](h, 200, "GET", podsPath, ""); len(left.Items) != 1 || left.Items[0].Name != "b" {
		t.Errorf("%+v", left.Items)
	}
}

// TestFullDisk: what the disk does not take was never created, and the client is told why.
func TestFullDisk(t *testing.T) {
	h := newHull(t)
	h.create("before")
	if err := failpoint.Set("store.commit=error"); err != nil {
		t.Fatal(err)
	}
	got := h.refused("POST", podsPath, podJSON("web", ""))
	if !strings.HasPrefix(got, "500 InternalError: Internal error occurred: create pods default/web: the change is not on disk: write ") {
		t.Error(got)
	}
	if got := h.refused("GET", podsPath+"/web", ""); got != `404 NotFound: pods "web" not found` {
		t.Error(got)
	}
	h.create("web")
}

func TestEvents(t *testing.T) {
	h := newHull(t)
	p := h.create("web")
	h.store.Recorder("kubelet", node).Event(store.Ref(p, "spec.containers{a}"), corev1.EventTypeNormal, "Started", "Container started")
	list := want[corev1.EventList](h, 200, "GET", "/api/v1/namespaces/default/events?fieldSelector=involvedObject.uid%3D"+string(p.UID), "")
	if len(list.Items) != 1 || list.Items[0].Reason != "Started" || list.Kind != "EventList" {
		t.Fatalf("%+v", list)
	}
	table := want[metav1.Table](h, 200, "GET", "/api/v1/events", "", acceptTable)
	if got := fmt.Sprint(table.Rows[0].Cells[1:4]); got != "[Normal Started pod/web]" {
		t.Error(got)
	}
	one := "/api/v1/namespaces/default/events/" + list.Items[0].Name
	want[corev1.Event](h, 200, "GET", one, "")
	want[corev1.Event](h, 200, "DELETE", one, "")
	h.refused("GET", one, "")
}
