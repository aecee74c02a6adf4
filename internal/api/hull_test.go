package api

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"

	"github.com/hull-pods/hull/internal/api/v1alpha1"
	"github.com/hull-pods/hull/internal/image"
	"github.com/hull-pods/hull/internal/store"
)

const hullPath = "/apis/hull.internal/v1alpha1"

func TestImages(t *testing.T) {
	h := newHull(t)
	if list := want[v1alpha1.ImageList](h, 200, "GET", hullPath+"/images", ""); list.Kind != "ImageList" || list.Items == nil || len(list.Items) != 0 {
		t.Errorf("%+v", list)
	}
	const ref = "docker.io/library/nginx:latest"
	h.images.images = []image.Image{{ID: "sha256:1", Names: []string{ref}, Size: 7, CreatedAt: time.Unix(1, 0), Config: image.ImageConfig{Cmd: []string{"nginx"}}}}
	list := want[v1alpha1.ImageList](h, 200, "GET", hullPath+"/images", "")
	if len(list.Items) != 1 || list.Items[0].Config.Cmd[0] != "nginx" || list.Items[0].CreatedAt.Unix() != 1 || list.Items[0].PulledAt != nil {
		t.Errorf("%+v", list)
	}
	if im := want[v1alpha1.Image](h, 200, "GET", hullPath+"/images/"+ref, ""); im.ID != "sha256:1" {
		t.Errorf("%+v", im)
	}
	if got := h.refused("GET", hullPath+"/images/nope", ""); got != "404 NotFound: image nope: not found" {
		t.Error(got)
	}
	want[v1alpha1.Image](h, 200, "DELETE", hullPath+"/images/"+ref, "")
	if got := h.refused("DELETE", hullPath+"/images/"+ref, ""); !strings.HasPrefix(got, "404 ") {
		t.Error(got)
	}
	archive := strings.Repeat("x", maxBody+1) // archives are larger than objects may be
	want[v1alpha1.ImageList](h, 200, "POST", hullPath+"/load", archive)
	if h.images.loaded.String() != archive {
		t.Error("the archive did not arrive whole")
	}
}

func TestPull(t *testing.T) {
	h := newHull(t)
	pull := func(ref string) []v1alpha1.PullEvent {
		code, text := h.call("POST", hullPath+"/pull", `{"image":"`+ref+`"}`)
		if code != 200 {
			t.Fatal(text)
		}
		var events []v1alpha1.PullEvent
		for line := range strings.Lines(text) {
			var ev v1alpha1.PullEvent
			if err := json.Unmarshal([]byte(line), &ev); err != nil {
				t.Fatal(err)
			}
			events = append(events, ev)
		}
		return events
	}
	got := pull("nginx")
	if len(got) != 2 || got[0].Progress.Layers[0].State != "Downloading" || got[1].Image.ID != "sha256:i" {
		t.Errorf("%+v", got)
	}
	got = pull("missing")
	if e := got[1].Error; e == nil || e.Code != 404 || e.Reason != "NotFound" || e.Message != "pull missing: the registry has no such image: not found" {
		t.Errorf("%+v", got)
	}
	for body, want := range map[string]string{
		`{}`:                             `image: Required value`,
		`{"image":"x","pasword":"y"}`:    `decode the request to pull: unknown field "pasword"`,
		`{"image":"x","image":"y"}`:      `decode the request to pull: duplicate field "image"`,
		`{"image":"x"} {"image":"y"}`:    `decode the request to pull: invalid character '{' after top-level value`,
		`{"image":"x","password":"y"}`:   `username: Required value: a password needs one`,
		`{"image":"x","username":["y"]}`: `decode the request to pull: json: cannot unmarshal array into Go struct field PullRequest.username of type string`,
	} {
		if got := h.refused("POST", hullPath+"/pull", body); got != "400 BadRequest: "+want {
			t.Errorf("%s: %s", body, got)
		}
	}
}

func TestSystem(t *testing.T) {
	h := newHull(t)
	if info := want[v1alpha1.Info](h, 200, "GET", hullPath+"/info", ""); info.Kind != "Info" || info.Node != node {
		t.Errorf("%+v", info)
	}
	if r := want[v1alpha1.CheckReport](h, 200, "POST", hullPath+"/check?repair=true", ""); len(r.Findings) != 1 || !r.Findings[0].Repaired || !h.system.repaired {
		t.Errorf("%+v", r)
	}
}

func TestInspect(t *testing.T) {
	h := newHull(t)
	path := hullPath + "/namespaces/shop/sandboxes/"
	if sb := want[v1alpha1.Sandbox](h, 200, "GET", path+"web?birth=true", ""); sb.Kind != "Sandbox" || sb.Namespace != "shop" || sb.Infra.Birth != "true" {
		t.Errorf("%+v", sb)
	}
	if got := h.refused("GET", path+"db", ""); got != `404 NotFound: pod "db" has no sandbox yet: not found` {
		t.Error(got)
	}
}

func TestStop(t *testing.T) {
	h := newHull(t)
	h.create("a")
	h.create("b")
	if got := h.refused("POST", hullPath+"/stop", ""); got != `409 Conflict: Operation cannot be fulfilled on system.hull.internal "hull": 2 of 2 Pods have not ended: delete them first, or let the stop do it (--delete-pods)` || h.system.stopped {
		t.Error(got)
	}
	// The pod package's part: a Pod that is to go goes.
	w := h.watch(t, podsPath+"?watch=true&resourceVersion=2")
	go func() {
		for gone := 0; gone < 2; {
			said := w.take(1)
			if said == "END" {
				return
			}
			name, marked := strings.CutPrefix(said, "MODIFIED ")
			if !marked {
				continue // the first has gone before the second was to go
			}
			gone++
			name, _, _ = strings.Cut(name, "@")
			if _, _, err := h.store.Delete(store.KeyOf[*corev1.Pod]("default", name), nil); err != nil {
				t.Error(err)
			}
		}
	}()
	want[metav1.Status](h, 200, "POST", hullPath+"/stop?deletePods=true", "")
	if list := want[corev1.PodList](h, 200, "GET", podsPath, ""); len(list.Items) != 0 || !h.system.stopped {
		t.Errorf("%+v", list.Items)
	}
}

func TestStopEndsPods(t *testing.T) {
	h := newHull(t)
	h.create("stays")
	for _, within := range []string{"soon", "0s", "-1s"} {
		if got := h.refused("POST", hullPath+"/stop?endPods=true&within="+within, ""); got != fmt.Sprintf("400 BadRequest: within: %q is no duration above 0", within) {
			t.Error(got)
		}
	}
	if h.system.stopped {
		t.Error("stopped all the same")
	}
	for query, patience := range map[string]time.Duration{"": math.MaxInt64, "&within=80s": 80 * time.Second} {
		want[metav1.Status](h, 200, "POST", hullPath+"/stop?endPods=true"+query, "")
		if !h.system.stopped || h.system.patience != patience {
			t.Errorf("%+v, want %v", h.system, patience)
		}
	}
	if list := want[corev1.PodList](h, 200, "GET", podsPath, ""); len(list.Items) != 1 {
		t.Errorf("%+v", list.Items)
	}
}

func TestDiscovery(t *testing.T) {
	h := newHull(t)
	for _, path := range []string{"/healthz", "/readyz", "/livez"} {
		if code, text := h.call("GET", path, ""); code != 200 || text != "ok" {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	if v := want[version.Info](h, 200, "GET", "/version", ""); v.Major != "1" || v.Minor != "37" || v.GitVersion != "v1.37.2+hull.0.1.0" {
		t.Errorf("%+v", v)
	}
	if v := want[metav1.APIVersions](h, 200, "GET", "/api", ""); v.Versions[0] != "v1" {
		t.Errorf("%+v", v)
	}
	if g := want[metav1.APIGroupList](h, 200, "GET", "/apis", ""); g.Groups[0].Name != v1alpha1.Group {
		t.Errorf("%+v", g)
	}
	got := map[string]string{}
	for _, path := range []string{"/api/v1", hullPath} {
		for _, r := range want[metav1.APIResourceList](h, 200, "GET", path, "").APIResources {
			got[r.Name] = strings.Join(r.Verbs, " ")
		}
	}
	for name, verbs := range map[string]string{
		"pods": "create delete deletecollection get list patch update watch", "pods/exec": "create get", "pods/attach": "create get", "pods/log": "get",
		"pods/status": "get patch update", "events": "delete deletecollection get list watch", "namespaces": "get list", "images": "delete get list", "sandboxes": "get",
	} {
		if got[name] != verbs {
			t.Errorf("%s: %q, want %q", name, got[name], verbs)
		}
	}
}

// TestRoutesAreWrittenDown: every route is in the package comment.
func TestRoutesAreWrittenDown(t *testing.T) {
	h := newHull(t)
	data, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range h.server.routes() {
		method, path, ok := strings.Cut(r.pattern, " ")
		if !ok {
			continue // the answer to other methods
		}
		found := false
		for line := range strings.Lines(string(data)) {
			words := strings.Fields(strings.TrimPrefix(line, "//"))
			if len(words) > 1 && words[0] == method {
				for _, w := range words[1:] {
					found = found || w == path
				}
			}
		}
		if !found {
			t.Errorf("%s is not in the package comment", r.pattern)
		}
	}
}
