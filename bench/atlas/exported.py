"""An operator of a framework, exported by every route, and each file checked and followed."""

from __future__ import annotations

import re
import shutil
import traceback
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from assay.bench.atlas.attempts import BOUNDS, Attempt, News, OperatorRequest, about_all, finding_on
from assay.bench.atlas.conditioning import is_explained
from assay.bench.atlas.probed import ProbedOperator, probed, probed_in_rows
from assay.bench.atlas.record import Finding, Verdict
from assay.bench.atlas.suites.suite import Sample, Suite, with_further_numbers, written
from assay.bench.atlas.unordered import same_in_one_order
from assay.errors import AssayError, ExportFailedError
from assay.export.checking.records import OtherOutputsError
from assay.export.graph.inspect import one_line
from assay.export.job import CheckExportRequest, RouteRequest, check, work
from assay.export.localise.localise_job import PartingsRequest, partings_of
from assay.export.probing.undecided import UnsoundError
from assay.export.record import MODEL_FILE, Judged
from assay.files.arrays import load_array
from assay.numerics.agreement import NOT_COMPARED
from assay.numerics.guilt import UNOPTIMISED
from assay.records.localisation import Localisation
from assay.train.brought.model import Tensor

DIFFERENT: tuple[Verdict, ...] = ("wrong", "wrong in the runtime", "only unoptimised")
"""Verdicts on numbers that are not the operator's."""
NEAR = 2.0
DISTANCE = re.compile(r"differs by ([\d.e+-]+), where ([\d.e+-]+) is tolerated")
Exported = dict[str, tuple[Tensor, ...]]
"""The outputs of the model that a route's file was made from, by the folder of the file."""


def judged_samples(request: OperatorRequest, suite: Suite) -> Iterator[News]:
    """Judge the samples of an operator in this process, each by every route; one that is a batch of rows also with an
    open batch.
    """
    exported, none, opened = Exported(), True, False
    samples = with_further_numbers(suite.reader().samples(request.operator, request.dtype, request.most))
    while True:
        try:
            sample = next(samples, None)
        except AssayError:
            raise
        except Exception as error:  # noqa: BLE001  whatever a suite's generator raises
            traceback.print_exc()
            yield from about_all(request, "not judged", f"Its samples cannot be made: {_said(error)}")
            return
        if sample is None:
            break
        none = False
        right = []
        for news in _sampled(request, suite, sample, exported):
            right += [news.finding.route] if news.finding and news.finding.verdict == "right" else []
            yield news
        if sample.numbers == "given" and right and not opened:
            opened = yield from _opened(request, suite, sample, right)
    if none:
        yield from about_all(request, "not comparable", "No sample of it has tensors of numbers that NumPy has")


def _attempt(sample: Sample) -> Attempt:
    shapes = ", ".join(f"{one.dtype.name} {list(one.shape)}" for one in sample.inputs.values())
    return Attempt(sample=sample.place, numbers=sample.numbers, inputs=shapes)


def _sampled(request: OperatorRequest, suite: Suite, sample: Sample, exported: Exported) -> Iterator[News]:
    itself = _attempt(sample)
    routes = [itself.model_copy(update={"route": route}) for route in request.routes]
    if itself.key in request.done or all(one.key in request.done for one in routes):
        return
    BOUNDS.begin()
    yield News(begun=itself)
    folder = request.folder / sample.name
    found = partial(finding_on, request, itself)
    try:
        call = probed(suite, written(sample, suite, folder), sample.inputs)
    except UnsoundError as error:
        beyond = sample.numbers != "given"  # such as exp(1000), which fp32 has not
        yield News(finding=found("not comparable" if beyond else "native is off", str(error)))
        return
    except AssayError as error:
        yield News(finding=found("not comparable", str(error)))
        return
    except Exception as error:  # noqa: BLE001  whatever a suite's operator raises
        traceback.print_exc()
        yield News(finding=found("not judged", _said(error)))
        return
    for attempt in routes:
        place, given = folder / attempt.route, request.folder / f"{sample.place}-given" / attempt.route
        is_refused = sample.numbers != "given" and given.is_dir() and not (given / MODEL_FILE).is_file()
        if attempt.key in request.done or is_refused:
            continue
        BOUNDS.begin()
        yield News(begun=attempt)
        place.mkdir(parents=True, exist_ok=True)
        if exported.get(str(given)) == call.model.outputs:
            shutil.copy2(given / MODEL_FILE, place)
        yield News(finding=_routed(call, request, attempt, place))
        if (place / MODEL_FILE).is_file():
            exported[str(place)] = call.model.outputs


def _opened(
    request: OperatorRequest, suite: Suite, given: Sample, routes: Sequence[str]
) -> Generator[News, None, bool]:
    """Judge a sample with an open batch, by the routes that export it rightly; return whether it is a batch of rows."""
    sample = replace(given, numbers="rows")
    itself = _attempt(sample)
    attempts = [itself.model_copy(update={"route": route}) for route in routes]
    if itself.key in request.done or all(one.key in request.done for one in attempts):
        return False
    BOUNDS.begin()
    yield News(begun=itself)
    folder = request.folder / sample.name
    call = None
    with suppress(Exception):  # what it raises has been told of its own batch
        call = probed_in_rows(suite, written(sample, suite, folder), sample.inputs)
    for attempt in attempts if call else ():
        assert call is not None
        if attempt.key in request.done:
            continue
        BOUNDS.begin()
        yield News(begun=attempt)
        place = folder / attempt.route
        place.mkdir(parents=True, exist_ok=True)
        yield News(finding=_with_fixed_batch(_routed(call, request, attempt, place)))
    return call is not None


def _with_fixed_batch(found: Finding) -> Finding:
    """Return the finding on an open batch, by a route that exports the sample rightly: it has lost the batch where it
    refuses an open one, or its file does not run.
    """
    lost = found.verdict in ("not exported", "not run")
    return found.model_copy(update={"verdict": "fixed batch"}) if lost else found


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error)}"


def _routed(call: ProbedOperator, request: OperatorRequest, attempt: Attempt, folder: Path) -> Finding:
    """Export by one route, check the file, and follow it to its node where it is wrong.

    A file that is there was made with other numbers of the same shapes, and is checked with these.
    """
    route, found = attempt.route, partial(finding_on, request, attempt, kernels=call.kernels)
    asked = RouteRequest(
        model=call.model,
        exporter=route,
        opset=request.opset,
        key="",
        folder=folder,
        examples=call.against.records,
    )
    try:
        if not asked.file.is_file():
            work(asked)
    except AssayError as error:
        asked.file.unlink(missing_ok=True)
        return found("not exported", str(error))
    checked = CheckExportRequest(model=call.model, exporter=route, file=asked.file, **dict(call.against))
    try:
        judged = check(checked)
    except ExportFailedError as error:
        runs = isinstance(error, OtherOutputsError) and attempt.numbers != "rows"  # with an open batch it has lost that
        return found("wrong" if runs else "not run", str(error), NOT_COMPARED if runs else 0.0)
    except AssayError as error:
        return found("undecided", str(error))
    except Exception as error:  # noqa: BLE001  no file of an exporter may end the atlas
        traceback.print_exc()
        return found("not judged", _said(error))
    verdict, reason, apart = verdict_of(judged), judged.reason, _apart(judged)
    if verdict in DIFFERENT and call.unordered and _is_reordered(call, asked.file):
        verdict, reason, apart = "right", "", 0.0
    if why := _doubt(verdict, call, judged, asked.file):
        return found("undecided", f"{why}: {reason}", apart)
    nodes: list[Localisation] = []
    if verdict in ("wrong", "undecided"):
        repro = folder / "repro"
        repro.mkdir(exist_ok=True)
        with suppress(AssayError):  # what cannot be followed is wrong all the same
            nodes = partings_of(
                PartingsRequest(
                    model=call.model,
                    file=asked.file,
                    records=call.against.records,
                    native=call.against.native,
                    repro=repro,
                )
            )
    return found(verdict, reason, apart, nodes)


def _doubt(verdict: Verdict, call: ProbedOperator, judged: Judged, file: Path) -> str:
    """Return why numbers that differ are not called wrong, or ""."""
    if verdict not in DIFFERENT:
        return ""
    if is_near(judged):
        return f"Less than {NEAR:g} times the tolerance"
    records, exact = load_array(call.against.records), load_array(call.against.reference)
    explained = is_explained(call.model, file, records, exact, call.moved)
    return "A rounding of its inputs explains as much" if explained else ""


def _is_reordered(call: ProbedOperator, file: Path) -> bool:
    assert call.unordered
    records, native = load_array(call.against.records), load_array(call.against.native)
    return same_in_one_order(call.model, file, records, native, call.unordered)


def is_near(judged: Judged) -> bool:
    """Return whether nothing is further off than `NEAR` times its tolerance, which is an estimate."""
    failed = [DISTANCE.search(one.reason) for one in judged.agreement if not one.passed]
    return bool(failed) and all(one is not None and float(one[1]) < NEAR * float(one[2]) for one in failed)


def verdict_of(judged: Judged) -> Verdict:
    """Return the verdict on a file that was checked."""
    if not judged.reason:
        return "right"
    if not judged.agreement:  # it runs in other runtimes alone
        return "not run"
    if judged.undecided:
        return "undecided"
    if not judged.file_is_right:
        return "wrong"
    return "only unoptimised" if judged.right_in == UNOPTIMISED else "wrong in the runtime"


def _apart(judged: Judged) -> float:
    """Return the largest distance over its tolerance, `NOT_COMPARED` where one cannot be measured."""
    lost = any(not one.passed and one.max_absolute == NOT_COMPARED for one in judged.agreement)
    shares = (one.max_absolute / one.tolerance for one in judged.agreement if one.tolerance)
    return NOT_COMPARED if lost else max(shares, default=0.0)
