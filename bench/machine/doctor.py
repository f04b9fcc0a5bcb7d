"""`assay doctor`: what this machine has, what is missing, and the command that installs it."""

from __future__ import annotations

import shutil
import sys
from typing import cast

from pydantic import JsonValue
from rich.table import Table

from assay.bench.machine.host import LOCAL
from assay.bench.machine.machine import advice, environment, probe_frameworks, usable_cores
from assay.bench.words.terminal import Terminal, shown
from assay.registry import RUNTIMES
from assay.runtimes.entry import RuntimeEntry

PROGRAMS = {
    "g++": ("torch.compile on the CPU", "Debian and Ubuntu: apt-get install g++"),
    "chromium": ("the report's browser tests", "Debian and Ubuntu: apt-get install chromium"),
    "nvidia-smi": ("GPU runtimes (optional)", "comes with NVIDIA's driver; then pip install 'onnx-assay[gpu]'"),
}


def diagnose() -> dict[str, JsonValue]:
    """Everything doctor shows, as one document: machine, frameworks, programs."""
    programs = {
        name: {"found": shutil.which(name) or "", "needed_for": what, "install": how}
        for name, (what, how) in PROGRAMS.items()
    }
    machine = environment()
    return {
        "machine": machine,
        "advice": list(advice(machine)),
        "threads": f"{len(usable_cores())} usable cores; bench.threads in the study file sets every runtime's",
        "interpreter": sys.version.split()[0],
        "frameworks": {name: dict(facts) for name, facts in probe_frameworks(LOCAL).items()},
        "programs": {name: dict(facts) for name, facts in programs.items()},
        "runtimes": [_told(entry) for entry in RUNTIMES.values() if not entry.ruler],
        "refused_runtimes": [str(one) for one in RUNTIMES.refused],
    }


def _told(entry: RuntimeEntry) -> dict[str, JsonValue]:
    """What a runtime says of itself, as far as it helps to choose one."""
    return {
        "name": entry.name,
        "summary": entry.summary,
        "family": entry.family.words,
        "formats": list(entry.formats),
        "devices": list(entry.devices),
        "precision": entry.precision or "the model's own",
        "brought_by": entry.distribution or "Assay",
    }


def render(found: dict[str, JsonValue]) -> None:
    """Print a diagnosis as tables on standard output."""
    console = Terminal()
    console.print(_machine(cast("dict[str, JsonValue]", found["machine"])))
    for sentence in cast("list[str]", found["advice"]):
        console.print(f"- {sentence}")
    console.print(_frameworks(cast("dict[str, dict[str, str]]", found["frameworks"])))
    console.print(_programs(cast("dict[str, dict[str, str]]", found["programs"])))
    console.print(_runtimes(cast("list[dict[str, JsonValue]]", found["runtimes"])))
    for refusal in cast("list[str]", found["refused_runtimes"]):
        console.print(f"- {shown(refusal)}", style="red", markup=False)


def _machine(machine: dict[str, JsonValue]) -> Table:
    table = Table(title="Machine", show_header=False, title_justify="left")
    for name, value in machine.items():
        if name != "packages":
            table.add_row(name.replace("_", " "), _in_words(value) or "none")
    return table


def _in_words(value: JsonValue) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {part}" for key, part in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _frameworks(frameworks: dict[str, dict[str, str]]) -> Table:
    table = Table("framework", "needed for", "found", title="Frameworks", title_justify="left")
    needed = {family.library: family.needed_for for family in RUNTIMES.families}
    for name, facts in frameworks.items():
        facts_in_lines = "\n".join(f"{key}: {value}" for key, value in facts.items())
        table.add_row(
            name,
            shown(needed.get(name, "")),
            shown(facts_in_lines, lines=True),
            style="red" if "missing" in facts else "",
        )
    return table


def _runtimes(runtimes: list[dict[str, JsonValue]]) -> Table:
    table = Table("runtime", "what it is", "runs", "on", "brought by", title="Runtimes", title_justify="left")
    for one in runtimes:
        table.add_row(
            str(one["name"]),
            shown(str(one["summary"])),
            _in_words(one["formats"]),
            _in_words(one["devices"]),
            shown(str(one["brought_by"])),
        )
    return table


def _programs(programs: dict[str, dict[str, str]]) -> Table:
    table = Table("program", "needed for", "found, or how to get it", title="Programs", title_justify="left")
    for name, facts in programs.items():
        table.add_row(name, facts["needed_for"], facts["found"] or f"not found. {facts['install']}")
    return table
