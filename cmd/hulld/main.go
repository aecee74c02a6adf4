// Command hulld is Hull's daemon. hull-keeper runs it, and runs it again when it dies.
package main

import (
	"os"

	"github.com/hull-pods/hull/internal/daemon"
)

var version = "dev"

func main() {
	os.Exit(daemon.Main(os.Args[1:], version, os.Stdout, os.Stderr))
}
