package api

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/hull-pods/hull/internal/failpoint"
)

// TestWords: a mistake, and what it reads like.
func TestWords(t *testing.T) {
	h := newHull(t)
	h.create("web")
	spec := func(fields string) string {
		return `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{` + fields + `}}`
	}
	invalid := func(what string) string { return `422 Invalid: Pod "x" is invalid: ` + what }
	const forbidden = ": Forbidden: Hull does not act on this field"
	const c = `"containers":[{"name":"a","image":"i"}]`
	for _, test := range []struct{ method, path, body, want string }{
		{"GET", podsPath + "/nope", "", `404 NotFound: pods "nope" not found`},
		{"DELETE", podsPath + "/nope", "", `404 NotFound: pods "nope" not found`},
		{"GET", "/api/v1/namespaces/nope", "", `404 NotFound: namespaces "nope" not found`},
		{"GET", "/api/v1/nodes", "", `404 NotFound: the server could not find the requested resource`},
		{"GET", "/apis/apps/v1/deployments", "", `404 NotFound: the server could not find the requested resource`},
		{"POST", "/api/v1/namespaces", "{}", `405 MethodNotAllowed: a namespace is there as soon as something is in it: it need not be created`},
		{"DELETE", "/api/v1/namespaces/shop", "", `405 MethodNotAllowed: a namespace is there for as long as something is in it: it is neither changed nor deleted`},
		{"POST", podsPath + "/web/portforward", "", `405 MethodNotAllowed: Hull forwards no ports: a Pod's own addresses can be reached from this host, and a hostPort opens one of the host's`},
		{"DELETE", podsPath + "/../pods", "", `404 NotFound: the server could not find the requested resource`},
		{"DELETE", podsPath + "//", "", `404 NotFound: the server could not find the requested resource`},
		{"DELETE", podsPath + "/", "", `404 NotFound: the server could not find the requested resource`},
		{"POST", podsPath + "/web", "{}", `405 MethodNotAllowed: the server does not allow this method on the requested resource`},

		{"POST", podsPath, podJSON("web", ""), `409 AlreadyExists: pods "web" already exists`},
		{"POST", podsPath, spec(`"containers":[]`), invalid(`spec.containers: Required value`)},
		{"POST", podsPath, spec(`"containers":[{"name":"a"}]`), invalid(`spec.containers[0].image: Required value`)},
		{"POST", podsPath, spec(`"containers":[{"name":"A!","image":"i"}]`), invalid(`spec.containers[0].name: Invalid value: "A!": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', ` +
			`and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`)},
		{"POST", podsPath, spec(`"containers":[{"name":"a","image":"i","volumeMounts":[{"name":"v","mountPath":"/x"}]}]`), invalid(`spec.containers[0].volumeMounts[0].name: Not found: "v"`)},
		{"POST", podsPath, spec(`"restartPolicy":"Sometimes",` + c), invalid(`spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"`)},
		{"POST", podsPath, spec(`"nodeName":"elsewhere",` + c), invalid(`spec.nodeName: Unsupported value: "elsewhere": supported values: "testhost"`)},
		{"POST", podsPath, spec(`"containers":[{"name":"a","image":"i","livenessProbe":{"httpGet":{"path":"/"}}}]`), invalid(`spec.containers[0].livenessProbe` + forbidden)},
		{"POST", podsPath, spec(`"priority":3,"nodeSelector":{"a":"b"},` + c), invalid(`[spec.nodeSelector` + forbidden + `, spec.priority` + forbidden + `]`)},
		{"POST", podsPath, spec(`"volumes":[{"name":"v","configMap":{"name":"c"}}],` + c), invalid(`spec.volumes[0].configMap` + forbidden)},
		{"POST", podsPath, `{"apiVersion":"v1","kind":"Pod","metadata":{},"spec":{` + c + `}}`, `422 Invalid: Pod "" is invalid: metadata.name: Required value: name or generateName is required`},
		{"POST", "/api/v1/namespaces/No_Such/pods", spec(c), invalid(`metadata.namespace: Invalid value: "No_Such": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', ` +
			`and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`)},
		{"POST", podsPath, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x","namespace":"y"},"spec":{` + c + `}}`, `400 BadRequest: the namespace of the provided object does not match the namespace sent on the request`},
		{"POST", podsPath, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x","resourceVersion":"1"},"spec":{` + c + `}}`, `500 : resourceVersion should not be set on objects to be created`},

		{"POST", podsPath, spec(`"containers":[{"name":"a","image":"i","imagge":"j"}]`), `400 BadRequest: Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.containers[0].imagge"`},
		{"POST", podsPath, spec(`"hostPID":true,"hostPID":false,` + c), `400 BadRequest: Pod in version "v1" cannot be handled as a Pod: strict decoding error: duplicate field "spec.hostPID"`},
		{"POST", podsPath, spec(`"hostPID":"yes",` + c), `400 BadRequest: Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field PodSpec.spec.hostPID of type bool`},
		{"POST", podsPath, `{"apiVersion":"v1","kind":"Event","metadata":{"name":"x"}}`, `400 BadRequest: Event in version "v1" cannot be handled as a Pod`},
		{"POST", podsPath, `{"apiVersion":"v2","kind":"Pod","metadata":{"name":"x"}}`, `400 BadRequest: Pod in version "v2" cannot be handled as a Pod: no kind "Pod" is registered for version "v2" in scheme "pkg/runtime/scheme.go:111"`},
		{"POST", podsPath, ``, `400 BadRequest: the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)`},
		{"POST", podsPath, `{"`, `400 BadRequest: the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: unexpected end of JSON input ({")`},
		{"POST", podsPath, strings.Repeat(" ", maxBody+1), `413 RequestEntityTooLarge: Request entity too large: limit is 3145728`},
		{"POST", podsPath + "?dryRun=Some", podJSON("x", ""), `422 Invalid: CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"`},
		{"POST", podsPath + "?fieldValidation=Some", podJSON("x", ""), `422 Invalid: CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Some": supported values: "", "Ignore", "Strict", "Warn"`},

		{"PUT", podsPath + "/nope", podJSON("nope", ""), `404 NotFound: pods "nope" not found`},
		{"PUT", podsPath + "/web", podJSON("db", ""), `400 BadRequest: the name of the object (db) does not match the name on the URL (web)`},
		{"PUT", podsPath + "/web", `{"metadata":{"name":"web","namespace":"x"}}`, `400 BadRequest: the namespace of the object (x) does not match the namespace on the request (default)`},

		{"GET", podsPath + "?labelSelector=a+b", "", `400 BadRequest: unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt`},
		{"GET", podsPath + "?fieldSelector=spec.image%3Dx", "", `400 BadRequest: field label not supported: spec.image`},
		{"GET", podsPath + "?fieldSelector=x", "", `400 BadRequest: invalid selector: 'x'; can't understand 'x'`},
		{"GET", podsPath + "?resourceVersion=x", "", `400 BadRequest: resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax`},
		{"GET", podsPath + "?resourceVersion=99", "", `504 Timeout: Timeout: Too large resource version: 99, current: 1`},
		{"GET", podsPath + "?resourceVersionMatch=Exact", "", `422 Invalid: ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided`},
		{"GET", podsPath + "?watch=true&sendInitialEvents=true", "", `422 Invalid: ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan`},
		{"DELETE", podsPath + "/web?propagationPolicy=Sideways", "", `422 Invalid: DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Sideways": supported values: "Foreground", "Background", "Orphan", "nil"`},
	} {
		if got := h.refused(test.method, test.path, test.body); got != test.want {
			t.Errorf("%s %s %.200s\n got %s\nwant %s", test.method, test.path, test.body, got, test.want)
		}
	}
}

func TestMediaTypes(t *testing.T) {
	h := newHull(t)
	h.create("web")
	for _, test := range []struct{ method, path, header, want string }{
		{"POST", podsPath, "Content-Type: text/plain", `415 UnsupportedMediaType: the body of the request was in an unknown format - accepted media types include: application/json, application/yaml`},
		{"PATCH", podsPath + "/web", "Content-Type: application/apply-patch+yaml", `415 UnsupportedMediaType: the body of the request was in an unknown format - accepted media types include: ` +
			`application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json`},
		{"GET", podsPath, "Accept: text/html", `406 NotAcceptable: only the following media types are accepted: application/json, application/yaml`},
		{"GET", podsPath + "?watch=true", "Accept: application/yaml", `406 NotAcceptable: only the following media types are accepted: application/json`},
		{"PATCH", podsPath + "/web", "Content-Type: application/merge-patch+json", `400 BadRequest: error decoding patch: invalid character 'x' looking for beginning of value`},
		{"PATCH", podsPath + "/web", "Content-Type: application/json-patch+json", `400 BadRequest: error decoding patch: invalid character 'x' looking for beginning of value`},
	} {
		body := "x"
		if test.method == "GET" {
			body = ""
		}
		if got := h.refused(test.method, test.path, body, test.header); got != test.want {
			t.Errorf("%s %s %s\n got %s\nwant %s", test.method, test.path, test.header, got, test.want)
		}
	}
}

// TestValidationDirective: a client can ask for warnings, or for silence.
func TestValidationDirective(t *testing.T) {
	h := newHull(t)
	resp := h.request("POST", podsPath+"?fieldValidation=Warn", podJSON("warn", `,"bogus":1`))
	resp.Body.Close()
	if got := resp.Header.Get("Warning"); resp.StatusCode != 201 || got != `299 - "unknown field \"spec.bogus\""` {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
	resp = h.request("POST", podsPath+"?fieldValidation=Ignore", podJSON("ignore", `,"bogus":1`))
	resp.Body.Close()
	if got := resp.Header.Get("Warning"); resp.StatusCode != 201 || got != "" {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
	resp = h.request("POST", podsPath, podJSON("a.b", ""))
	resp.Body.Close()
	if got := resp.Header.Get("Warning"); resp.StatusCode != 201 || !strings.HasPrefix(got, `299 - "metadata.name: this is used in the Pod's hostname`) {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
}

func TestClasses(t *testing.T) {
	for err, want := range map[error]string{
		errdefs.ErrNotFound:           "404 NotFound",
		errdefs.ErrAlreadyExists:      "409 AlreadyExists",
		errdefs.ErrInvalidArgument:    "400 BadRequest",
		errdefs.ErrFailedPrecondition: "409 Conflict",
		errdefs.ErrUnavailable:        "503 ServiceUnavailable",
		errdefs.ErrNotImplemented:     "501 ",
		errdefs.ErrDataLoss:           "502 ",
		errdefs.ErrPermissionDenied:   "403 Forbidden",
		syscall.ENOSPC:                "507 ",
		context.DeadlineExceeded:      "504 Timeout",
		context.Canceled:              "504 Timeout",
		failpoint.ErrInjected:         "500 InternalError",
	} {
		st := statusOf(fmt.Errorf("do it: %w", err))
		if got := fmt.Sprintf("%d %s", st.Code, st.Reason); got != want || !strings.HasSuffix(st.Message, "do it: "+err.Error()) {
			t.Errorf("%v: %s %q, want %s", err, got, st.Message, want)
		}
	}
}
