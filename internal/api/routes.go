package api

import (
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	out := []route{
		{pattern: "GET /version", serve: s.version},
		{pattern: "GET /healthz", serve: s.healthy},
		{pattern: "GET /livez", serve: s.healthy},
		{pattern: "GET /readyz", serve: s.healthy},
		{pattern: "GET /api", serve: s.apiVersions},
		{pattern: "GET /apis", serve: s.apiGroups},
		{pattern: "GET /api/v1", serve: s.coreResources},
		{pattern: "GET /openapi/v2", serve: s.openAPIv2},
		{pattern: "GET /openapi/v3", serve: s.openAPI},
		{pattern: "GET /openapi/v3/api/v1", serve: s.openAPIv1},
		{pattern: "/", serve: noSuchResource},
	}
	out = append(out, s.podRoutes()...)
	out = append(out, s.eventRoutes()...)
	out = append(out,
		route{pattern: "GET /api/v1/namespaces", serve: s.listNamespaces, resource: "namespaces", verbs: []string{"list"}},
		route{pattern: "GET /api/v1/namespaces/{name}", serve: s.getNamespace, resource: "namespaces", verbs: []string{"get"}},
		route{pattern: "/api/v1/namespaces", serve: notAllowed},
		route{pattern: "/api/v1/namespaces/{name}", serve: notAllowed},
	)
	return append(out, s.hullRoutes()...)
}

func (s *Server) podRoutes() []route {
	pods := s.resources[0]
	const all, one = "/api/v1/namespaces/{namespace}/pods", "/api/v1/namespaces/{namespace}/pods/{name}"
	return []route{
		{pattern: "GET /api/v1/pods", serve: s.list(pods), resource: "pods", verbs: []string{"list", "watch"}},
		{pattern: "GET " + all, serve: s.list(pods), resource: "pods", verbs: []string{"list", "watch"}},
		{pattern: "POST " + all, serve: s.create(pods), resource: "pods", verbs: []string{"create"}},
		{pattern: "DELETE " + all, serve: s.removeAll(pods), resource: "pods", verbs: []string{"deletecollection"}},
		{pattern: "GET " + one, serve: s.get(pods), resource: "pods", verbs: []string{"get"}},
		{pattern: "PUT " + one, serve: s.update(pods, pods.Update), resource: "pods", verbs: []string{"update"}},
		{pattern: "PATCH " + one, serve: s.patch(pods, pods.Update), resource: "pods", verbs: []string{"patch"}},
		{pattern: "DELETE " + one, serve: s.remove(pods), resource: "pods", verbs: []string{"delete"}},
		{pattern: "GET " + one + "/status", serve: s.get(pods), resource: "pods", subresource: "status", verbs: []string{"get"}},
		{pattern: "PUT " + one + "/status", serve: s.update(pods, pods.UpdateStatus), resource: "pods", subresource: "status", verbs: []string{"update"}},
		{pattern: "PATCH " + one + "/status", serve: s.patch(pods, pods.UpdateStatus), resource: "pods", subresource: "status", verbs: []string{"patch"}},
		{pattern: "GET " + one + "/log", serve: s.logs, resource: "pods", subresource: "log", verbs: []string{"get"}},
		{pattern: "GET " + one + "/exec", serve: s.exec, resource: "pods", subresource: "exec", verbs: []string{"get"}},
		{pattern: "POST " + one + "/exec", serve: s.exec, resource: "pods", subresource: "exec", verbs: []string{"create"}},
		{pattern: "GET " + one + "/attach", serve: s.attach, resource: "pods", subresource: "attach", verbs: []string{"get"}},
		{pattern: "POST " + one + "/attach", serve: s.attach, resource: "pods", subresource: "attach", verbs: []string{"create"}},
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
	events := s.resources[1]
	const all, one = "/api/v1/namespaces/{namespace}/events", "/api/v1/namespaces/{namespace}/events/{name}"
	return []route{
		{pattern: "GET /api/v1/events", serve: s.list(events), resource: "events", verbs: []string{"list", "watch"}},
		{pattern: "GET " + all, serve: s.list(events), resource: "events", verbs: []string{"list", "watch"}},
		{pattern: "DELETE " + all, serve: s.removeAll(events), resource: "events", verbs: []string{"deletecollection"}},
		{pattern: "GET " + one, serve: s.get(events), resource: "events", verbs: []string{"get"}},
		{pattern: "DELETE " + one, serve: s.remove(events), resource: "events", verbs: []string{"delete"}},
		{pattern: "/api/v1/events", serve: notAllowed},
		{pattern: all, serve: notAllowed},
		{pattern: one, serve: notAllowed},
	}
}

func (s *Server) hullRoutes() []route {
	const base = "/apis/" + v1alpha1.GroupVersion
	return []route{
		{pattern: "GET /apis/" + v1alpha1.Group, serve: s.apiGroup},
		{pattern: "GET " + base, serve: s.hullResources},
		{pattern: "GET " + base + "/images", serve: s.listImages, resource: "images", verbs: []string{"list"}},
		{pattern: "GET " + base + "/images/{ref...}", serve: s.getImage, resource: "images", verbs: []string{"get"}},
		{pattern: "DELETE " + base + "/images/{ref...}", serve: s.removeImage, resource: "images", verbs: []string{"delete"}},
		{pattern: "POST " + base + "/pull", serve: s.pullImage},
		{pattern: "POST " + base + "/load", serve: s.loadImages},
		{pattern: "GET " + base + "/namespaces/{namespace}/sandboxes/{pod}", serve: s.inspect, resource: "sandboxes", verbs: []string{"get"}},
		{pattern: "GET " + base + "/info", serve: s.info},
		{pattern: "POST " + base + "/check", serve: s.check},
		{pattern: "POST " + base + "/stop", serve: s.stop},
	}
}

// notAllowed is the answer to a method that a path does not have.
func notAllowed(_ http.ResponseWriter, r *http.Request) error {
	return apierrors.NewGenericServerResponse(http.StatusMethodNotAllowed, r.Method, schema.GroupResource{}, "", "", 0, true)
}
