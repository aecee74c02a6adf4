// Package openapi describes the objects to clients that check and merge them themselves.
//
// An old kubectl refuses to create what it has no description of, and merges lists by what the description says of their
// keys. A new one asks the server to check, which the description by OpenAPI version 3 allows it to. Everything here is read
// off the Go types: the names and types of the fields from their JSON tags, how lists merge from their patch tags.
package openapi

import (
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"strings"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Kind is one kind of object to describe, by an empty value of its Go type.
type Kind struct {
	schema.GroupVersionKind
	Value   any
	Path    string // of all of them
	Written bool   // by clients
}

// Asked is the media type by which kubectl asks for the document, and Answered the one of the answer: a client reads that
// one, and the other is none by the rules.
const (
	Asked    = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
	Answered = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
)

type object = map[string]any

// JSON is the description of some kinds as a document of OpenAPI version 2.
func JSON(version string, kinds ...Kind) ([]byte, error) {
	d, paths := document{object{}, "#/definitions/", false}, object{}
	for _, k := range kinds {
		gvk := d.kind(k)
		if k.Written {
			// By this kubectl knows that the server can try a request without doing it.
			paths[k.Path+"/{name}"] = object{"patch": object{
				"x-kubernetes-group-version-kind": gvk, "responses": object{"200": object{"description": "OK"}},
				"parameters": []object{{"name": "dryRun", "in": "query", "type": "string"}},
			}}
		}
	}
	b, err := json.Marshal(object{
		"swagger": "2.0", "info": object{"title": "Hull", "version": version}, "paths": paths, "definitions": d.definitions,
	})
	if err != nil {
		return nil, fmt.Errorf("describe the objects: %w", err)
	}
	return b, nil
}

// Protobuf is the same document in the form of [Answered].
func Protobuf(document []byte) ([]byte, error) {
	doc, err := openapi_v2.ParseDocument(document)
	if err != nil {
		return nil, fmt.Errorf("describe the objects: %w", err)
	}
	return proto.Marshal(doc)
}

// Document is the description of some kinds by OpenAPI version 3. By the parameter it tells kubectl that the server itself
// refuses unknown fields, so that it need not check them; by the schemas, what kubectl explain shows.
func Document(version string, kinds ...Kind) map[string]any {
	d, paths := document{object{}, "#/components/schemas/", true}, object{}
	for _, k := range kinds {
		d.kind(k)
		op := func(action string) object {
			return object{
				"x-kubernetes-action":             action,
				"x-kubernetes-group-version-kind": object{"group": k.Group, "version": k.Version, "kind": k.Kind},
				"parameters":                      []object{{"name": "fieldValidation", "in": "query", "schema": object{"type": "string", "uniqueItems": true}}},
				"responses":                       object{"200": object{"description": "OK"}},
			}
		}
		paths[k.Path] = object{"get": op("list")}
		if k.Written {
			paths[k.Path] = object{"get": op("list"), "post": op("post")}
			paths[k.Path+"/{name}"] = object{"put": op("put"), "patch": op("patch")}
		}
	}
	return object{
		"openapi": "3.0.0", "info": object{"title": "Hull", "version": version}, "paths": paths, "components": object{"schemas": d.definitions},
	}
}

type document struct {
	definitions object
	place       string // of the definitions
	explained   bool   // with descriptions
}

// kind adds the definition of a kind of objects, and returns what the kind is called.
func (d *document) kind(k Kind) object {
	t := reflect.Indirect(reflect.ValueOf(k.Value)).Type()
	d.define(t)
	gvk := object{"group": k.Group, "version": k.Version, "kind": k.Kind}
	d.definitions[name(t)].(object)["x-kubernetes-group-version-kind"] = []object{gvk}
	return gvk
}

// define adds the definition of a struct, and of those that it is made of.
func (d *document) define(t reflect.Type) {
	if _, done := d.definitions[name(t)]; done {
		return
	}
	def := object{"type": "object"}
	d.definitions[name(t)] = def // before its fields: types may contain themselves
	properties := object{}
	if required := d.fields(t, properties); d.explained && len(required) > 0 {
		def["required"] = required
	}
	if text := words(t)[""]; d.explained && text != "" {
		def["description"] = text
	}
	if len(properties) > 0 {
		def["properties"] = properties
	}
}

// words are those that Kubernetes' documentation has for a type, and for its fields.
func words(t reflect.Type) map[string]string {
	if doc, ok := reflect.New(t).Interface().(interface{ SwaggerDoc() map[string]string }); ok {
		return doc.SwaggerDoc()
	}
	return nil
}

// fields adds the fields of a struct, and of those that it embeds, and returns those that every object has.
func (d *document) fields(t reflect.Type, properties object) (required []string) {
	words := words(t)
	for i := range t.NumField() {
		f := t.Field(i)
		field, how, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case field == "-":
		case field == "" && f.Anonymous:
			required = append(required, d.fields(f.Type, properties)...)
		case field != "":
			s := d.schema(f.Type)
			for tag, extension := range map[string]string{"patchStrategy": "x-kubernetes-patch-strategy", "patchMergeKey": "x-kubernetes-patch-merge-key"} {
				if value := f.Tag.Get(tag); value != "" {
					s[extension] = value
				}
			}
			if text := words[field]; d.explained && text != "" {
				if s["$ref"] != nil {
					s = object{"allOf": []object{s}} // nothing may stand beside a reference
				}
				s["description"] = text
			}
			if !strings.Contains(how, "omit") {
				required = append(required, field)
			}
			properties[field] = s
		}
	}
	return required
}

// schema is what a value of a type looks like in JSON.
func (d *document) schema(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[metav1.Time](), reflect.TypeFor[metav1.MicroTime]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[resource.Quantity]():
		return object{"type": "string"}
	case reflect.TypeFor[intstr.IntOrString]():
		return object{"type": "string", "format": "int-or-string"}
	case reflect.TypeFor[metav1.FieldsV1]():
		return object{"type": "object"}
	case reflect.TypeFor[[]byte]():
		return object{"type": "string", "format": "byte"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.schema(t.Elem())
	case reflect.Struct:
		d.define(t)
		return object{"$ref": d.place + name(t)}
	case reflect.Slice:
		return object{"type": "array", "items": d.schema(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": d.schema(t.Elem())}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int32:
		return object{"type": "integer", "format": "int32"}
	case reflect.Int64:
		return object{"type": "integer", "format": "int64"}
	}
	return object{"type": "string"}
}

// name is what Kubernetes calls a type: io.k8s.api.core.v1.Pod.
func name(t reflect.Type) string {
	return "io." + strings.ReplaceAll(strings.Replace(path.Clean(t.PkgPath()), "k8s.io", "k8s", 1), "/", ".") + "." + t.Name()
}
