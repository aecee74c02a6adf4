// Command hull is the command line of Hull.
package main

import (
	"os"

	"github.com/hull-pods/hull/internal/cli"
)

var version = "dev"

func main() {
	os.Exit(cli.Main(os.Args[1:], version, os.Stdin, os.Stdout, os.Stderr))
}
