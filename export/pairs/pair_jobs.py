"""What is asked about two ONNX files that are said to be the same model, and what `on_onnx_pair` answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from assay.jobs.files import Written
from assay.jobs.job import Job
from assay.records.base import Record
from assay.records.localisation import Localised

MODULE = "assay.export.pairs.on_onnx_pair"
FileName = Annotated[str, Field(pattern=r"^[\w-]+\.npz$")]
"""The name of a file in the folder of answers: no path leads out of it."""


class FilePair(Record):
    """Two files.

    Attributes:
        out: takes what is written.
        without: outputs of both files that are left out.
    """

    reference: Path
    candidate: Path
    out: Written
    without: tuple[str, ...] = ()


class PairToRun(FilePair):
    """Two files in runtimes.

    Attributes:
        inputs: .npz or folder of .npy by input name; None draws them.
        dimensions: sizes of dynamic dimensions by name.
        runtimes: as `assay.export.localise.on_onnx_runners` calls them.
    """

    inputs: Path | None
    dimensions: dict[str, int]
    runtimes: tuple[str, ...]


class PairOnInputs(FilePair):
    """Two files on inputs that were used before."""

    inputs: Path


class PairToLocalise(PairOnInputs):
    """Where the candidate goes wrong; `repro` takes a folder for each node."""

    repro: Written


class PairToFollow(PairOnInputs):
    """Where wrong runtimes depart on the candidate, which a right one computes rightly."""

    wrong: tuple[str, ...]
    right: str


class PairToAskItself(PairOnInputs):
    """Whether the files' own rows change with their company; `drawn` are inputs of random numbers."""

    drawn: bool


class PairToHear(PairOnInputs):
    """What further runtimes make of the candidate."""

    runtimes: tuple[str, ...]


class RunsOfPair(Record):
    """The outcome of one call.

    Attributes:
        by, apart, note: of the reference in float64, see `assay.export.reference.on_onnx_exact.Exact`.
        natives, subjects: by run, the file of its outputs.
        failed: by run, why it gave none.
        computed_in: by run, what its runtime says that it computes in, where that may be less than the file has.
    """

    by: str
    apart: float | None
    note: str
    natives: dict[str, FileName]
    subjects: dict[str, FileName]
    failed: dict[str, str]
    computed_in: dict[str, str]


class PairAnswer(RunsOfPair):
    """The outcome of all calls.

    Attributes:
        runtimes: by run of either file, what it ran in.
        edges: the same of a call at the edges; None where there was none.
        made: how inputs were drawn, "" where they were given.
        reference_in, candidate_in: what each file computes in, "fp32", "fp16" or "bf16".
    """

    runtimes: dict[str, str]
    edges: RunsOfPair | None
    made: str
    reference_in: str
    candidate_in: str


class Company(Record):
    """What is said of a candidate in place of "wrong", or ""; see `assay.export.pairs.on_onnx_pair_company`."""

    said: str


class Heard(Record):
    """By runtime, the file of its outputs; one that gave none is missing."""

    files: dict[str, FileName]


RUN = Job(MODULE, "run", PairToRun, PairAnswer)
LOCALISE = Job(MODULE, "localise", PairToLocalise, Localised)
FOLLOW = Job(MODULE, "follow", PairToFollow, Localised)
COMPANY = Job(MODULE, "company", PairToAskItself, Company)
HEAR = Job(MODULE, "hear", PairToHear, Heard)
