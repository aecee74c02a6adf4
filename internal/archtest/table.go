// Package archtest holds which package may import which, as data, and how large a thing may be, and fails the build on what is not so.
package archtest

import (
	"path"
	"slices"
	"strings"
)

// everybody may import these.
var everybody = []string{"undo", "failpoint"}

// below are the packages under the line: nobody there knows Kubernetes.
var below = []string{
	"runtime", "network", "image", "oci", "seccomp", "cgroup", "starter", "birth", "keeper", "logs", "fdconn", "linux", "assets",
}

// command is what each command of the CLI may import. Commands do not know each other, but for those that say so below.
var command = []string{"client", "ui", "api/v1alpha1", "cli/complete", "cli/console", "cli/env", "cli/hulld", "cli/manifest", "cli/pod"}

// table says for each package which others it may import. A subpackage that has no row belongs to its parent: internal/pod/plan
// is pod. One with a row is for those alone whose rows name it.
var table = map[string][]string{
	"cmd/hull":        {"cli"},
	"cmd/hulld":       {"daemon"},
	"cmd/hull-keeper": {"keeper"},
	"cmd/toolbox":     {},

	// The root of the commands, and what they share.
	"cli": append([]string{
		"cli/apply", "cli/describe", "cli/exec", "cli/follow", "cli/get", "cli/image", "cli/inspect", "cli/logs", "cli/remove", "cli/system",
	}, command...),
	"cli/console":  {"ui"},
	"cli/hulld":    {"client", "api/v1alpha1"},
	"cli/pod":      {"client"},
	"cli/manifest": {},
	"cli/env":      {"cli/console", "cli/hulld", "cli/pod"},
	"cli/complete": {"client", "api/v1alpha1", "cli/env", "cli/hulld", "cli/pod"},
	// A package for each command.
	"cli/apply":    command,
	"cli/describe": command,
	"cli/exec":     command,
	"cli/follow":   append([]string{"cli/apply", "cli/image"}, command...), // hull run applies, and shows pulls
	"cli/get":      command,
	"cli/image":    command,
	"cli/inspect":  command,
	"cli/logs":     command,
	"cli/remove":   command,
	"cli/system":   command,

	"client": {},
	"ui":     {},

	"daemon": append([]string{"boltfile", "runtime/record", "api", "api/v1alpha1", "cri", "pod", "volume", "store"}, below...),
	"api":    {"store", "runtime", "image", "pod", "api/v1alpha1"},
	// What Hull's own verbs say on the wire: plain values, for server and client.
	"api/v1alpha1": {},
	"cri":          {"runtime", "image"},
	"pod":          {"store", "volume", "runtime", "image"},
	"volume":       {"store", "image", "linux"},
	"store":        {"boltfile"},
	"boltfile":     {},
	"runtime": {
		"network", "image", "oci", "starter", "cgroup", "logs", "keeper", "linux", "runtime/record", "runtime/spec", "runtime/rootfs",
		"runtime/namefiles", "runtime/process", "runtime/streams", "runtime/leftover", "runtime/outbox", "runtime/fate", "runtime/grip", "runtime/shm", "runtime/stopwatch", "runtime/stdio", "runtime/exits", "runtime/making",
	},
	"runtime/record":    {"network", "oci", "starter", "runtime/process"},
	"runtime/spec":      {"oci", "image", "cgroup", "runtime/record", "runtime/process", "runtime/namefiles"},
	"runtime/namefiles": {"network", "oci", "runtime/record"},
	"runtime/rootfs":    {"linux"},
	"runtime/leftover":  {"network", "cgroup", "linux", "runtime/record", "runtime/shm"},
	"runtime/outbox":    {},
	"runtime/fate":      {"keeper", "linux", "runtime/record"},
	"runtime/grip":      {"linux", "logs", "runtime/streams", "runtime/record"},
	"runtime/shm":       {"linux"},
	"runtime/stopwatch": {},
	"runtime/making":    {},
	"runtime/exits":     {"keeper"},
	"runtime/stdio":     {"logs", "runtime/record", "runtime/streams"},
	"runtime/process":   {"image", "linux"},
	"runtime/streams":   {},

	"network": {"linux"},
	"image":   {"boltfile", "linux"},
	"oci":     {},
	"seccomp": {"oci"},
	"cgroup":  {"linux"},
	"starter": {"birth", "fdconn", "linux", "oci", "keeper", "seccomp", "assets"},
	"birth":   {"linux"},
	"keeper":  {"fdconn", "linux"},
	"logs":    {"linux"},
	"fdconn":  {"linux"},
	"linux":   {},
	"assets":  {},

	"undo":      {"failpoint"},
	"failpoint": {},
	"archtest":  {},
	"hulltest":  append([]string{"keeper", "client"}, below...), // tests alone import it
	"bench":     append([]string{"client", "runtime/record"}, below...),
}

// owner is the package of the table that a directory belongs to, which is the nearest one above it that has a row:
// "internal/pod/plan" is "pod", "internal/runtime/record" and "cmd/hulld" are themselves.
func owner(dir string) string {
	name := strings.TrimPrefix(dir, "internal/")
	for ; ; name = path.Dir(name) {
		if _, known := table[name]; known || !strings.Contains(name, "/") {
			return name
		}
	}
}

// door is a foreign vocabulary and the packages that speak it.
type door struct {
	prefixes []string
	except   []string // within the prefixes, but everybody's
	may      []string
}

// opens tells whether a package of the table, or one that belongs to it, may go through.
func (d door) opens(pkg string) bool {
	for ; pkg != "."; pkg = path.Dir(pkg) {
		if slices.Contains(d.may, pkg) {
			return true
		}
	}
	return false
}

func (d door) covers(imp string) bool {
	has := func(list []string) bool {
		for _, p := range list {
			if imp == p || strings.HasPrefix(imp, p+"/") {
				return true
			}
		}
		return false
	}
	return has(d.prefixes) && !has(d.except)
}

var doors = []door{
	{prefixes: []string{"k8s.io"}, except: []string{"k8s.io/client-go/util/jsonpath", "k8s.io/cri-api", "k8s.io/cri-streaming", "k8s.io/streaming"},
		may: []string{"api", "cri", "pod", "volume", "store", "daemon"}},
	{prefixes: []string{"k8s.io/client-go/util/jsonpath"}, may: []string{"cli", "ui", "api"}},
	{prefixes: []string{"k8s.io/cri-streaming", "k8s.io/streaming"}, may: []string{"api", "cri"}},
	{prefixes: []string{"k8s.io/cri-api"}, may: []string{"cri"}},
	{prefixes: []string{"go.etcd.io/bbolt"}, may: []string{"store", "image", "boltfile"}},
	{prefixes: []string{"github.com/vishvananda", "github.com/google/nftables", "github.com/containernetworking"}, may: []string{"network"}},
	{prefixes: []string{"github.com/containerd/containerd"}, except: []string{"github.com/containerd/containerd/v2/contrib/seccomp"}, may: []string{"image"}},
	{prefixes: []string{"github.com/containerd/containerd/v2/contrib/seccomp", "github.com/opencontainers/runtime-spec"}, may: []string{"oci"}},
	{prefixes: []string{"github.com/elastic/go-seccomp-bpf"}, may: []string{"seccomp"}},
	{prefixes: []string{"github.com/opencontainers/cgroups"}, may: []string{"cgroup"}},
	{prefixes: []string{"github.com/google/go-containerregistry"}, may: []string{"hulltest"}},
	{prefixes: []string{"github.com/spf13/cobra", "github.com/spf13/pflag"}, may: []string{"cli"}},
	{prefixes: []string{"mvdan.cc/sh", "github.com/u-root"}, may: []string{"cmd/toolbox"}},
	// Plain constants and calls of the kernel; what is missing there, or needs unsafe, is in linux.
	{prefixes: []string{"golang.org/x/sys/unix"}, may: append([]string{"volume", "daemon", "cli", "hulltest", "cmd/toolbox", "bench"}, below...)},
}
