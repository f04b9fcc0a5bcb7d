"""A job that does what the tests of `assay.jobs` ask it to."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from assay.errors import InputError
from assay.jobs import Channel, Message, Process, serve_job
from assay.steps import step


def count(request: Message, channel: Channel) -> Message:
    numbers = range(1, int(str(request["to"])) + 1)
    for number in numbers:
        channel.send({"at": number})
    return {"sum": sum(numbers)}


def print_lines(request: Message, channel: Channel) -> Message:
    sys.stdout.write("{this is no answer}\n")
    sys.stdout.flush()
    os.write(1, b"{nor is this}\n")
    return {}


def import_onnxruntime(request: Message, channel: Channel) -> Message:
    import onnxruntime  # noqa: PLC0415

    return {"version": str(onnxruntime.__version__)}


def refuse(request: Message, channel: Channel) -> Message:
    raise InputError("a bad value", expected="good", found="bad")


def crash(request: Message, channel: Channel) -> Message:
    os.kill(os.getpid(), signal.SIGSEGV)
    return {}


def hang(request: Message, channel: Channel) -> Message:
    time.sleep(600)
    return {}


def linger(request: Message, channel: Channel) -> Message:
    """Hang in the second of two steps."""
    with step("The first thing", 60):
        channel.send({"at": 1})
    with step("The second thing", float(str(request["seconds"]))):
        time.sleep(600)
    return {}


def spin(request: Message, channel: Channel) -> Message:
    channel.send({})
    while True:
        pass


def parent(request: Message, channel: Channel) -> Message:
    """Leave a frozen child behind when killed."""
    child = Process("tests.assay.small_job", Path(str(request["log"])))
    child.send({"do": "spin"})
    child.receive(30)
    child.freeze()
    channel.send({"child": child.pid})
    return hang(request, channel)


DEEDS = {
    "count": count,
    "print": print_lines,
    "onnxruntime": import_onnxruntime,
    "refuse": refuse,
    "raise": lambda request, channel: {"never": 1 / 0},
    "crash": crash,
    "hang": hang,
    "linger": linger,
    "spin": spin,
    "parent": parent,
}


if __name__ == "__main__":
    serve_job(lambda request, channel: DEEDS[str(request["do"])](request, channel))
