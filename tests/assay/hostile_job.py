"""A process whose answers no job of ours would give, for the tests of `assay.jobs`; it opens no channel of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

FOREVER = 600


def say(content: bytes) -> None:
    while content:
        content = content[os.write(1, content) :]


def forget(*, setsid: bool) -> None:
    """A child without a parent that keeps all our pipes open, in a session of its own or not."""
    if os.fork() == 0:
        if setsid:
            os.setsid()
            if os.fork():
                os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(FOREVER)
        os._exit(0)


def grandchild() -> None:
    forget(setsid=True)


def answering_grandchild() -> None:
    forget(setsid=True)
    forget(setsid=False)
    say(b'{"result": {"done": 1}}\n')


def hidden_grandchild() -> None:
    """It has lost its parent, its session and its environment."""
    if os.fork() == 0:
        os.setsid()
        os.execve(sys.executable, [sys.executable, "-c", f"import time; time.sleep({FOREVER})"], {"HIDDEN": "1"})
    time.sleep(FOREVER)


def line_without_end() -> None:
    say(b'{"result"')
    time.sleep(FOREVER)


def gigabyte() -> None:
    for _ in range(1024):
        say(b"a" * (1 << 20))


def flood() -> None:
    while True:
        say(b'{"event": 1}\n' * 1000)


def closed() -> None:
    os.close(1)
    time.sleep(FOREVER)


def print_much() -> None:
    os.write(2, b"the beginning\n")
    for number in range(60):
        os.write(2, b"%08d\n" % number + b"x" * (1 << 20) + b"\n")
    os.write(2, b"the end\n")
    say(b'{"result": {}}\n')


LINES = {
    "bytes": b'\xff\xfe{"result": {}}\n',
    "nested": b"[" * 100_000 + b"\n",
    "nested result": b'{"result": {"a": ' + b"[" * 100_000 + b"}}\n",
    "scalar": b"5\n",
    "list": b'[{"result": {}}]\n',
    "null": b"null\n",
    "half": b'{"result": {"a',
    "scalar result": b'{"result": 5}\n',
    "no code": b'{"error": "no", "exit_code": null}\n',
    "code 77": b'{"error": "no", "exit_code": 77}\n',
    "list of codes": b'{"error": "no", "exit_code": [1]}\n',
    "no text": b'{"error": null}\n',
    "status": b"",
}
DEEDS = {
    "grandchild": grandchild,
    "answering grandchild": answering_grandchild,
    "hidden grandchild": hidden_grandchild,
    "line without end": line_without_end,
    "gigabyte": gigabyte,
    "flood": flood,
    "closed": closed,
    "print much": print_much,
    "read nothing": lambda: time.sleep(FOREVER),
}


def main() -> None:
    deed = os.environ["ASSAY_DEED"]
    if deed != "read nothing":
        json.loads(sys.stdin.readline())
    if deed in LINES:
        say(LINES[deed])
    else:
        DEEDS[deed]()


if __name__ == "__main__":
    main()
