// Package runtime keeps sandboxes and containers by ID: create, start, stop, remove, exec, list, recover.
//
// It knows no Pod and no Kubernetes: its words are those of CRI, its values are plain. It owns the records under the
// state directory and everything in the kernel that carries the instance and one of its IDs; the packages below it make
// those things, and it decides in which order, and takes them back.
//
// [Runtime] is addressed by ID. What is there is a sandbox or a container, in the registry; what is done with one is an attempt, with
// a type and a file of its own: sandboxMaking, containerMaking, containerStart, containerRemoval, execution, and, when hulld starts,
// recovery with sandboxAdoption and containerAdoption.
package runtime
