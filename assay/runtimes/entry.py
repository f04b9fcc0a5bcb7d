"""The description of a runtime, and what the runtimes of one family have in common: plain values."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from assay.entries import installed_versions, load_function
from assay.errors import NotInstalledError

if TYPE_CHECKING:
    from assay.numerics.served import Opened

OpenModel = Callable[[Path, Mapping[str, str], Mapping[str, str], Mapping[str, str]], "Opened"]
"""Opens a model's file, given its path, options, and inputs and outputs in the model's order."""

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
"""Descriptions of how near to its framework a model runs: in the framework it was written in, in the runtime that the
framework's makers made to deploy it, or as an ONNX file. The first two are native.
"""
AS_IT_COMES = "as it comes"
"""The precision of a runtime that chooses by itself: none is asked for, so none can be missed."""


@dataclass(frozen=True)
class Looks:
    """A family's colours and shape in every chart.

    Attributes:
        shape: shape of its points, as Vega-Lite names it.
        light, dark: five shades, "#a83200", for light and dark pages; the first stands for the family. They need a
        contrast of 3:1 with the page's colour.
    """

    shape: str
    light: tuple[str, ...]
    dark: tuple[str, ...]


@dataclass(frozen=True)
class Family:
    """The runtimes of one library.

    Attributes:
        name: the first part of its runtimes' names.
        words: the name that readers know it by.
        framework: framework whose models they run natively: "torch", "tf" or "jax"; "onnx" for runtimes of ONNX files;
            "" for those that run no model at all.
        looks: its look in charts.
        place: order of families in lists and legends; where two cells are tied, the earlier is the simpler one.
        library: its name where versions are shown, and the name of its probe; see `assay.infer.probe`.
        probe: "module:function" that tells what the library finds on this machine, or "".
        needed_for: purpose of the library, for `assay doctor`.
        packages: import names of the packages that it needs.
        does_without: import names of packages that the library imports wherever they are installed, although none of
            its runtimes needs them: a process that is timed imports it as where they are not installed.
        licences: licence of each import package as its distribution says, in SPDX's words.
        extra: the extra of this distribution that installs it, or "".
        profiler: "module:name" of what records profiles (`assay.infer.profile.calls.StartRecorder`), or "".
        ceilings: module with the largest product and copy that the library makes (`assay.infer.ceilings.job.Library`),
            or "".
        gpu_ceilings: "module:function" that measures a GPU's highest rates (`assay.infer.ceilings.job.Measure`), or "".
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
    does_without: tuple[str, ...] = ()
    licences: Mapping[str, str] = field(default_factory=dict)
    extra: str = ""
    profiler: str = ""
    ceilings: str = ""
    gpu_ceilings: str = ""


@dataclass(frozen=True, kw_only=True)
class ServedBy:
    """The way a server runs a model's file like a runtime: with the measured settings, in the audited precision.

    Attributes:
        backend: Triton's backend. "python" runs `opener` in an environment of its own, where Triton has no backend for
            the library, or one that lacks the runtime's settings.
        file: the name of the model's file in a version's folder.
        beside: names of further files that may belong to the model, in the same folder.
        opener: the module with `open_model(path, options, inputs, outputs)`, which can also run the file without a
            server. It imports nothing of ours, so that a deployment can include it as it is.
        maker: "module:function" that makes the file of the audited model (`assay.export.served.native.MakeServed`); ""
            for runtimes of ONNX files, and for those that run the file that was timed and audited.
        wrapper: "module:function" that writes such a file with decoded pixels as input and decisions as output
            (`assay.export.served.made.Wrap`); "" where it is served as it is.
        pixels: layout of such a file's images, where it is served as it is and `opener` adds the wrapping; "" for all
            others.
        checker: "module:function" that refuses a file, by its path, which could act when it is loaded or called; "" for
            a format that cannot.
        is_code: whether the file is code for a processor, so that nothing can tell whether it acts.
        options: options of the backend, by the names that it and `opener` read; "{threads}" stands for the number of
            threads.
        otherwise: options with which the same file is evaluated correctly in another way, empty where there is none.
        packages: distributions that `opener` needs in the environment of a stock server.
        why: the reason for a backend that a reader would not expect, a sentence for the model card; else "".
        model_server: options of OpenVINO Model Server, which serves the same file; empty where it does not.
        accelerators: execution accelerators of Triton's onnxruntime backend on a GPU, the preferred one first, each
            with its options by the names that the backend reads; empty for what is served on the CPU.
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
    accelerators: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def device(self) -> str:
        """The device that it is served on, "cpu" or "cuda"."""
        return "cuda" if self.accelerators else "cpu"

    def options_of(self, threads: int, *, decides: bool = False) -> dict[str, str]:
        """Return the backend's options for so many threads.

        Args:
            decides: whether the input is decoded pixels and the output decisions.
        """
        told = {name: value.format(threads=threads) for name, value in self.options.items()}
        return told | ({"pixels": self.pixels} if decides and self.pixels else {})

    def open(
        self,
        path: Path,
        options: Mapping[str, str],
        inputs: Mapping[str, str],
        outputs: Mapping[str, str],
        *,
        device: str = "",
    ) -> Opened:
        """Open a model's file without a server (`assay.numerics.served.Opened`).

        Args:
            inputs, outputs: NumPy's name of each tensor's type by the tensor's name, in the model's order.
            device: "cpu" to open it there even if it is served on a GPU.

        Raises:
            NotInstalledError: a package that the code needs is missing.
        """
        open_model: OpenModel = load_function(self.file, f"{self.opener}:open_model")
        on_gpu = {} if device == "cpu" or not self.accelerators else {"accelerators": json.dumps(self.accelerators)}
        return open_model(path, {**options, **on_gpu}, inputs, outputs)


@dataclass(frozen=True, kw_only=True)
class RuntimeEntry:
    """Everything that the rest of Assay knows of a runtime.

    Attributes:
        name: the name users write: its family's, or that followed by a dot and more.
        family: the family that it belongs to.
        target: "module:function" that loads a model (`assay.infer.runtime.Load`).
        summary: one line for lists and help texts.
        words: its name in a sentence; "" where that is `name`.
        formats: formats of the models that it loads: "weights" (neutral weights of our architectures), "torch", "tf" or
            "jax" for a user's own, "torch-decode" for a decoder's step alone, and "onnx".
        not_for: forms of a user's model that it does not apply to (`assay.train.brought.model`).
        devices: devices that it runs on, "cpu" and "cuda"; where there is only one, it is asked for, whatever the study
            says.
        precision: precision that it computes in, "" for the model's own, `AS_IT_COMES` where it chooses by itself.
        reduces: the runtime of which it is the version in reduced precision, or "".
        level: its level of graph optimisation, "none", "basic", "extended" or "all", where its family has such levels
            to compare; else "".
        shape: shape of its points in charts, where it runs the same files as a sibling and would look like it; else "".
        deploys: whether it is its framework's own deployment runtime, for which a model is converted into a file of its
            own.
        maker: "module:function" that converts a model into what it loads (`assay.export.programs.request.Make`), in a
            job before anything is timed; "" where it loads the model itself.
        makes_code: whether its maker makes code for the processor that it was made on; such code calls kernels past the
            framework's dispatcher, so that the profiler sees few of them and cannot say where the time goes.
        compiles: whether every process that loads it runs a compiler for many seconds; where a person waits for the
            first times, such a runtime is started after the others.
        calibrated: whether its maker takes ranges of values from images, or from a user's own inputs.
        waits: how a call of it gives up the processor by its own design, the end of a sentence that begins with its
            name; "" for all others. Switches between its threads, and time that it waits, are then no disturbance.
        ruler: "zero" for the runtime that does nothing, "known" for those whose time is known; "" for all others.
        operators: "module:function" that gives its single operators, or ""
            (`assay.bench.auditing.operators.special_job`).
        runner: name of its runs where the numbers of two files are compared
            (`assay.export.localise.on_onnx_runners`), or "".
        served_by: how a server runs its models; None where none can.
        unserved: a sentence on why no server can, and what may be deployed instead.
        unasked: occasions on which it is timed without having been named: in a study, with a model that a user brings,
            or on an ONNX file that a user brings. One for a GPU alone is so only where a GPU is asked for.
        extra: the extra that installs it, if other than its family's.
        needs: import names of packages that it, or the maker of its files, needs in addition to its family's.
        environments: names, by device, of the environment of its own that a worker has there, for packages that cannot
            be installed beside the others' (`assay.bench.timing.environments`).
        distribution: the distribution that brought it, "" for ours.
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
    compiles: bool = False
    calibrated: bool = False
    waits: str = ""
    ruler: Literal["", "zero", "known"] = ""
    operators: str = ""
    runner: str = ""
    served_by: ServedBy | None = None
    unserved: str = ""
    unasked: tuple[Occasion, ...] = ()
    extra: str = ""
    needs: tuple[str, ...] = ()
    environments: Mapping[str, str] = field(default_factory=dict)
    distribution: str = ""

    @property
    def framework(self) -> str:
        return self.family.framework

    @property
    def tier(self) -> Tier:
        """How near to its framework it runs a model (see `TIERS`); "" if it runs none."""
        found = tier_of(self.framework)
        return "deployment" if self.deploys and found == "framework" else found

    @property
    def packages(self) -> tuple[str, ...]:
        return self.family.packages

    @property
    def needed(self) -> tuple[str, ...]:
        """The import names of all that must be there for it to work."""
        return (*self.packages, *self.needs)

    @property
    def installed_by(self) -> str:
        """The extra that installs what it needs, its own or its family's; "" where nothing has to be installed."""
        return self.extra or self.family.extra

    @property
    def runs_files(self) -> bool:
        """Whether it runs ONNX files, so that its cells have an export."""
        return "onnx" in self.formats

    def asked_device(self, wanted: str) -> str:
        """Return the device that it is asked for where a study wants this one."""
        return wanted if wanted in self.devices else self.devices[0]

    def versions(self) -> dict[str, str]:
        """Return the versions of its packages and of the distribution that brought it: each may change what it
        measures.
        """
        name, _, version = self.distribution.rpartition(" ")
        return installed_versions(self.packages) | ({name: version} if name else {})

    def check_installed(self) -> None:
        """Check that the packages that it needs are there, without importing them.

        Raises:
            NotInstalledError: a package is missing.
        """
        needed = [name.partition(".")[0] for name in self.needed]
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
            NotInstalledError: a package that the code needs is missing.
            InputError: it is not a function.
        """
        return load_function(self.name, self.target, self.installed_by)


def tier_of(framework: str) -> Tier:
    """Return the tier of a framework's runtimes, as far as the framework alone determines it."""
    if framework == "onnx":
        return "onnx"
    return "framework" if framework else ""
