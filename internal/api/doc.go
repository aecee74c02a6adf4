// Package api is Hull's API server: Kubernetes REST over the objects in the store, and Hull's own verbs.
//
// A client of Kubernetes finds what it knows: the paths, the codes, the words of the errors, the columns of the tables. The
// handlers read and write the store and nothing else; what a Pod becomes of it is the pod package's business, which watches
// the same store. Only streams (logs, exec, attach, the progress of a pull), which are never stored, and Hull's own verbs
// reach further, through the small interfaces Runtime, Images, Sandboxes and System.
//
// # Routes
//
//	GET    /version                                   what Kubernetes this is, and what Hull
//	GET    /healthz /livez /readyz                    "ok"
//	GET    /api /apis /api/v1                         discovery
//	GET    /openapi/v2                                the objects, for an old kubectl that checks them itself
//	GET    /openapi/v3 /openapi/v3/api/v1             the objects with their documentation, and that validation is the server's
//
//	GET    /api/v1/pods                               list (watch=true: watch) in all namespaces
//	GET    /api/v1/namespaces/{namespace}/pods        list, watch: labelSelector, fieldSelector, resourceVersion, …
//	POST   /api/v1/namespaces/{namespace}/pods        create; answered when it is on disk
//	DELETE /api/v1/namespaces/{namespace}/pods        deletecollection
//	GET    /api/v1/namespaces/{namespace}/pods/{name}
//	PUT    /api/v1/namespaces/{namespace}/pods/{name}
//	PATCH  /api/v1/namespaces/{namespace}/pods/{name} JSON, merge and strategic merge patches
//	DELETE /api/v1/namespaces/{namespace}/pods/{name} gracePeriodSeconds, preconditions, dryRun
//	GET    /api/v1/namespaces/{namespace}/pods/{name}/status
//	PUT    /api/v1/namespaces/{namespace}/pods/{name}/status
//	PATCH  /api/v1/namespaces/{namespace}/pods/{name}/status
//	GET    /api/v1/namespaces/{namespace}/pods/{name}/log     container, follow, previous, sinceSeconds, sinceTime,
//	                                                          timestamps, tailLines, limitBytes, stream
//	GET    /api/v1/namespaces/{namespace}/pods/{name}/exec    container, command (each word), stdin, stdout, stderr, tty;
//	                                                          WebSocket v5 or v4.channel.k8s.io, or SPDY; Hull's own:
//	                                                          defaultContainer=told or quiet, where no container is named
//	POST   /api/v1/namespaces/{namespace}/pods/{name}/exec    the same
//	GET    /api/v1/namespaces/{namespace}/pods/{name}/attach  the same without command
//	POST   /api/v1/namespaces/{namespace}/pods/{name}/attach
//
//	GET    /api/v1/events                             list, watch
//	GET    /api/v1/namespaces/{namespace}/events      list, watch: fieldSelector involvedObject.uid=… and the like
//	DELETE /api/v1/namespaces/{namespace}/events
//	GET    /api/v1/namespaces/{namespace}/events/{name}
//	DELETE /api/v1/namespaces/{namespace}/events/{name}
//
//	GET    /api/v1/namespaces                         those in use, and default
//	GET    /api/v1/namespaces/{name}
//
//	GET    /apis/hull.internal /apis/hull.internal/v1alpha1             discovery
//	GET    /apis/hull.internal/v1alpha1/images                          v1alpha1.ImageList
//	GET    /apis/hull.internal/v1alpha1/images/{ref...}                 v1alpha1.Image by name, digest or ID
//	DELETE /apis/hull.internal/v1alpha1/images/{ref...}                 the name is taken off; answers what it was
//	POST   /apis/hull.internal/v1alpha1/pull                            v1alpha1.PullRequest → lines of v1alpha1.PullEvent
//	POST   /apis/hull.internal/v1alpha1/load                            the body is an OCI or docker archive → ImageList
//	GET    /apis/hull.internal/v1alpha1/namespaces/{namespace}/sandboxes/{pod}
//	                                                                    v1alpha1.Sandbox; birth=true: with listings
//	GET    /apis/hull.internal/v1alpha1/info                            v1alpha1.Info
//	POST   /apis/hull.internal/v1alpha1/check                           v1alpha1.CheckReport; repair=true
//	POST   /apis/hull.internal/v1alpha1/stop                            409 while Pods have not ended; deletePods=true, endPods=true&within=80s
//
// # Forms
//
// Objects come as JSON or YAML; with Accept: application/json;as=Table;v=v1;g=meta.k8s.io as a table, with as=
// PartialObjectMetadata as metadata alone. A body of application/vnd.hull.apply+yaml is a manifest that is applied, as kubectl
// apply does it: POST remembers it in an annotation, PATCH merges it with that and with what there is. A watch is a line of
// JSON for each event. An error is a metav1.Status whose code and reason come from one table, in errors.go.
//
// # Strictness
//
// Unknown and duplicate fields are errors with their path unless the client asks for fieldValidation=Warn or Ignore. Fields
// that Kubernetes knows and Hull does not act on are errors too (package supported).
package api
