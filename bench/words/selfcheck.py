"""A self-check in words, for the terminal and the report."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from assay.bench.words.terminal import shown
from assay.records.selfcheck import Check, SelfCheck

VERDICTS = {
    True: "The instrument is fit for use on this machine.",
    False: "The instrument did not pass its self-check on this machine: do not rely on the checks that fail below.",
}


def measured(check: Check) -> str:
    """Return the measured value, with its unit."""
    return "not measured" if check.found is None else _quantity(check.found, check)


def required(check: Check) -> str:
    """Return "at most 5 us"."""
    return f"{check.bound} {_quantity(check.required, check)}"


def _quantity(value: float, check: Check) -> str:
    unit = {"share": "%", "us": "µs", "ns": "ns"}[check.unit]
    number = 100 * value if check.unit == "share" else value
    return f"{number:,.0f} {unit}" if number >= 10 else f"{number:.2g} {unit}"


def render(found: SelfCheck, console: Console) -> None:
    """Print the checks, the verdict and, where it failed, what to change."""
    table = Table("check", "measured", "required", "", "remark", title="Self-check", title_justify="left")
    for check in found.checks:
        outcome = shown("pass", "green") if check.passed else shown("FAIL", "red")
        table.add_row(shown(check.name), measured(check), required(check), outcome, shown(check.remark))
    console.print(table)
    console.print(f"{VERDICTS[found.passed]} ({found.seconds:.0f} s)")
    if not found.passed:
        for sentence in found.advice:
            console.print(shown(f"- {sentence}"))
