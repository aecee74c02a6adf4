package linux

// Syscalls lists every call that has a name here.
func Syscalls() []Syscall {
	all := make([]Syscall, 0, len(syscalls)-1)
	for s := 1; s < len(syscalls); s++ {
		all = append(all, Syscall(s))
	}
	return all
}
