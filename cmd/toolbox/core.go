package main

import (
	"errors"
	"flag"
	"os/exec"

	"github.com/u-root/u-root/pkg/core"
	"github.com/u-root/u-root/pkg/core/base64"
	"github.com/u-root/u-root/pkg/core/cat"
	"github.com/u-root/u-root/pkg/core/chmod"
	"github.com/u-root/u-root/pkg/core/cp"
	"github.com/u-root/u-root/pkg/core/mkdir"
	"github.com/u-root/u-root/pkg/core/mktemp"
	"github.com/u-root/u-root/pkg/core/mv"
	"github.com/u-root/u-root/pkg/core/rm"
	"github.com/u-root/u-root/pkg/core/shasum"
	"github.com/u-root/u-root/pkg/core/touch"
	utilxargs "github.com/u-root/u-root/pkg/core/xargs"

	"github.com/hull-pods/hull/cmd/toolbox/call"
)

// coreutils are the commands that u-root brings.
var coreutils = []string{
	"base64", "cat", "chmod", "cp", "mkdir", "mktemp", "mv", "rm", "sha1sum", "sha256sum", "sha512sum", "shasum", "touch",
}

// coreutil makes an applet of a command of u-root's.
func coreutil(name string) (call.Applet, bool) {
	var cmd func() core.Command
	var first []string
	switch name {
	case "base64":
		cmd = base64.New
	case "cat":
		cmd = cat.New
	case "chmod":
		cmd = chmod.New
	case "cp":
		cmd = cp.New
	case "mkdir":
		cmd = mkdir.New
	case "mktemp":
		cmd = mktemp.New
	case "mv":
		cmd = mv.New
	case "rm":
		cmd = rm.New
	case "shasum":
		cmd = shasum.New
	case "sha1sum":
		cmd, first = shasum.New, []string{"-a", "1"}
	case "sha256sum":
		cmd, first = shasum.New, []string{"-a", "256"}
	case "sha512sum":
		cmd, first = shasum.New, []string{"-a", "512"}
	case "touch":
		cmd = touch.New
	default:
		return call.Applet{}, false
	}
	return call.Applet{Run: func(c *call.Call) int { return runCore(c, cmd(), append(first, c.Args...)) }, Inside: true}, true
}

func runCore(c *call.Call, cmd core.Command, args []string) int {
	cmd.SetIO(c.In, c.Out, c.Err)
	if c.Dir != "" {
		cmd.SetWorkingDir(c.Dir)
	}
	cmd.SetLookupEnv(c.Env)
	err := cmd.RunContext(c.Context, args...)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		return 2
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return c.Fail(err)
}

func xargs(c *call.Call) int { return runCore(c, utilxargs.New(), c.Args) }
