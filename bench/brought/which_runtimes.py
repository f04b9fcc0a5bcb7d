"""The choice of runtimes to time on a user's model: those that were named and apply, or those that apply by default."""

from __future__ import annotations

from collections.abc import Collection

from assay.bench.brought.work import Wanted
from assay.registry import RUNTIMES
from assay.runtimes.entry import RuntimeEntry
from assay.train.brought.model import UserModel


def parted(name: str) -> tuple[str, str]:
    """Split a runtime's name from the one export that it is named for, "" for all."""
    runtime, _, exporter = name.partition("@")
    return runtime, exporter


def natively(wanted: Wanted, model: UserModel) -> list[str]:
    """Return the runtimes of its own framework that are timed on a model; none on an ONNX file."""
    able = [] if model.kind == "onnx" else RUNTIMES.loading(model.kind)
    fit = [one for one in able if model.location.form not in one.not_for]
    return [one.name for one in fit if (one.name in wanted.runtimes if wanted.runtimes else "model" in one.unasked)]


def on_files(wanted: Wanted, model: UserModel, exporter: str) -> list[str]:
    """Return the runtimes that are timed on the ONNX file of one export, named as in a study: "ort.cpu" for every
    export, or "openvino@torch-dynamo" for one.

    Where there is no native runtime to compare with, the ways to run a file are compared with each other.
    """
    if wanted.runtimes:
        named = {name for name, only in map(parted, wanted.runtimes) if only in {"", exporter}}
        return [one.name for one in RUNTIMES.loading("onnx") if one.name in named]
    occasion = "file" if model.kind == "onnx" else "model"
    return [one.name for one in RUNTIMES.unasked(occasion) if one.runs_files and not one.ruler]


def left_out(wanted: Wanted, model: UserModel, exporters: Collection[str]) -> list[str]:
    """Return why each named runtime that does not apply to the model, or to its exports, is not timed."""
    found = []
    fit = {*natively(wanted, model), *(one.name for one in RUNTIMES.loading("onnx"))}
    for name, (runtime, only) in {name: parted(name) for name in wanted.runtimes}.items():
        if runtime not in fit:
            found.append(f"{name} is left out: it does not run {_in_words(model, RUNTIMES[runtime])}")
        elif only and only not in exporters:
            there = ", ".join(exporters) or "none"
            found.append(f"{name} is left out: the model has no export by {only}, but {there}")
    return found


def _in_words(model: UserModel, runtime: RuntimeEntry) -> str:
    """Say what a runtime does not run: the form of a model if it runs others of its framework, else the framework."""
    if model.kind in runtime.formats:
        return f"a model that comes as a {model.location.form}"
    return f"models of {model.kind}"
