// Command hull is the command line of Hull.
package main

import (
	"os"
	"runtime"

	"github.com/hull-pods/hull/internal/cli"
)

var version = "dev"

func main() {
	// A command waits for hulld, and does little else. With more processors its threads wake each other up for nothing, and take
	// processors from the Pod that is being started.
	runtime.GOMAXPROCS(1)
	os.Exit(cli.Main(os.Args[1:], version, os.Stdin, os.Stdout, os.Stderr))
}
