"""Which runtimes are timed on a model that a user brings: those that were named and apply, or those that do unasked."""

from __future__ import annotations

from assay.bench.brought.work import Wanted
from assay.registry import RUNTIMES
from assay.runtimes.entry import RuntimeEntry
from assay.train.brought.model import UserModel


def natively(wanted: Wanted, model: UserModel) -> list[str]:
    """The runtimes of its own framework that are timed on a model; none on one that is an ONNX file already."""
    able = [] if model.kind == "onnx" else RUNTIMES.loading(model.kind)
    fit = [one for one in able if model.location.form not in one.not_for]
    return [one.name for one in fit if (one.name in wanted.runtimes if wanted.runtimes else "model" in one.unasked)]


def on_files(wanted: Wanted, model: UserModel) -> list[str]:
    """The runtimes that are timed on ONNX files.

    Where there is no native runtime to compare with, the ways to run a file are compared with each other.
    """
    if wanted.runtimes:
        return [one.name for one in RUNTIMES.loading("onnx") if one.name in wanted.runtimes]
    occasion = "file" if model.kind == "onnx" else "model"
    return [one.name for one in RUNTIMES.unasked(occasion) if one.runs_files and not one.ruler]


def left_out(wanted: Wanted, model: UserModel) -> list[str]:
    """Why each runtime that was named and does not apply to the model is not timed."""
    timed = {*natively(wanted, model), *on_files(wanted, model)}
    named = [RUNTIMES[name] for name in dict.fromkeys(wanted.runtimes) if name not in timed]
    return [f"{one.name} is left out: it does not run {_in_words(model, one)}" for one in named]


def _in_words(model: UserModel, runtime: RuntimeEntry) -> str:
    """What a runtime does not run: the form of a model where it runs others of its framework, else the framework."""
    if model.kind in runtime.formats:
        return f"a model that comes as a {model.location.form}"
    return f"models of {model.kind}"
