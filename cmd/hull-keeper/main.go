// Hull-keeper is the parent of Hull's daemon and containers: see package keeper.
package main

import (
	"os"

	"github.com/hull-pods/hull/internal/keeper"
)

func main() {
	os.Exit(keeper.Main(os.Args[1:], os.Stdout, os.Stderr))
}
