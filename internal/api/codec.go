package api

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	jsonserializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/hull-pods/hull/internal/api/doubles"
	"github.com/hull-pods/hull/internal/api/v1alpha1"
	"github.com/hull-pods/hull/internal/store"
)

// maxBody is how much of a request is read, as in Kubernetes.
const maxBody = 3 << 20

const (
	typeJSON = "application/json"
	typeYAML = "application/yaml"
)

// decoders read objects from bytes, by how strict they are.
type decoders struct {
	scheme          *runtime.Scheme
	strict, lenient runtime.Decoder
}

func newDecoders(scheme *runtime.Scheme) decoders {
	make := func(strict bool) runtime.Decoder {
		return jsonserializer.NewSerializerWithOptions(jsonserializer.DefaultMetaFactory, scheme, scheme, jsonserializer.SerializerOptions{Strict: strict})
	}
	return decoders{scheme: scheme, strict: make(true), lenient: make(false)}
}

// read decodes JSON or YAML. Where it is strict, fields that nobody knows, and those that are there twice, are a strict decoding error.
func (d decoders) read(data []byte, mediaType string, strict bool, kind *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	decoder := d.lenient
	if strict {
		decoder = d.strict
	}
	if mediaType != typeYAML {
		return decoder.Decode(data, kind, into)
	}
	text, err := yaml.YAMLToJSON(data)
	if err != nil {
		return nil, nil, err
	}
	obj, got, err := decoder.Decode(text, kind, into)
	also, strictly := runtime.AsStrictDecodingError(err)
	if !strict || err != nil && !strictly {
		return obj, got, err
	}
	twice := doubles.In(data)
	if strictly {
		twice = append(twice, also.Errors()...)
	}
	if len(twice) > 0 {
		err = runtime.NewStrictDecodingError(twice)
	}
	return obj, got, err
}

// mediaTypeOf is the format of a request's body; without a word about it, JSON.
func mediaTypeOf(r *http.Request) (string, error) {
	header := r.Header.Get("Content-Type")
	if header == "" {
		return typeJSON, nil
	}
	mt, _, err := mime.ParseMediaType(header)
	if err != nil || (mt != typeJSON && mt != typeYAML && mt != v1alpha1.Manifest) {
		return "", unsupportedMediaType(typeJSON, typeYAML)
	}
	return mt, nil
}

// unsupportedMediaType is the answer to a body in a format that is not among those that are read.
func unsupportedMediaType(accepted ...string) error {
	return apierrors.FromObject(&metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusUnsupportedMediaType, Reason: metav1.StatusReasonUnsupportedMediaType,
		Message: "the body of the request was in an unknown format - accepted media types include: " + strings.Join(accepted, ", "),
	})
}

// readBody reads a request's body up to the limit.
func readBody(r *http.Request) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, badRequest("read the request's body: " + err.Error())
	}
	if len(data) > maxBody {
		return nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("limit is %d", maxBody))
	}
	return data, nil
}

// decode reads an object of a known kind and sets its defaults. validation is the request's fieldValidation: unknown and
// duplicate fields are errors unless it is Warn or Ignore.
func (d decoders) decode(data []byte, mediaType, validation string, kind schema.GroupVersionKind, into store.Object) (warnings []string, err error) {
	obj, got, err := d.read(data, mediaType, validation != metav1.FieldValidationIgnore, &kind, into)
	if strict, ok := runtime.AsStrictDecodingError(err); ok && obj != nil && validation == metav1.FieldValidationWarn {
		for _, e := range strict.Errors() {
			warnings = append(warnings, e.Error())
		}
		err = nil
	}
	if err != nil {
		return nil, decodeError(err, kind, got, data)
	}
	if got.GroupVersion() != kind.GroupVersion() {
		return nil, badRequest(fmt.Sprintf("the API version in the data (%s) does not match the expected API version (%s)", got.GroupVersion(), kind.GroupVersion()))
	}
	if obj != into {
		return nil, badRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s", got.Kind, got.Version, kind.Kind))
	}
	d.scheme.Default(into)
	return warnings, nil
}

// decodeError says what cannot be read, in the API server's words.
func decodeError(err error, want schema.GroupVersionKind, got *schema.GroupVersionKind, data []byte) error {
	if got != nil && got.Kind != "" {
		return badRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: %v", got.Kind, got.Version, want.Kind, err))
	}
	return badRequest(fmt.Sprintf("the object provided is unrecognized (must be of type %s): %v (%s)", want.Kind, err, summary(data)))
}

// unmarshalStrict reads one of Hull's own requests, by the rules of objects: what is not known, or said twice, is an error.
func unmarshalStrict(data []byte, into any) error {
	strict, err := kjson.UnmarshalStrict(data, into)
	return errors.Join(append(strict, err)...)
}

// summary is the beginning of a body, for an error.
func summary(data []byte) string {
	const most = 30
	if len(data) == 0 {
		return "<empty>"
	}
	cut, more := data, ""
	if len(data) > most {
		cut, more = data[:most], " ..."
	}
	if data[0] == '{' {
		return string(cut) + more
	}
	return hex.EncodeToString(cut) + more
}

// accept is one entry of an Accept header: a format, and what the object shall be turned into.
type accept struct {
	mediaType string
	as        string // "", "Table", "PartialObjectMetadata" or "PartialObjectMetadataList"
	version   string // of as: v1 or v1beta1
}

// negotiate picks the first entry of the Accept header that can be done.
func negotiate(r *http.Request) (accept, error) {
	header := r.Header.Get("Accept")
	if header == "" {
		return accept{mediaType: typeJSON}, nil
	}
	for entry := range strings.SplitSeq(header, ",") {
		mt, params, err := mime.ParseMediaType(strings.TrimSpace(entry))
		if err != nil {
			continue
		}
		a := accept{mediaType: mt, as: params["as"], version: params["v"]}
		switch mt {
		case "*/*", "application/*":
			a.mediaType = typeJSON
		case typeJSON, typeYAML:
		default:
			continue
		}
		if a.as == "" || (params["g"] == metav1.GroupName && slices.Contains([]string{"v1", "v1beta1"}, a.version) &&
			slices.Contains([]string{"Table", "PartialObjectMetadata", "PartialObjectMetadataList"}, a.as)) {
			return a, nil
		}
	}
	return accept{}, notAcceptable(typeJSON, typeYAML)
}

// notAcceptable is the answer to a wish for a format that is not among those that are written.
func notAcceptable(written ...string) error {
	return apierrors.FromObject(&metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotAcceptable, Reason: metav1.StatusReasonNotAcceptable,
		Message: "only the following media types are accepted: " + strings.Join(written, ", "),
	})
}

// write sends a value in the format that was asked for, JSON if that cannot be told.
func (s *Server) write(w http.ResponseWriter, r *http.Request, code int, v any) {
	a, err := negotiate(r)
	if err != nil {
		a.mediaType = typeJSON
	}
	body, err := encode(v, a.mediaType, r.URL.Query().Get("pretty") == "true")
	if err != nil {
		s.cfg.Log.Error("an answer cannot be encoded", "path", r.URL.Path, "error", err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", a.mediaType)
	w.WriteHeader(code)
	// The client has gone if this fails; there is nobody to tell.
	_, _ = w.Write(body)
}

func encode(v any, mediaType string, pretty bool) ([]byte, error) {
	if mediaType == typeYAML {
		return yaml.Marshal(v)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	if pretty {
		enc.SetIndent("", "  ")
	}
	if err := enc.Encode(v); err != nil {
		return nil, errors.Join(errors.New("encode the answer"), err)
	}
	return buf.Bytes(), nil
}

// warn adds warnings to an answer that has not begun.
func warn(w http.ResponseWriter, warnings []string) {
	for _, text := range warnings {
		w.Header().Add("Warning", fmt.Sprintf("299 - %q", text))
	}
}
