// Package supported refuses what a Pod asks for and Hull does not do.
//
// A field that is accepted and then ignored is a lie that shows up at night. So, after defaulting, one walk goes over the
// whole of the Go type, and every leaf that is set must be in the table of fields.go: by its path, and where only some
// values are acted on, with one of those. Whatever is not in the table is refused by name, at the highest point below which
// nothing is supported: a probe is one error and not ten. A field that a later Kubernetes adds is refused until somebody
// adds it to the table, because the walk starts from the type.
package supported
