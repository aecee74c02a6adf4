"""Compile filters with libseccomp: one JSON object a line in, the program in hexadecimal a line out."""

import errno
import json
import os
import seccomp
import sys

OPS = {"NE": seccomp.NE, "LT": seccomp.LT, "LE": seccomp.LE, "EQ": seccomp.EQ, "GE": seccomp.GE, "GT": seccomp.GT,
       "MASKED_EQ": seccomp.MASKED_EQ}


def compile(want):
    f = seccomp.SyscallFilter(want["default"])
    native = int(seccomp.system_arch()) & 0xffffffff
    arches = [getattr(seccomp.Arch, name) for name in want["arches"]]
    for arch in arches:
        if not f.exist_arch(arch):
            f.add_arch(arch)
    if native not in [int(arch) & 0xffffffff for arch in arches]:
        f.remove_arch(seccomp.Arch.NATIVE)
    for rule in want["rules"]:
        args = [seccomp.Arg(a["index"], OPS[a["op"]], a["a"], a["b"]) for a in rule["args"]]
        try:
            f.add_rule(rule["action"], rule["name"], *args)
        except RuntimeError as err:
            if f"errno = -{errno.EEXIST}" in str(err):
                return ""  # the same conditions with two actions
            raise RuntimeError(f"{rule} {want}") from err
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
