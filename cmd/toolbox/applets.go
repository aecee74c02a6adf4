package main

import (
	"maps"
	"slices"
)

// lookApplet returns the applet of a name. It is a function and not a map, so that a start pays only for what it uses.
func lookApplet(name string) (applet, bool) {
	if a, ok := coreutil(name); ok {
		return a, true
	}
	a, ok := own()[name]
	return a, ok
}

func own() map[string]applet {
	in := func(run func(*call) int) applet { return applet{run: run, inside: true} }
	return map[string]applet{
		"sh": {run: shell}, "ash": {run: shell}, "bash": {run: shell},
		"[": {run: builtin}, "test": {run: builtin}, "printf": {run: builtin},
		"true": in(func(*call) int { return 0 }), "false": in(func(*call) int { return 1 }),
		"sleep": {run: sleep}, "httpd": {run: httpd}, "wget": {run: wget}, "nc": {run: nc}, "nslookup": {run: nslookup},
		"xargs": {run: xargs}, "env": {run: env}, "printenv": {run: env}, "timeout": {run: timeout},
		"echo": in(echo), "pwd": in(pwd), "date": in(date), "seq": in(seq), "yes": {run: yes},
		"id": in(id), "whoami": in(whoami), "hostname": in(hostname), "uname": in(uname), "nproc": in(nproc), "tty": {run: tty},
		"ps": in(ps), "kill": in(kill), "umask": {run: umask, inside: true}, "uptime": in(uptime), "free": in(free),
		"head": in(head), "tail": {run: tail}, "wc": in(wc), "grep": in(grep), "sort": in(sortLines), "uniq": in(uniq), "cut": in(cut), "tr": in(tr),
		"tee": in(tee), "ln": in(ln), "chown": in(chown), "stat": in(stat), "readlink": in(readlink), "realpath": in(realpath), "rmdir": in(rmdir),
		"basename": in(basename), "dirname": in(dirname), "ls": in(ls), "find": {run: find}, "tar": in(tarball), "df": in(df), "du": in(du), "mount": in(mounts), "sync": in(syncDisks), "which": in(which),
		"mkfifo": in(mkfifo), "gzip": in(gzipped), "gunzip": in(gzipped), "zcat": in(gzipped), "dd": {run: dd},
	}
}

// names lists every applet: the links in the image's /bin.
func names() []string {
	all := slices.Collect(maps.Keys(own()))
	return slices.Sorted(slices.Values(append(all, coreutils...)))
}
