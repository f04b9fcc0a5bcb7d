"""The parts of GitHub's runner that an action needs: steps in order, with expressions, outputs and paths.

The scripts, git and `assay` are real. Only `gh` is replaced, by a program that keeps what it is asked to post.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
GH = """#!/usr/bin/env bash
printf '%s\\n' "$*" >>"$FAKE_GH/calls"
[ ! -e "$FAKE_GH/refuses" ] || exit 1
case "$1 $2" in
  "api --paginate") cat "$FAKE_GH/earlier" 2>/dev/null ;;
esac
for word in "$@"; do
  case $word in body=@*) cp "${word#body=@}" "$FAKE_GH/posted" ;; esac
  [ "${before:-}" != --body-file ] || cp "$word" "$FAKE_GH/posted"
  before=$word
done
"""


@dataclass
class Ran:
    """The outcome of a run of the action."""

    code: int
    outputs: dict[str, str]
    said: str
    summary: str
    posted: str
    calls: list[str]


@dataclass
class Runner:
    """A checkout on a runner.

    Attributes:
        folder: takes everything; `checkout` in it is the repository.
        pull_request: its number, "" where the event is none.
        skipped: names of steps that are not run.
        action: the action's own checkout.
    """

    folder: Path
    pull_request: str = "7"
    base_ref: str = "main"
    skipped: tuple[str, ...] = ("Install Assay",)
    action: Path = ROOT
    _steps: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def checkout(self) -> Path:
        return self.folder / "checkout"

    def run(self, **inputs: str) -> Ran:
        """Run the steps. After one that fails, run only those that always run."""
        given = {name: str(one.get("default", "")) for name, one in ACTION["inputs"].items()} | inputs
        for name in ("temp", "gh", "bin"):
            (self.folder / name).mkdir(exist_ok=True)
        fake = self.folder / "bin" / "gh"
        fake.write_text(GH, encoding="utf-8")
        fake.chmod(0o755)
        code, said = 0, ""
        for step in ACTION["runs"]["steps"]:
            if step["name"] in self.skipped or not self._wanted(step.get("if", ""), failed=code != 0):
                continue
            done = self._step(step, given)
            code, said = code or done.returncode, said + done.stdout + done.stderr
        outputs = {name: self._filled(one["value"], given) for name, one in ACTION["outputs"].items()}
        return Ran(code, outputs, said, self._read("temp/summary"), self._read("gh/posted"), self._calls())

    def _step(self, step: Mapping[str, Any], given: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        output = self.folder / "temp" / "output"
        output.write_text("", encoding="utf-8")
        environment = dict(os.environ)
        added = reversed(self._read("temp/path").splitlines())
        environment["PATH"] = ":".join(
            [*added, str(self.folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        )
        environment |= {
            "GITHUB_ACTION_PATH": str(self.action),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_PATH": str(self.folder / "temp" / "path"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "temp" / "summary"),
            "GITHUB_REPOSITORY": "owner/models",
            "RUNNER_TEMP": str(self.folder / "temp"),
            "FAKE_GH": str(self.folder / "gh"),
            "COLUMNS": "120",
        }
        environment |= {name: self._filled(value, given) for name, value in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.checkout,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if "id" in step:
            told = output.read_text(encoding="utf-8").splitlines()
            self._steps[step["id"]] = dict(line.split("=", 1) for line in told)
        return done

    def _wanted(self, condition: str, *, failed: bool) -> bool:
        if not condition:
            return not failed
        assert condition == "always() && steps.regress.outputs.comment != ''", "say here what it means"
        return bool(self._steps["regress"].get("comment"))

    def _filled(self, value: str, given: Mapping[str, str]) -> str:
        known = {f"inputs.{name}": text for name, text in given.items()}
        known |= {"github.token": "secret", "github.base_ref": self.base_ref, "github.event.number": self.pull_request}
        for step, outputs in self._steps.items():
            known |= {f"steps.{step}.outputs.{name}": text for name, text in outputs.items()}

        def found(match: re.Match[str]) -> str:
            expression = match[1]
            if expression == "inputs.comment == 'true' && github.event.number || ''":
                return self.pull_request if given["comment"] == "true" else ""
            return next((known[one] for one in expression.split(" || ") if known.get(one)), "")

        return EXPRESSION.sub(found, value)

    def _read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def _calls(self) -> list[str]:
        return self._read("gh/calls").splitlines()
