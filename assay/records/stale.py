"""Tests of whether an audit is about what was timed: the same weights, exports and images. Pure functions.

`audit.json` and `results.json` lie in one folder and are written by different commands. A study that was trained or
exported again leaves the older audit behind, whose cells have the same names as the new ones. Both records identify
their subjects by the keys of artifacts, which are hashes of all that determines them; files are checked by their own
hashes where they are opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from assay.records.audit import Audit, ModelAudit, reasons_of
from assay.records.results import Cell, Export, Results

AGAIN = "Run `assay audit` on the study again, or `assay model` on a model of your own"
SHOWN = 12


@dataclass(frozen=True)
class Stale:
    """The parts of one model's audit that are not about what was timed.

    Attributes:
        model: why no part of it is about what was timed, or "".
        exports: why the comparisons of an export are not, by exporter.
    """

    model: str = ""
    exports: dict[str, str] = field(default_factory=dict)

    def reason(self, exporter: str) -> str:
        """Return why the audit of a cell is out of date, or ""; `exporter` is "" for a native runtime."""
        return self.model or self.exports.get(exporter, "")


def _stale_part(model: ModelAudit, results: Results) -> Stale:
    """Find the parts of one model's audit that are not about what these results timed."""
    cells = [one for one in results.cells if is_of(one, model)]
    exports = [one for one in results.exports if is_of(one, model)]
    weights = {cell.weights for cell in cells} | {export.weights for export in exports}
    reason = _weights_differ(model, weights) or _images_differ(model, results)
    return Stale(reason) if reason else Stale(exports=_other_exports(model, exports))


def stale_parts(audit: Audit, results: Results) -> dict[str, Stale]:
    """Do the same for every model, by name; models whose whole audit is current are left out."""
    found = {model.name: _stale_part(model, results) for model in audit.models}
    return {name: one for name, one in found.items() if one != Stale()}


def in_words(stale: dict[str, Stale]) -> list[str]:
    """Return a sentence for each model or export whose audit is out of date."""
    found = []
    for name, one in stale.items():
        found += [f"{name}: {one.model}"] if one.model else []
        found += [f"{name}, the export by {exporter}: {reason}" for exporter, reason in one.exports.items()]
    return found


def current_part(audit: Audit, stale: dict[str, Stale]) -> Audit:
    """Return an audit without the parts that are out of date, with the verdict of the rest."""
    models = [
        _without(model, stale[model.name].exports) if model.name in stale else model
        for model in audit.models
        if not stale.get(model.name, Stale()).model
    ]
    reasons = reasons_of(models, strict_nan=audit.strict_nan)
    return audit.model_copy(
        update={
            "models": models,
            "verdict": "failed" if reasons else "passed",
            "reasons": reasons,
            "findings": [f"{model.name}: {finding}" for model in models for finding in model.findings()],
        }
    )


def is_of(one: Cell | Export, model: ModelAudit) -> bool:
    """Return whether a cell or export is of that model: a study's models are also named by their size, a user's only
    where they were compared at several, with the same files at all of them.
    """
    names = {one.architecture, f"{one.architecture}/{one.size}"}
    of_all_sizes = isinstance(one, Export) and not one.size and model.name.rpartition("/")[0] == one.architecture
    return model.name in names or of_all_sizes


def is_file_of(export: Export, cell: Cell) -> bool:
    """Return whether a cell ran an export, or would have: a file whose sizes are open has none, and runs at all."""
    named = (export.architecture, export.exporter) == (cell.architecture, cell.exporter)
    return named and export.size in {0, cell.size}


def _weights_differ(model: ModelAudit, timed: set[str]) -> str:
    if not timed:
        return "the results have no such model"
    audited = model.keys.get("weights")
    if audited is None:
        return "it does not name its weights: an older Assay wrote it"
    if timed != {audited}:
        return f"it covers the weights {_short(audited)}, but {', '.join(map(_short, sorted(timed)))} was timed"
    return ""


def _images_differ(model: ModelAudit, results: Results) -> str:
    """Compare the images of the smallest size, which results name; the others are part of their weights' keys."""
    sizes = {cell.size for cell in results.cells} | {export.size for export in results.exports}
    is_smallest = model.name.rpartition("/")[2] == str(min(sizes, default=0))
    if is_smallest and model.data_hash and model.data_hash != results.data.content_hash:
        return f"it covers the images {_short(model.data_hash)}, but {_short(results.data.content_hash)} was timed"
    return ""


def _other_exports(model: ModelAudit, exports: Sequence[Export]) -> dict[str, str]:
    timed = {one.exporter: one.key for one in exports if one.status == "ok"}
    compared = {one.subject.rpartition("@")[2] for one in model.comparisons if "@" in one.subject}
    found = {}
    for exporter in sorted(compared):
        audited = model.keys.get(f"onnx@{exporter}", "")
        if exporter not in timed:
            found[exporter] = "the results have no such export"
        elif audited != timed[exporter]:
            found[exporter] = f"it covers the file {_short(audited)}, but {_short(timed[exporter])} was timed"
    return found


def _without(model: ModelAudit, exporters: dict[str, str]) -> ModelAudit:
    """Return a model's audit without the comparisons on some exports."""

    def kept(subject: str) -> bool:
        return "@" not in subject or subject.rpartition("@")[2] not in exporters

    flipped = [
        one.model_copy(
            update={
                "classes": {subject: value for subject, value in one.classes.items() if kept(subject)},
                "margins": {subject: value for subject, value in one.margins.items() if kept(subject)},
            }
        )
        for one in model.flipped
    ]
    return model.model_copy(
        update={
            "comparisons": [one for one in model.comparisons if kept(one.subject)],
            "determinism": [one for one in model.determinism if kept(one.subject)],
            "propagation": [one for one in model.propagation if kept(one.subject)],
            "localisations": [],  # they do not say which export they are about
            "flipped": [one for one in flipped if one.classes],
            "missing": {name: reason for name, reason in model.missing.items() if kept(name)},
        }
    )


def _short(key: str) -> str:
    return key[:SHOWN] or "without a key"
