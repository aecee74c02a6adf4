package daemon

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/hull-pods/hull/internal/failpoint"
	"github.com/hull-pods/hull/internal/keeper"
)

// Defaults of the two directories that say which Hull of a machine this is.
const (
	DefaultRoot  = "/var/lib/hull"
	DefaultState = keeper.DefaultState
)

// config is hulld's command line.
type config struct {
	root, state    string
	logs           string // of Pods
	registryConfig string
	nodeName       string
	pullStall      time.Duration
	podMaxPIDs     int64
	logMaxSize     int64
	logMaxFiles    int
	ipv4, ipv6     netip.Prefix
	level          slog.Level
	failpoints     string
	runtimes       map[string]string // OCI programs by the names that Pods' runtimeClassName has for them
	version        string
}

const usage = `hulld runs Pods. hull starts it by itself, as a child of hull-keeper.

`

func parse(args []string, version string, stdout, stderr io.Writer) (*config, error) {
	c := &config{version: version, runtimes: map[string]string{}}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find this host's name: %w", err)
	}
	flags := flag.NewFlagSet("hulld", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // an error is told where all are
	flags.StringVar(&c.root, "root", DefaultRoot, "directory of objects, images and volumes")
	flags.StringVar(&c.state, "state", DefaultState, "directory of sockets and running Pods' state")
	flags.StringVar(&c.registryConfig, "registry-config", "/etc/hull/certs.d", "directory of hosts.toml files, as containerd's")
	flags.DurationVar(&c.pullStall, "image-pull-progress-timeout", 30*time.Second, "how long a registry may send nothing before a pull fails")
	flags.StringVar(&c.nodeName, "node-name", strings.ToLower(host), "name of this node in Pods' spec.nodeName")
	flags.Int64Var(&c.podMaxPIDs, "pod-max-pids", -1, "most processes a Pod may have; -1 is no limit")
	flags.Int64Var(&c.logMaxSize, "container-log-max-size", 10<<20, "bytes after which a container's log is rotated")
	flags.IntVar(&c.logMaxFiles, "container-log-max-files", 5, "files that are kept of a container's log")
	flags.TextVar(&prefix{&c.ipv4}, "pod-cidr", prefix{&c.ipv4}, "IPv4 pool of Pods (default: 10.88.0.0/16, or the next one that is free)")
	flags.TextVar(&prefix{&c.ipv6}, "pod-cidr-v6", prefix{&c.ipv6}, "IPv6 pool of Pods (default: a unique local /64)")
	flags.Func("runtime", "`NAME=PROGRAM`: an OCI runtime, such as runc=/usr/sbin/runc, for Pods with that runtimeClassName (may repeat)", c.addRuntime)
	flags.TextVar(&c.level, "log-level", slog.LevelInfo, "debug, info, warn or error")
	flags.StringVar(&c.failpoints, "failpoints", os.Getenv("HULL_FAILPOINTS"), "for tests: where to fail or die, NAME=error|kill[@N];...")
	list := flags.Bool("list-failpoints", false, "for tests: print the names of all failpoints")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		_, _ = fmt.Fprint(stderr, usage)
		flags.SetOutput(stderr)
		flags.PrintDefaults()
		return nil, err
	case err != nil:
		return nil, err
	}
	if *list {
		_, err := fmt.Fprintln(stdout, strings.Join(failpoint.All(), "\n"))
		return nil, errors.Join(flag.ErrHelp, err)
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	for _, dir := range []*string{&c.root, &c.state} {
		if *dir, err = filepath.Abs(*dir); err != nil {
			return nil, err
		}
	}
	c.logs = "/var/log/pods"
	if c.root != DefaultRoot {
		c.logs = filepath.Join(c.root, "log", "pods")
	}
	return c, nil
}

func (c *config) addRuntime(text string) error {
	name, program, ok := strings.Cut(text, "=")
	if problems := validation.IsDNS1123Subdomain(name); !ok || len(problems) != 0 {
		return fmt.Errorf("want NAME=PROGRAM: %s", cmp.Or(strings.Join(problems, ", "), "there is no ="))
	}
	if c.runtimes[name] != "" {
		return fmt.Errorf("%s is given twice", name)
	}
	if !filepath.IsAbs(program) {
		return fmt.Errorf("%q: the program's path is not absolute", program)
	}
	c.runtimes[name] = program
	return nil
}

// instance names this Hull in everything that it makes in the kernel.
func (c *config) instance() string { return instanceOf(c.root, c.state) }

func instanceOf(root, state string) string {
	sum := sha256.Sum256([]byte(root + "\x00" + state))
	return hex.EncodeToString(sum[:4])
}

// prefix is a netip.Prefix as a flag that may be empty.
type prefix struct{ to *netip.Prefix }

func (p prefix) MarshalText() ([]byte, error) { return p.to.MarshalText() }

func (p *prefix) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*p.to = netip.Prefix{}
		return nil
	}
	return p.to.UnmarshalText(text)
}
