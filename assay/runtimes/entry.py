"""What a runtime says about itself, and what the runtimes of one family have in common: plain values."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from assay.entries import installed_versions, load_function
from assay.errors import NotInstalledError

if TYPE_CHECKING:
    from assay.numerics.served import Opened

OpenModel = Callable[[Path, Mapping[str, str], Mapping[str, str], Mapping[str, str]], "Opened"]
"""Opens a model's file: given its path, options, and inputs and outputs in the model's order."""

SHADES = 5
LAST = 1000
"""The place of a family that names none: after ours."""

Framework = Literal["torch", "tf", "jax", "onnx", ""]
Occasion = Literal["study", "model", "file"]
Tier = Literal["framework", "deployment", "onnx", ""]
TIERS: Mapping[Tier, str] = {
    "framework": "in the framework",
    "deployment": "in the framework's own deployment runtime",
    "onnx": "through ONNX",
}
"""How near to its framework a model runs, in words: by what it was written in, by what the framework's own people made
to deploy it with, or as an ONNX file. What is native is of the first two."""
AS_IT_COMES = "as it comes"
"""The precision of a runtime that chooses by itself: none is asked for, so none can be missed."""


@dataclass(frozen=True)
class Looks:
    """A family's colours and shape in every chart.

    Attributes:
        shape: of its points, as Vega-Lite names it.
        light, dark: five shades, "#a83200", for light and dark pages; the first stands for the family. On the page's
            own colour they need a contrast of 3:1.
    """

    shape: str
    light: tuple[str, ...]
    dark: tuple[str, ...]


@dataclass(frozen=True)
class Family:
    """Runtimes of one library.

    Attributes:
        name: the first part of its runtimes' names.
        words: what readers know it by.
        framework: whose models they run natively: "torch", "tf" or "jax"; "onnx" of runtimes of ONNX files; "" of
            what runs no model at all.
        looks: in charts.
        place: order of families in lists and legends, and where two cells are tied, which is the simpler one.
        library: what it is called where its versions are told; its probe's name, see `assay.infer.probe`.
        probe: "module:function" that tells what the library finds on this machine; "" where nothing does.
        needed_for: what the library is needed for, for `assay doctor`.
        packages: the import names that must be there for it to work.
        licences: by import package its licence, as its distribution says, in SPDX's words.
        extra: the extra of this distribution that installs it, or "".
        profiler: "module:class" that records profiles (`assay.infer.profile.calls.StartRecorder`), or "".
        ceilings: module with the largest product and copy that the library makes (`assay.infer.ceilings.job.Library`),
            or "".
    """

    name: str
    words: str
    framework: Framework
    looks: Looks
    place: int = LAST
    library: str = ""
    probe: str = ""
    needed_for: str = ""
    packages: tuple[str, ...] = ()
    licences: Mapping[str, str] = field(default_factory=dict)
    extra: str = ""
    profiler: str = ""
    ceilings: str = ""


@dataclass(frozen=True, kw_only=True)
class ServedBy:
    """How a server runs a model's file as a runtime does: with what was measured, in the precision that was audited.

    Attributes:
        backend: Triton's. "python" runs `opener` in an environment of its own: where Triton has no backend for the
            library, or has one that cannot be told what the runtime is told.
        file: the name of the model's file in a version's folder.
        beside: names of further files that may belong to the model, in the same folder.
        opener: the module with `open_model(path, options, inputs, outputs)`, which runs the file without a server too.
            It imports nothing of ours, so that a deployment takes it along as it is.
        maker: "module:function" that makes the file of the audited model (`assay.export.served.native.MakeServed`); ""
            of what runs ONNX files, and of what runs the file that was made to be timed and audited.
        wrapper: "module:function" that writes such a file with decoded pixels going in and decisions coming out
            (`assay.export.served.made.Wrap`); "" where it is served as it is.
        pixels: the layout that such a file takes images in, where it is served as it is and `opener` puts the same
            around it; "" of all others.
        checker: "module:function" that refuses a file, by its path, which could act when it is loaded or called; "" of
            a format that cannot.
        is_code: the file is code for a processor, so that nothing can tell whether it acts.
        options: of the backend, by the names that it and `opener` read; "{threads}" stands for their number.
        otherwise: options with which the same file is evaluated correctly in another way, "" where there is none.
        packages: distributions that `opener` needs, for the environment of a stock server.
        why: the reason for a backend that a reader would not expect, a sentence for the model card; else "".
        model_server: options of OpenVINO Model Server, which serves the same file; none where it does not.
    """

    backend: str
    file: str
    opener: str
    options: Mapping[str, str]
    otherwise: Mapping[str, str] = field(default_factory=dict)
    beside: tuple[str, ...] = ()
    maker: str = ""
    wrapper: str = ""
    pixels: str = ""
    checker: str = ""
    is_code: bool = False
    packages: tuple[str, ...] = ()
    why: str = ""
    model_server: Mapping[str, str] = field(default_factory=dict)

    def options_of(self, threads: int, *, decides: bool = False) -> dict[str, str]:
        """What the backend is told, with so many threads.

        Args:
            decides: decoded pixels go in, and decisions come out.
        """
        told = {name: value.format(threads=threads) for name, value in self.options.items()}
        return told | ({"pixels": self.pixels} if decides and self.pixels else {})

    def open(
        self, path: Path, options: Mapping[str, str], inputs: Mapping[str, str], outputs: Mapping[str, str]
    ) -> Opened:
        """A model's file, opened without a server (`assay.numerics.served.Opened`).

        Args:
            inputs, outputs: by name NumPy's name of their types, in the model's order.

        Raises:
            NotInstalledError: a package it needs is missing.
        """
        open_model: OpenModel = load_function(self.file, f"{self.opener}:open_model")
        return open_model(path, options, inputs, outputs)


@dataclass(frozen=True, kw_only=True)
class RuntimeEntry:
    """Everything that the rest of Assay knows of a runtime.

    Attributes:
        name: the name users write: its family's, or that and more after a dot.
        family: what it has in common with its siblings.
        target: "module:function" that loads a model (`assay.infer.runtime.Load`).
        summary: one line for lists and help texts.
        words: what readers know it by in a sentence; "" where that is its name.
        formats: the models that it loads: "weights" (neutral ones of our architectures), a user's own of "torch", "tf"
            or "jax", and "onnx".
        not_for: forms of a user's model that it does not apply to (`assay.train.brought.model`).
        devices: that it runs on, "cpu" and "cuda"; where it runs on one alone, that is asked for, whatever the
            study says.
        precision: that it computes in, "" for the model's own, `AS_IT_COMES` where it chooses by itself.
        reduces: the runtime that it is in a reduced precision, or "".
        level: how far it optimises the graph of a file, "none", "basic", "extended" or "all", where its family has
            such levels to compare; else "".
        shape: of its points in charts, where it runs the same files as a sibling and would look like it; else "".
        deploys: it is its framework's own deployment runtime: a model is converted for it into a file of its own.
        maker: "module:function" that makes what it loads of a model (`assay.export.programs.request.Make`), in a job
            before anything is timed; "" where it loads the model itself.
        makes_code: what its maker makes is code for the processor that it was made on; it calls kernels past the
            framework's dispatcher, so that its profiler sees few of them and says nothing of where the time goes.
        calibrated: its maker takes ranges of values from images, or a user's own inputs.
        ruler: "zero" of the runtime that does nothing, "known" of those whose time is known; "" of all others.
        operators: "module:function" that gives its single operators (`assay.infer.operators.special_job`), or "".
        runner: what a run of one file in it is called where the numbers of two files are compared
            (`assay.export.localise.on_onnx_runners`), or "".
        served_by: how a server runs what it runs; None where nothing does.
        unserved: why nothing does, and what may be deployed instead, a sentence.
        unasked: where it is timed without having been named: in a study, beside a model that a user brings, or on an
            ONNX file that a user brings.
        extra: the extra that installs it where that is not its family's.
        needs: import names that must be there beside its family's, for it or for what makes its files.
        distribution: the one that brought it, "" of ours.
    """

    name: str
    family: Family
    target: str
    summary: str
    words: str = ""
    formats: tuple[str, ...] = ()
    not_for: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("cpu",)
    precision: str = ""
    reduces: str = ""
    level: str = ""
    shape: str = ""
    deploys: bool = False
    maker: str = ""
    makes_code: bool = False
    calibrated: bool = False
    ruler: Literal["", "zero", "known"] = ""
    operators: str = ""
    runner: str = ""
    served_by: ServedBy | None = None
    unserved: str = ""
    unasked: tuple[Occasion, ...] = ()
    extra: str = ""
    needs: tuple[str, ...] = ()
    distribution: str = ""

    @property
    def framework(self) -> str:
        return self.family.framework

    @property
    def tier(self) -> Tier:
        """How near to its framework it runs a model, see `TIERS`; "" of what runs none."""
        found = tier_of(self.framework)
        return "deployment" if self.deploys and found == "framework" else found

    @property
    def packages(self) -> tuple[str, ...]:
        return self.family.packages

    @property
    def installed_by(self) -> str:
        """The extra that brings what it needs, its own or its family's; "" where nothing has to be installed."""
        return self.extra or self.family.extra

    @property
    def runs_files(self) -> bool:
        """Whether it runs ONNX files, so that its cells have an export."""
        return "onnx" in self.formats

    def asked_device(self, wanted: str) -> str:
        """The device that is asked of it where a study wants this one."""
        return wanted if wanted in self.devices else self.devices[0]

    def versions(self) -> dict[str, str]:
        """The versions of its packages and of the distribution that brought it: what it measures may change with
        each.
        """
        name, _, version = self.distribution.rpartition(" ")
        return installed_versions(self.packages) | ({name: version} if name else {})

    def check_installed(self) -> None:
        """Look whether what it needs is there, without importing it.

        Raises:
            NotInstalledError: a package is missing.
        """
        needed = [name.partition(".")[0] for name in (*self.packages, *self.needs)]
        missing = [name for name in needed if importlib.util.find_spec(name) is None]
        if missing:
            extra = self.installed_by
            raise NotInstalledError(
                f"'{self.name}' needs the Python package '{missing[0]}', which is not installed",
                remedy=f"Install it with: pip install 'onnx-assay[{extra}]'" if extra else None,
            )

    def load(self) -> Callable[..., Any]:
        """Import and return the function that loads a model.

        Raises:
            NotInstalledError: a package it needs is missing.
            InputError: it is no function.
        """
        return load_function(self.name, self.target, self.installed_by)


def tier_of(framework: str) -> Tier:
    """The tier of a runtime of a framework, as far as that alone says it."""
    if framework == "onnx":
        return "onnx"
    return "framework" if framework else ""
