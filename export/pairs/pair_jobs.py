"""Requests about two ONNX files that are said to be the same model, and the answers of `on_onnx_pair`."""

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
"""The name of a file in the folder of answers, which cannot lead out of it."""


class FilePair(Record):
    """Two files.

    Attributes:
        out: folder for the answers.
        without: outputs of both files to leave out.
    """

    reference: Path
    candidate: Path
    out: Written
    without: tuple[str, ...] = ()


class PairToRun(FilePair):
    """Two files to run in runtimes.

    Attributes:
        inputs: .npz file or folder of .npy files, by input name; None draws them.
        dimensions: sizes of dynamic dimensions by name.
        runtimes: runtimes, by the names of `assay.export.localise.on_onnx_runners`.
    """

    inputs: Path | None
    dimensions: dict[str, int]
    runtimes: tuple[str, ...]


class PairOnInputs(FilePair):
    """Two files on inputs that were used before."""

    inputs: Path


class PairToLocalise(PairOnInputs):
    """A search for where the candidate goes wrong; `repro` gets a folder for each node."""

    repro: Written


class PairToFollow(PairOnInputs):
    """A search for where wrong runtimes depart on the candidate, which a right one computes correctly."""

    wrong: tuple[str, ...]
    right: str


class PairToAskItself(PairOnInputs):
    """A test of whether the files' own rows change with the others of a call; `drawn` if the inputs are random
    numbers.
    """

    drawn: bool


class PairToHear(PairOnInputs):
    """Further runtimes in which to run the candidate."""

    runtimes: tuple[str, ...]


class RunsOfPair(Record):
    """The outcome of one call.

    Attributes:
        by, apart, note: facts about the reference in float64; see `assay.export.reference.on_onnx_exact.Exact`.
        natives, subjects: file of outputs, by run.
        failed: why a run gave no outputs, by run.
        computed_in: precision that a runtime says it computes in, by run, where that may be less than the file's.
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
        runtimes: runtime of each run of either file.
        edges: the outcome of a call at the edges; None where there was none.
        made: how inputs were drawn, "" where they were given.
        reference_in, candidate_in: precision of each file, "fp32", "fp16" or "bf16".
        operators: types of the candidate's nodes.
    """

    runtimes: dict[str, str]
    edges: RunsOfPair | None
    made: str
    reference_in: str
    candidate_in: str
    operators: list[str]


class Company(Record):
    """The verdict on a candidate that replaces "wrong", or ""; see `assay.export.pairs.on_onnx_pair_company`."""

    said: str


class Heard(Record):
    """The file of outputs by runtime; a runtime that gave none is missing."""

    files: dict[str, FileName]


RUN = Job(MODULE, "run", PairToRun, PairAnswer)
LOCALISE = Job(MODULE, "localise", PairToLocalise, Localised)
FOLLOW = Job(MODULE, "follow", PairToFollow, Localised)
COMPANY = Job(MODULE, "company", PairToAskItself, Company)
HEAR = Job(MODULE, "hear", PairToHear, Heard)
