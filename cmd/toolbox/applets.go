package main

import (
	"maps"
	"slices"

	"github.com/hull-pods/hull/cmd/toolbox/call"
	"github.com/hull-pods/hull/cmd/toolbox/files"
	"github.com/hull-pods/hull/cmd/toolbox/shell"
	"github.com/hull-pods/hull/cmd/toolbox/web"
)

// lookApplet returns the applet of a name. It is a function and not a map, so that a start pays only for what it uses.
func lookApplet(name string) (call.Applet, bool) {
	if a, ok := coreutil(name); ok {
		return a, true
	}
	a, ok := own()[name]
	return a, ok
}

func sh(c *call.Call) int { return shell.Run(c, lookApplet) }

func own() map[string]call.Applet {
	in := func(run func(*call.Call) int) call.Applet { return call.Applet{Run: run, Inside: true} }
	return map[string]call.Applet{
		"sh": {Run: sh}, "ash": {Run: sh}, "bash": {Run: sh},
		"[": {Run: shell.Builtin}, "test": {Run: shell.Builtin}, "printf": {Run: shell.Builtin},
		"true": in(func(*call.Call) int { return 0 }), "false": in(func(*call.Call) int { return 1 }),
		"sleep": {Run: sleep}, "httpd": {Run: web.Httpd}, "wget": {Run: web.Wget}, "nc": {Run: web.Nc}, "nslookup": {Run: web.Nslookup},
		"xargs": {Run: xargs}, "env": {Run: env}, "printenv": {Run: env}, "timeout": {Run: timeout},
		"echo": in(echo), "pwd": in(files.Pwd), "date": in(date), "seq": in(seq), "yes": {Run: yes},
		"id": in(id), "whoami": in(whoami), "hostname": in(hostname), "uname": in(uname), "nproc": in(nproc), "tty": {Run: tty},
		"ps": in(ps), "kill": in(kill), "umask": {Run: umask, Inside: true}, "uptime": in(uptime), "free": in(free),
		"head": in(head), "tail": {Run: tail}, "wc": in(wc), "grep": in(grep), "sort": in(sortLines), "uniq": in(uniq), "cut": in(cut), "tr": in(tr),
		"tee": in(tee), "ln": in(files.Ln), "chown": in(files.Chown), "stat": in(files.Stat), "readlink": in(files.Readlink), "realpath": in(files.Realpath), "rmdir": in(files.Rmdir),
		"basename": in(files.Basename), "dirname": in(files.Dirname), "ls": in(files.Ls), "find": {Run: files.Find}, "tar": in(files.Tarball), "df": in(files.Df), "du": in(files.Du), "mount": in(files.Mounts), "sync": in(files.SyncDisks), "which": in(files.Which),
		"mkfifo": in(files.Mkfifo), "gzip": in(files.Gzipped), "gunzip": in(files.Gzipped), "zcat": in(files.Gzipped), "dd": {Run: files.Dd},
	}
}

// names lists every applet: the links in the image's /bin.
func names() []string {
	all := slices.Collect(maps.Keys(own()))
	return slices.Sorted(slices.Values(append(all, coreutils...)))
}
