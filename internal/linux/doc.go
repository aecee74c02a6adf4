// Package linux is the kernel's calls, typed, and honest probes of what this kernel can do.
//
// It adds to golang.org/x/sys/unix what is missing there, what wants a safer shape (descriptors as *os.File, mounts as
// detached trees), and what Hull wants to say about a failure. It decides nothing.
package linux
