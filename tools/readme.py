"""README's real output of `assay model`: run anew and put between two marks, on a machine that has nothing else to do.

python -m tools.readme
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
COMMAND = "assay model docs/examples/torch_mlp.py:build --shape features=batch,256 --minutes 2"
BEGIN, END = "<!-- what assay model says: begin -->", "<!-- what assay model says: end -->"
BETWEEN = re.compile(f"{re.escape(BEGIN)}\n.*?{re.escape(END)}", re.DOTALL)
COLUMNS = 118


def block(said: str) -> str:
    """The command with what it printed on standard output, wrapped as a terminal of `COLUMNS` does."""
    lines: list[str] = []
    for line in said.splitlines():
        lines += textwrap.wrap(line, COLUMNS, subsequent_indent="  ") or [""]
    return "\n".join([BEGIN, "```text", f"$ {COMMAND}", *lines, "```", END])


def main() -> None:
    """
    Raises:
        SystemExit: the command's answer is no, as where the machine was busy: README stays as it is.
    """
    with tempfile.TemporaryDirectory() as out:
        words = [*shlex.split(COMMAND), "--out", "artifacts"]
        words[2] = str(ROOT / words[2])
        program = Path(sys.executable).with_name(words[0])
        done = subprocess.run([program, *words[1:]], cwd=out, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{COMMAND} ended with {done.returncode}: README stays as it is\n{done.stdout}")
    text = README.read_text(encoding="utf-8")
    README.write_text(BETWEEN.sub(lambda _: block(done.stdout), text), encoding="utf-8")


if __name__ == "__main__":
    main()
