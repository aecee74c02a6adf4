// Package compile turns an OCI runtime spec into a birth program: the list of system calls by which a process becomes what the
// spec says.
//
// It is pure: the same spec and [Facts] give the same program, whose listing is a golden file in testdata. What a program
// needs from outside it names as descriptors, which the starter opens and sends along.
package compile
