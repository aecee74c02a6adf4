package api

import (
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hull-pods/hull/internal/api/v1alpha1"
)

// route is one line of the route table.
type route struct {
	pattern string // of http.ServeMux
	serve   handlerFunc

	// What discovery says about it.
	resource, subresource string
	verbs                 []string
}

// routes is the route table. The package comment has it in prose; a test holds the two together.
func (s *Server) routes() []route {
	d, ns := discovery{s}, namespaces{objects{s, namespaceStrategy()}}
	out := []route{
		{pattern: "GET /version", serve: d.version},
		{pattern: "GET /healthz", serve: d.healthy},
		{pattern: "GET /livez", serve: d.healthy},
		{pattern: "GET /readyz", serve: d.healthy},
		{pattern: "GET /api", serve: d.apiVersions},
		{pattern: "GET /apis", serve: d.apiGroups},
		{pattern: "GET /api/v1", serve: d.coreResources},
		{pattern: "GET /openapi/v2", serve: d.openAPIv2},
		{pattern: "GET /openapi/v3", serve: d.openAPI},
		{pattern: "GET /openapi/v3/api/v1", serve: d.openAPIv1},
		{pattern: "/", serve: noSuchResource},
	}
	out = append(out, s.podRoutes()...)
	out = append(out, s.eventRoutes()...)
	out = append(out,
		route{pattern: "GET /api/v1/namespaces", serve: ns.list, resource: "namespaces", verbs: []string{"list"}},
		route{pattern: "GET /api/v1/namespaces/{name}", serve: ns.get, resource: "namespaces", verbs: []string{"get"}},
		route{pattern: "/api/v1/namespaces", serve: refused("a namespace is there as soon as something is in it: it need not be created")},
		route{pattern: "/api/v1/namespaces/{name}", serve: refused("a namespace is there for as long as something is in it: it is neither changed nor deleted")},
	)
	return append(out, s.hullRoutes()...)
}

func (s *Server) podRoutes() []route {
	pods, streams := objects{s, s.resources[0]}, streams{s}
	const all, one = "/api/v1/namespaces/{namespace}/pods", "/api/v1/namespaces/{namespace}/pods/{name}"
	return []route{
		{pattern: "GET /api/v1/pods", serve: pods.list, resource: "pods", verbs: []string{"list", "watch"}},
		{pattern: "GET " + all, serve: pods.list, resource: "pods", verbs: []string{"list", "watch"}},
		{pattern: "POST " + all, serve: pods.create, resource: "pods", verbs: []string{"create"}},
		{pattern: "DELETE " + all, serve: pods.removeAll, resource: "pods", verbs: []string{"deletecollection"}},
		{pattern: "GET " + one, serve: pods.get, resource: "pods", verbs: []string{"get"}},
		{pattern: "PUT " + one, serve: pods.update(pods.st.Update), resource: "pods", verbs: []string{"update"}},
		{pattern: "PATCH " + one, serve: pods.patch(pods.st.Update), resource: "pods", verbs: []string{"patch"}},
		{pattern: "DELETE " + one, serve: pods.remove, resource: "pods", verbs: []string{"delete"}},
		{pattern: "GET " + one + "/status", serve: pods.get, resource: "pods", subresource: "status", verbs: []string{"get"}},
		{pattern: "PUT " + one + "/status", serve: pods.update(pods.st.UpdateStatus), resource: "pods", subresource: "status", verbs: []string{"update"}},
		{pattern: "PATCH " + one + "/status", serve: pods.patch(pods.st.UpdateStatus), resource: "pods", subresource: "status", verbs: []string{"patch"}},
		{pattern: "GET " + one + "/log", serve: streams.logs, resource: "pods", subresource: "log", verbs: []string{"get"}},
		{pattern: "GET " + one + "/exec", serve: streams.exec, resource: "pods", subresource: "exec", verbs: []string{"get"}},
		{pattern: "POST " + one + "/exec", serve: streams.exec, resource: "pods", subresource: "exec", verbs: []string{"create"}},
		{pattern: "GET " + one + "/attach", serve: streams.attach, resource: "pods", subresource: "attach", verbs: []string{"get"}},
		{pattern: "POST " + one + "/attach", serve: streams.attach, resource: "pods", subresource: "attach", verbs: []string{"create"}},
		{pattern: one + "/portforward", serve: refused("Hull forwards no ports: a Pod's own addresses can be reached from this host, and a hostPort opens one of the host's")},
		{pattern: "/api/v1/pods", serve: notAllowed},
		{pattern: all, serve: notAllowed},
		{pattern: one, serve: notAllowed},
		{pattern: one + "/status", serve: notAllowed},
		{pattern: one + "/log", serve: notAllowed},
		{pattern: one + "/exec", serve: notAllowed},
		{pattern: one + "/attach", serve: notAllowed},
	}
}

func (s *Server) eventRoutes() []route {
	events := objects{s, s.resources[1]}
	const all, one = "/api/v1/namespaces/{namespace}/events", "/api/v1/namespaces/{namespace}/events/{name}"
	return []route{
		{pattern: "GET /api/v1/events", serve: events.list, resource: "events", verbs: []string{"list", "watch"}},
		{pattern: "GET " + all, serve: events.list, resource: "events", verbs: []string{"list", "watch"}},
		{pattern: "DELETE " + all, serve: events.removeAll, resource: "events", verbs: []string{"deletecollection"}},
		{pattern: "GET " + one, serve: events.get, resource: "events", verbs: []string{"get"}},
		{pattern: "DELETE " + one, serve: events.remove, resource: "events", verbs: []string{"delete"}},
		{pattern: "/api/v1/events", serve: notAllowed},
		{pattern: all, serve: notAllowed},
		{pattern: one, serve: notAllowed},
	}
}

func (s *Server) hullRoutes() []route {
	const base = "/apis/" + v1alpha1.GroupVersion
	d, own := discovery{s}, own{s}
	return []route{
		{pattern: "GET /apis/" + v1alpha1.Group, serve: d.apiGroup},
		{pattern: "GET " + base, serve: d.hullResources},
		{pattern: "GET " + base + "/images", serve: own.listImages, resource: "images", verbs: []string{"list"}},
		{pattern: "GET " + base + "/images/{ref...}", serve: own.getImage, resource: "images", verbs: []string{"get"}},
		{pattern: "DELETE " + base + "/images/{ref...}", serve: own.removeImage, resource: "images", verbs: []string{"delete"}},
		{pattern: "POST " + base + "/pull", serve: own.pullImage},
		{pattern: "POST " + base + "/load", serve: own.loadImages},
		{pattern: "GET " + base + "/namespaces/{namespace}/sandboxes/{pod}", serve: own.inspect, resource: "sandboxes", verbs: []string{"get"}},
		{pattern: "GET " + base + "/info", serve: own.info},
		{pattern: "POST " + base + "/check", serve: own.check},
		{pattern: "POST " + base + "/stop", serve: own.stop},
	}
}

// notAllowed is the answer to a method that a path does not have.
func notAllowed(_ http.ResponseWriter, r *http.Request) error {
	return apierrors.NewGenericServerResponse(http.StatusMethodNotAllowed, r.Method, schema.GroupResource{}, "", "", 0, true)
}

// refused is the answer to what a client of Kubernetes expects and Hull does not have, and says what to do instead.
func refused(instead string) handlerFunc {
	return func(http.ResponseWriter, *http.Request) error {
		return apierrors.FromObject(&metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusMethodNotAllowed, Reason: metav1.StatusReasonMethodNotAllowed, Message: instead,
		})
	}
}
