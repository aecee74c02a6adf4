package starter_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter"
)

// hookScript is a hook on the host that notes when it runs, what state it was given and what it sees.
func hookScript(t testing.TB, dir, name, extra string) oci.Hook {
	t.Helper()
	path := filepath.Join(dir, name)
	script := "#!/bin/sh\n{ echo \"== " + name + " $1 $HOOK\"; cat; echo; " + extra + "; } >>" + filepath.Join(dir, "log") + " 2>&1\n"
	must(t, os.WriteFile(path, []byte(script), 0o755))
	return oci.Hook{Path: path, Args: []string{name, "arg"}, Env: []string{"HOOK=" + name, "PATH=/usr/bin:/bin"}}
}

func TestHooks(t *testing.T) {
	n := newNative(t)
	dir, bundle, lower := t.TempDir(), t.TempDir(), busyboxRoot(t)
	must(t, os.WriteFile(filepath.Join(lower, "bin/hook"), []byte("#!/bin/sh\ncat >/tmp/state; echo \"$0 $1\" >>/tmp/state; hostname >>/tmp/state\n"), 0o755))
	hooks := &oci.Hooks{
		CreateRuntime:   []oci.Hook{hookScript(t, dir, "createRuntime", "hostname")},
		CreateContainer: []oci.Hook{hookScript(t, dir, "createContainer", "test -d "+bundle+"/rootfs/proc/self && echo mounted")},
		StartContainer:  []oci.Hook{{Path: "/bin/hook", Args: []string{"hook", "inside"}}},
		Poststart:       []oci.Hook{hookScript(t, dir, "poststart", "true")},
		Poststop:        []oci.Hook{hookScript(t, dir, "poststop", "true")},
	}
	s := spec(t, oci.Config{Args: []string{"cat", "/tmp/state"}, Hostname: "hooked", Hooks: hooks})
	o, err := run(t, n, starter.Request{Key: "c1", Spec: s, Rootfs: rootfs(t, lower), Bundle: bundle})
	must(t, err)
	// By another than the one that started it, and once.
	other := newNative(t)
	must(t, other.Delete(t.Context(), "c1", bundle))
	must(t, n.Delete(t.Context(), "c1", bundle))
	if !strings.Contains(o.Out, `"id":"c1","status":"created"`) || !strings.HasSuffix(o.Out, "/bin/hook inside\nhooked\n") {
		t.Errorf("startContainer hook: %q", o.Out)
	}
	// Who runs in the container's namespaces is told the PID that the process has there.
	log, err := os.ReadFile(filepath.Join(dir, "log"))
	must(t, err)
	if !strings.Contains(o.Out, `"pid":1,`) || strings.Count(string(log), `"pid":1,`) != 1 {
		t.Errorf("PIDs of startContainer %q, of the others:\n%s", o.Out, log)
	}
	at := 0
	for _, want := range []string{
		"== createRuntime arg createRuntime\n", `"status":"creating"`, "== createContainer arg createContainer\n", "mounted",
		"== poststart arg poststart\n", `"status":"running"`, "== poststop arg poststop\n", `"status":"stopped"`,
	} {
		i := strings.Index(string(log[at:]), want)
		if i < 0 {
			t.Fatalf("lacks %q after byte %d:\n%s", want, at, log)
		}
		at += i
	}
	if strings.Count(string(log), "== poststop") != 1 {
		t.Errorf("poststop ran more than once:\n%s", log)
	}
}

func TestHookFails(t *testing.T) {
	n := newNative(t)
	lower := busyboxRoot(t)
	one := 1
	for name, hooks := range map[string]*oci.Hooks{
		"createRuntime":   {CreateRuntime: []oci.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "echo broken >&2; exit 3"}}}},
		"createContainer": {CreateContainer: []oci.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "echo broken >&2; exit 3"}}}},
		"startContainer":  {StartContainer: []oci.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "echo broken >&2; exit 3"}}}},
		"not there":       {StartContainer: []oci.Hook{{Path: "/nothing"}}},
		"timeout":         {StartContainer: []oci.Hook{{Path: "/bin/sleep", Args: []string{"sleep", "1000"}, Timeout: &one}}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, bundle := t.TempDir(), t.TempDir()
			hooks.Poststop = []oci.Hook{hookScript(t, dir, "poststop", "true")}
			s := spec(t, oci.Config{Args: []string{"true"}, Hooks: hooks})
			_, err := run(t, n, starter.Request{Key: "c1", Spec: s, Rootfs: rootfs(t, lower), Bundle: bundle})
			reapStage(t)
			must(t, n.Delete(t.Context(), "c1", bundle))
			if _, err := os.Stat(filepath.Join(dir, "log")); err == nil {
				t.Error("a poststop hook has run of a container that never was")
			}
			want := name + " hook 1 /bin/sh"
			switch name {
			case "not there":
				want = "exec /nothing: no such file or directory"
			case "timeout":
				want = "deadline exceeded"
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Fatalf("got %v", err)
			}
			if want == name+" hook 1 /bin/sh" && !strings.Contains(err.Error(), "exit status 3: broken") {
				t.Errorf("got %v", err)
			}
		})
	}
}
