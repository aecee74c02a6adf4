// Package starter makes a container's processes from an OCI runtime spec and descriptors.
//
// The native starter compiles the spec into a birth program, a list of system calls (package compile: pure, its listings are
// golden files), clones hull-init, sends it the program with the descriptors that it needs, and waits for the execve. The
// other starter (package program) runs an OCI program such as runc from the same spec. Both pass one contract suite, which
// is in package startertest.
package starter
