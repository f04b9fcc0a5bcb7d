"""The first Ctrl-C may be accepted as enough. If nothing accepts it, it ends the command, and so does the second.

Each case is a separate process, because a signal to the test process is received by everything else in it.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGIN = """
import signal
from assay.bench.cli.stopping import Stopped, keeping_what_is_there, listen

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has those in the background ignore it
listen()

def press():
    try:
        signal.raise_signal(signal.SIGINT)
    except BaseException as error:
        print(type(error).__name__)
"""

CASES = {
    "the first is for whoever keeps what is there, the second ends the command": (
        "with keeping_what_is_there():\n    press()\n    press()",
        ["KeyboardInterrupt", "Stopped"],
        0,
    ),
    "what nobody takes ends the command": (
        "with keeping_what_is_there():\n    signal.raise_signal(signal.SIGINT)",
        [],
        130,
    ),
    "outside everything is as before": ("with keeping_what_is_there():\n    pass\npress()", ["Stopped"], 0),
}


@pytest.mark.parametrize("case", CASES)
def test_a_signal_does_what_it_is_for(case: str) -> None:
    code, printed, status = CASES[case]
    done = subprocess.run([sys.executable, "-c", BEGIN + code], capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.returncode) == (printed, status), done.stderr
