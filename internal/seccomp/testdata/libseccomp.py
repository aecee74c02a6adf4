"""Compile filters with libseccomp: one JSON object a line in, the program in hexadecimal a line out."""

import json
import os
import seccomp
import sys

OPS = {"NE": seccomp.NE, "LT": seccomp.LT, "LE": seccomp.LE, "EQ": seccomp.EQ, "GE": seccomp.GE, "GT": seccomp.GT,
       "MASKED_EQ": seccomp.MASKED_EQ}


def compile(want):
    f = seccomp.SyscallFilter(want["default"])
    native = seccomp.Arch.NATIVE
    for name in want["arches"]:
        arch = getattr(seccomp.Arch, name)
        if not f.exist_arch(arch):
            f.add_arch(arch)
    if not want["amd64"]:
        f.remove_arch(native)
    for rule in want["rules"]:
        args = [seccomp.Arg(a["index"], OPS[a["op"]], a["a"], a["b"]) for a in rule["args"]]
        f.add_rule(rule["action"], rule["name"], *args)
    fd = os.memfd_create("bpf")
    with os.fdopen(fd, "wb+") as out:
        f.export_bpf(out)
        out.seek(0)
        return out.read().hex()


def known(names):
    """The names that libseccomp has on some architecture."""
    arches = [getattr(seccomp.Arch, a) for a in ("X86_64", "X86", "X32", "ARM", "AARCH64")]
    return [n for n in names if any(seccomp.resolve_syscall(a, n) != -1 for a in arches)]


def numbers(arch):
    """Every syscall of an architecture that libseccomp has a name for."""
    arch = getattr(seccomp.Arch, arch)
    out = {}
    for base, n in ((0, 1000), (0x0f0000, 16), (1 << 30, 1000)):
        for nr in range(base, base + n):
            try:
                name = seccomp.resolve_syscall(arch, nr)
            except ValueError:
                continue
            out[name.decode() if isinstance(name, bytes) else name] = nr
    return out


for line in sys.stdin:
    want = json.loads(line)
    if "known" in want:
        print(json.dumps(known(want["known"])), flush=True)
    elif "numbers" in want:
        print(json.dumps(numbers(want["numbers"])), flush=True)
    else:
        print(compile(want), flush=True)
