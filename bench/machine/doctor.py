"""`assay doctor`: the contents of this machine, what is missing, and the command that installs it."""

from __future__ import annotations

import shutil
import sys
from importlib import metadata

from pydantic import JsonValue
from rich.table import Table

from assay.bench.machine.host import LOCAL, Host
from assay.bench.machine.machine import advice, probe_frameworks
from assay.bench.machine.overwritten import overwritten
from assay.bench.words.terminal import Terminal, shown
from assay.records.base import Record
from assay.registry import RUNTIMES
from assay.runtimes.entry import RuntimeEntry

PROGRAMS = {
    "g++": ("torch.compile on the CPU", "Debian and Ubuntu: apt-get install g++"),
    "chromium": ("the report's browser tests", "Debian and Ubuntu: apt-get install chromium"),
    "nvidia-smi": ("GPU runtimes (optional)", "install NVIDIA's driver; then pip install 'onnx-assay[gpu]'"),
}


class Program(Record):
    """The path of a program, or "" if it is missing, its purpose, and how to install it."""

    found: str
    needed_for: str
    install: str


class KnownRuntime(Record):
    """A runtime's description of itself, as far as it helps to choose one."""

    name: str
    summary: str
    family: str
    formats: list[str]
    devices: list[str]
    precision: str
    brought_by: str


class Diagnosis(Record):
    """Everything that doctor shows: machine, frameworks, programs, runtimes."""

    machine: dict[str, JsonValue]
    advice: list[str]
    threads: str
    interpreter: str
    frameworks: dict[str, dict[str, str]]
    programs: dict[str, Program]
    runtimes: list[KnownRuntime]
    refused_runtimes: list[str]
    overwritten: list[str]


def diagnose(host: Host = LOCAL) -> Diagnosis:
    """Examine a machine and its installed software."""
    machine = host.environment()
    return Diagnosis(
        machine=machine,
        advice=list(advice(machine)),
        threads=f"{len(host.cores())} usable cores; bench.threads in the study file sets every runtime's",
        interpreter=sys.version.split()[0],
        frameworks=probe_frameworks(host),
        programs={
            name: Program(found=shutil.which(name) or "", needed_for=what, install=how)
            for name, (what, how) in PROGRAMS.items()
        },
        runtimes=[_told(entry) for entry in RUNTIMES.values() if not entry.ruler],
        refused_runtimes=[str(one) for one in RUNTIMES.refused],
        overwritten=[one.sentence for one in overwritten(_packages(), metadata.distributions())],
    )


def _packages() -> set[str]:
    """The import names of all that a runtime may need."""
    return {package for entry in RUNTIMES.values() for package in entry.needed}


def _told(entry: RuntimeEntry) -> KnownRuntime:
    return KnownRuntime(
        name=entry.name,
        summary=entry.summary,
        family=entry.family.words,
        formats=list(entry.formats),
        devices=list(entry.devices),
        precision=entry.precision or "the model's own",
        brought_by=entry.distribution or "Assay",
    )


def render(found: Diagnosis) -> None:
    """Print a diagnosis as tables on standard output."""
    console = Terminal()
    console.print(_machine(found.machine))
    for sentence in found.advice:
        console.print(f"- {sentence}")
    console.print(_frameworks(found.frameworks))
    console.print(_programs(found.programs))
    console.print(_runtimes(found.runtimes))
    for problem in (*found.refused_runtimes, *found.overwritten):
        console.print(f"- {shown(problem)}", style="red", markup=False)


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


def _runtimes(runtimes: list[KnownRuntime]) -> Table:
    table = Table("runtime", "what it is", "runs", "on", "brought by", title="Runtimes", title_justify="left")
    for one in runtimes:
        table.add_row(
            one.name,
            shown(one.summary),
            ", ".join(one.formats),
            ", ".join(one.devices),
            shown(one.brought_by),
        )
    return table


def _programs(programs: dict[str, Program]) -> Table:
    table = Table("program", "needed for", "found, or how to get it", title="Programs", title_justify="left")
    for name, one in programs.items():
        table.add_row(name, one.needed_for, one.found or f"not found. {one.install}")
    return table
