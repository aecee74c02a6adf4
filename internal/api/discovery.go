package api

import (
	"net/http"
	goruntime "runtime"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"

	"github.com/hull-pods/hull/internal/api/openapi"
	"github.com/hull-pods/hull/internal/api/v1alpha1"
)

// The version of Kubernetes whose behaviour this is.
const (
	kubeMajor   = "1"
	kubeMinor   = "37"
	kubeVersion = "v1.37.2"
)

// discovery tells clients what there is.
type discovery struct{ *Server }

func (s discovery) version(w http.ResponseWriter, r *http.Request) error {
	v := s.cfg.Version
	s.write(w, r, http.StatusOK, version.Info{
		Major: kubeMajor, Minor: kubeMinor, GitVersion: kubeVersion + "+hull." + v.Hull, GitTreeState: "clean",
		GoVersion: goruntime.Version(), Compiler: goruntime.Compiler, Platform: goruntime.GOOS + "/" + goruntime.GOARCH,
	})
	return nil
}

// healthy answers that the server answers.
func (s discovery) healthy(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := w.Write([]byte("ok"))
	return err
}

func (s discovery) apiVersions(w http.ResponseWriter, r *http.Request) error {
	s.write(w, r, http.StatusOK, metav1.APIVersions{
		TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}, ServerAddressByClientCIDRs: []metav1.ServerAddressByClientCIDR{},
	})
	return nil
}

func hullGroup() metav1.APIGroup {
	v := metav1.GroupVersionForDiscovery{GroupVersion: v1alpha1.GroupVersion, Version: v1alpha1.Version}
	return metav1.APIGroup{Name: v1alpha1.Group, Versions: []metav1.GroupVersionForDiscovery{v}, PreferredVersion: v}
}

func (s discovery) apiGroups(w http.ResponseWriter, r *http.Request) error {
	s.write(w, r, http.StatusOK, metav1.APIGroupList{
		TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}, Groups: []metav1.APIGroup{hullGroup()},
	})
	return nil
}

func (s discovery) apiGroup(w http.ResponseWriter, r *http.Request) error {
	g := hullGroup()
	g.TypeMeta = metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}
	s.write(w, r, http.StatusOK, g)
	return nil
}

// coreResources lists the resources of v1 with their verbs, as the route table has them.
func (s discovery) coreResources(w http.ResponseWriter, r *http.Request) error {
	list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: "v1"}
	for _, st := range s.resources {
		list.APIResources = append(list.APIResources, metav1.APIResource{
			Name: st.Resource, SingularName: st.Singular, Namespaced: true, Kind: st.Kind.Kind,
			ShortNames: st.ShortNames, Categories: st.Categories, Verbs: s.verbs(st.Resource, ""),
		})
	}
	for name, kind := range map[string]string{"attach": "PodAttachOptions", "exec": "PodExecOptions", "log": "Pod", "status": "Pod"} {
		list.APIResources = append(list.APIResources, metav1.APIResource{Name: "pods/" + name, Namespaced: true, Kind: kind, Verbs: s.verbs("pods", name)})
	}
	list.APIResources = append(list.APIResources, metav1.APIResource{
		Name: "namespaces", SingularName: "namespace", Kind: "Namespace", ShortNames: []string{"ns"}, Verbs: s.verbs("namespaces", ""),
	})
	slices.SortFunc(list.APIResources, func(a, b metav1.APIResource) int { return strings.Compare(a.Name, b.Name) })
	s.write(w, r, http.StatusOK, list)
	return nil
}

// verbs are those that the route table has for a resource.
func (s discovery) verbs(resource, subresource string) metav1.Verbs {
	out := metav1.Verbs{}
	for _, r := range s.routes() {
		if r.resource == resource && r.subresource == subresource {
			out = append(out, r.verbs...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (s discovery) hullResources(w http.ResponseWriter, r *http.Request) error {
	list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: v1alpha1.GroupVersion}
	for _, res := range []metav1.APIResource{
		{Name: "images", SingularName: "image", Kind: "Image"},
		{Name: "sandboxes", SingularName: "sandbox", Kind: "Sandbox", Namespaced: true},
	} {
		res.Verbs = s.verbs(res.Name, "")
		list.APIResources = append(list.APIResources, res)
	}
	s.write(w, r, http.StatusOK, list)
	return nil
}

// kinds are those that are described.
func (s discovery) kinds() (kinds []openapi.Kind) {
	for _, st := range s.resources {
		kinds = append(kinds, openapi.Kind{
			GroupVersionKind: st.Kind, Value: st.New(), Path: "/api/v1/namespaces/{namespace}/" + st.Resource, Written: st.Update != nil,
		})
	}
	return kinds
}

// openAPIv2 describes the objects to clients that check them themselves.
func (s discovery) openAPIv2(w http.ResponseWriter, r *http.Request) error {
	body, err := openapi.JSON(s.cfg.Version.Hull, s.kinds()...)
	if err != nil {
		return err
	}
	mediaType := typeJSON
	if strings.Contains(r.Header.Get("Accept"), openapi.Asked) {
		mediaType = openapi.Answered
		if body, err = openapi.Protobuf(body); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body)
	return nil
}

// openAPI is the index of the descriptions by OpenAPI version 3, and openAPIv1 the one that it lists.
func (s discovery) openAPI(w http.ResponseWriter, r *http.Request) error {
	s.write(w, r, http.StatusOK, map[string]any{"paths": map[string]any{"api/v1": map[string]string{"serverRelativeURL": "/openapi/v3/api/v1"}}})
	return nil
}

func (s discovery) openAPIv1(w http.ResponseWriter, r *http.Request) error {
	s.write(w, r, http.StatusOK, openapi.Document(s.cfg.Version.Hull, s.kinds()...))
	return nil
}
