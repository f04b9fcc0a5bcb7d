"""Hostile code of every kind, which the tests of `assay.boxed.box` run in a box."""

from __future__ import annotations

import os
import resource
import socket
import tempfile
import time
from pathlib import Path

from pydantic import JsonValue

from assay.jobs.job import Job
from assay.jobs.serving import serve_job
from assay.records.base import Record

Message = dict[str, JsonValue]

GIB = 1 << 30


class BadDeed(Record):
    """An action and its argument."""

    do: str
    more: Message


class Done(Record):
    """The outcome of an action."""

    found: Message


BOXED = Job("tests.assay.boxed_job", "deed", BadDeed, Done)


def tell(request: Message) -> Message:
    return {
        "environment": dict(os.environ),
        "temporary": tempfile.gettempdir(),
        "umask": os.umask(0),
        "core": list(resource.getrlimit(resource.RLIMIT_CORE)),
    }


def connect(request: Message) -> Message:
    with socket.create_connection(("127.0.0.1", int(str(request["port"]))), timeout=5):
        return {}


def talk_to_itself(request: Message) -> Message:
    """Loopback exists, and nothing else does."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), timeout=5):
        return {}


def write(request: Message) -> Message:
    Path(str(request["path"])).write_text("written", encoding="utf-8")
    return {}


def move_away(request: Message) -> Message:
    Path(str(request["path"])).rename(Path(tempfile.gettempdir(), "taken"))
    return {}


def look(request: Message) -> Message:
    """The environment of a process outside."""
    return {"found": Path(f"/proc/{request['pid']}/environ").read_text(encoding="latin-1")}


def kill(request: Message) -> Message:
    os.kill(int(str(request["pid"])), 9)
    return {}


def fork(request: Message) -> Message:
    """Ten thousand children, each of which would outlive the job."""
    for _ in range(10_000):
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)
    return {}


def allocate(request: Message) -> Message:
    return {"bytes": len(bytearray(100 * GIB))}


def fill_disk(request: Message) -> Message:
    with open(Path(tempfile.gettempdir(), "large"), "wb") as stream:
        stream.seek(50 * GIB)
        stream.write(b"x")
    return {}


def raise_limits(request: Message) -> Message:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return fill_disk(request)


def leave_links(request: Message) -> Message:
    """A link to somebody's file in place of an answer, and a pipe that nobody writes to."""
    folder = Path(str(request["place"]))
    (folder / "link").symlink_to(str(request["path"]))
    os.mkfifo(folder / "pipe")
    (folder / "inner").mkdir(mode=0o000)
    (folder / "answer").write_text("written", encoding="utf-8")
    return {}


DEEDS = {
    one.__name__: one
    for one in (
        tell, connect, talk_to_itself, write, move_away, look, kill, fork, allocate, fill_disk, raise_limits,
        leave_links,
    )
}  # fmt: skip


def work(request: BadDeed) -> Done:
    return Done(found=DEEDS[request.do](request.more))


if __name__ == "__main__":
    serve_job(BOXED.done_by(work))
