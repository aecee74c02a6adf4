// Command toolbox is the program of Hull's built-in image: a shell and the everyday commands in one static binary, which
// looks at the name by which it is called.
//
// It is meant to be process 1 of a container. The kernel ignores signals to process 1 that it does not handle, so sleep,
// sh and the servers handle SIGTERM: a container of theirs ends at once when it is asked to.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hull-pods/hull/cmd/toolbox/call"
)

func main() {
	name := filepath.Base(os.Args[0])
	args := os.Args[1:]
	early := call.DieEarly() // before anything that takes time
	// The commands that are nothing but their start come before everything.
	switch name {
	case "true":
		return
	case "false":
		os.Exit(1)
	}
	if name == "toolbox" {
		if len(args) == 0 || args[0] == "--help" {
			fmt.Println(strings.Join(names(), "\n"))
			return
		}
		name, args = args[0], args[1:]
	}
	os.Exit(run(name, args, early))
}

func run(name string, args []string, early *call.Early) int {
	a, ok := lookApplet(strings.TrimPrefix(name, "-"))
	if !ok {
		fmt.Fprintf(os.Stderr, "toolbox: %s: no such command\n", name)
		return 127
	}
	c := &call.Call{Context: context.Background(), Name: name, Args: args, In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.LookupEnv, Early: early}
	return a.Run(c)
}
