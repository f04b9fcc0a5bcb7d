"""The rights that a boxed process gives up before it runs somebody else's code; standard library only.

Each means is the platform's own and is tried by itself; the result of each is reported by name. On Linux these
are a network namespace, Landlock for writing, and resource limits; elsewhere the resource limits alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from assay.boxed.platform import fcntl, resource

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 1, 38, 24
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION_FLAG, PATH_BENEATH = 1, 1
WRITE_FILE, TRUNCATE, REFER = 1 << 1, 1 << 14, 1 << 13
REMOVE_AND_MAKE = sum(1 << bit for bit in range(4, 13))
TCP = 0b11
SCOPES = 0b11
"""Scopes of Landlock: abstract Unix sockets and signals do not reach a process outside the box."""
KEPT_CAPABILITIES = frozenset({0, 1, 2, 3, 4, 14, 23})
"""Capabilities that root keeps: those for files (the rest of the system sees the same user), locked memory and
priorities.
"""
LAST_CAPABILITY = 63
DEVICES = ("null", "zero", "full", "random", "urandom", "shm", "dri", "kfd")
OPEN, NOT_HELD = "open", "not held"


def confine(rules: Mapping[str, object]) -> dict[str, str]:
    """Give up for good, in this process and all that it starts, every right that the rules do not grant.

    Args:
        rules: `writable`, the paths that may be written; `memory_bytes` of addresses and `processes` of the user,
            0 for any number; `file_bytes` that a file may have.

    Returns:
        How far each limit holds, by name: "network", "writing", "memory", "files", "processes".
    """
    os.umask(0o077)
    held = _limits(rules)
    if sys.platform != "linux":
        return held | {"network": OPEN, "writing": OPEN}
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    network = _without_network(library)
    writing, tcp = _landlock(library, _strings(rules["writable"]), close_tcp=network == OPEN)
    _drop_capabilities(library)
    return held | {"network": "no TCP, by Landlock" if tcp else network, "writing": writing}


def _strings(value: object) -> list[str]:
    assert isinstance(value, list)
    return [str(one) for one in value]


def _limits(rules: Mapping[str, object]) -> dict[str, str]:
    """Set the resource limits, none above one that is already set."""
    asked = {
        "memory": (resource.RLIMIT_AS, rules["memory_bytes"]),
        "files": (resource.RLIMIT_FSIZE, rules["file_bytes"]),
        "processes": (resource.RLIMIT_NPROC, rules["processes"]),
    }
    held = {}
    for name, (kind, most) in asked.items():
        assert isinstance(most, int)
        _, hard = resource.getrlimit(kind)
        limit = min(most, hard) if hard != resource.RLIM_INFINITY else most
        if most and (sys.platform == "linux" or name == "files"):
            resource.setrlimit(kind, (limit, limit))
            held[name] = f"at most {limit}"
        else:
            held[name] = NOT_HELD
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return held


def _without_network(library: ctypes.CDLL) -> str:
    """Give the process a network of its own that has nothing but loopback. For any user except root this takes a user
    namespace, in which that user stays the same.
    """
    user, group = os.getuid(), os.getgid()
    if library.unshare(CLONE_NEWNET) != 0:
        if library.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            return OPEN
        try:
            Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
        except OSError:  # the namespace is there, and its user has no name in it
            return "none: a namespace whose user has no name"
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        fcntl.ioctl(one, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", IFF_UP))
    return "none: a namespace of its own"


def _landlock(library: ctypes.CDLL, writable: Iterable[str], *, close_tcp: bool) -> tuple[str, bool]:
    """Let files be written below these paths alone, and restrict what else the kernel's Landlock can.

    Returns:
        How far writing is restricted, and whether Landlock keeps TCP closed.
    """
    version = library.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION_FLAG)
    if version < 1:
        return OPEN, False
    writes = WRITE_FILE | REMOVE_AND_MAKE | (REFER if version >= 2 else 0) | (TRUNCATE if version >= 3 else 0)
    close_tcp = close_tcp and version >= 4
    fields = [writes] + ([TCP if close_tcp else 0] if version >= 4 else []) + ([SCOPES] if version >= 6 else [])
    attributes = struct.pack(f"{len(fields)}Q", *fields)
    ruleset = library.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return OPEN, False
    try:
        for path in (*writable, *_devices()):
            _allow(library, ruleset, path, writes)
        if library.syscall(RESTRICT_SELF, ruleset, 0) != 0:
            return OPEN, False
    finally:
        os.close(ruleset)
    return f"its own folders, by Landlock {version}", close_tcp


def _allow(library: ctypes.CDLL, ruleset: int, path: str, writes: int) -> None:
    """Allow writing below a path; one that does not exist cannot be opened, and stays closed."""
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        allowed = writes if os.path.isdir(path) else writes & (WRITE_FILE | TRUNCATE)
        rule = struct.pack("=Qi", allowed, place)
        if library.syscall(ADD_RULE, ruleset, PATH_BENEATH, rule, 0) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
    finally:
        os.close(place)


def _devices() -> list[str]:
    """Return the devices that every program may write to, including shared memory and accelerators, but no terminal or
    disk.
    """
    return [f"/dev/{name}" for name in DEVICES] + [str(one) for one in Path("/dev").glob("nvidia*")]


def _drop_capabilities(library: ctypes.CDLL) -> None:
    """Take root's privileges away: it can no longer raise its limits, leave its namespace or look into other
    processes.
    """
    for number in range(LAST_CAPABILITY + 1):
        if number not in KEPT_CAPABILITIES:
            library.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
    if os.geteuid() == 0 and not Path("/proc/self/setgroups").read_text(encoding="ascii").startswith("deny"):
        kept = sum(1 << number for number in KEPT_CAPABILITIES)
        header = struct.pack("=Ii", 0x20080522, 0)
        library.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0))
