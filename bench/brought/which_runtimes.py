"""The choice of runtimes to time on a user's model: those that were named and apply, or those that apply by default."""

from __future__ import annotations

from collections.abc import Collection

from assay.bench.brought.work import Wanted
from assay.bench.stages.groups import parted
from assay.registry import RUNTIMES
from assay.runtimes.entry import RuntimeEntry
from assay.train.brought.model import UserModel


def timed_on(wanted: Wanted, model: UserModel) -> list[str]:
    """The runtimes that are timed on a model and on its ONNX files, named as in a study: those of its own framework
    first, none of them where it is an ONNX file already.

    Where there is no native runtime to compare with, the ways to run a file are compared with each other.
    """
    fit = [*_natively(model), *RUNTIMES.loading("onnx")]
    if wanted.runtimes:
        named = {one.name: one for one in fit}
        chosen = [name for name in wanted.runtimes if parted(name)[0] in named]
        return sorted(chosen, key=lambda name: list(named).index(parted(name)[0]))
    occasion = "file" if model.kind == "onnx" else "model"
    usual = RUNTIMES.unasked(occasion, wanted.device)
    return [one.name for one in fit if one in usual and not one.ruler]


def _natively(model: UserModel) -> list[RuntimeEntry]:
    """The runtimes of its own framework that can run a model in its form."""
    able = [] if model.kind == "onnx" else [one for kind in model.formats for one in RUNTIMES.loading(kind)]
    return [one for one in able if model.location.form not in one.not_for]


def left_out(wanted: Wanted, model: UserModel, exporters: Collection[str]) -> list[str]:
    """Return why each named runtime that does not apply to the model, or to its exports, is not timed."""
    found = []
    fit = {one.name for one in (*_natively(model), *RUNTIMES.loading("onnx"))}
    for name, (runtime, only) in {name: parted(name) for name in wanted.runtimes}.items():
        if runtime not in fit:
            found.append(f"{name} is left out: it does not run {_in_words(model, RUNTIMES[runtime])}")
        elif only and only not in exporters:
            there = ", ".join(exporters) or "none"
            found.append(f"{name} is left out: the model has no export by {only}, only by {there}")
    return found


def _in_words(model: UserModel, runtime: RuntimeEntry) -> str:
    """Say what a runtime does not run: the form of a model if it runs others of its framework, else the framework."""
    if set(model.formats) & set(runtime.formats):
        return f"a model that comes as a {model.location.form}"
    if f"{model.kind}-decode" in runtime.formats:
        return "anything but a decoder's step"
    return f"models of {model.kind}"
