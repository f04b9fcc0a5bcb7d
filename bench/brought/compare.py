"""`assay model`: a user's own model, native next to ONNX, from its file to results. No framework is imported here.
Probing, exporting and checking are jobs, and timing is done by the workers of a study; the user's code runs only in
them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from assay.bench.auditing.cells import Compared, compared_cells
from assay.bench.auditing.record import write_audit
from assay.bench.brought.audit import audit_user_model
from assay.bench.brought.decided import check_metric, decided, judgements_of, with_judgements
from assay.bench.brought.exports import Brought, bring, exported, files_of, look_for_deciders
from assay.bench.brought.heading import INT8, heading_of
from assay.bench.brought.mixed_job import tried_by
from assay.bench.brought.mixed_sizes import check_mixed, compared_when_mixed, mixed_group
from assay.bench.brought.sizes import at_sizes, check_sizes
from assay.bench.brought.which_runtimes import left_out, timed_on
from assay.bench.brought.work import Wanted, Work
from assay.bench.machine.host import LOCAL, Host, check_gpu
from assay.bench.machine.machine import check_cores
from assay.bench.stages.attribute import Attributed, attribute_stage
from assay.bench.stages.groups import candidates_of, files_of_model, group_of, on_export, parted
from assay.bench.stages.measure import cells_without_file, measured_cells
from assay.bench.stages.results import file_results
from assay.bench.timing.measurements import Measurements
from assay.bench.timing.schedule import Budget
from assay.bench.timing.trials import BUDGET_SPENT, MINUTES_SPENT, Group
from assay.bench.words.progress import Narrator
from assay.errors import InputError, unknown_name
from assay.export.probing.probe import RECORDS_FILE
from assay.export.variants.mixed import MIXED_MINUTES, SUFFIX
from assay.records.results import Agreement, Cell, Export, Results
from assay.registry import RUNTIMES
from assay.runtimes.known import DEVICES, WEIGHTS
from assay.runtimes.openvino import BF16
from assay.runtimes.rulers import NULL
from assay.spec import Settings
from assay.steps import in_proportion
from assay.train.brought.model import UserModel
from assay.train.brought.own import own_tolerances

COMMAND_SECONDS = 180.0
"""The limit of one command of a worker: to load a model, or to call it until its times are steady; compilers work in
the first call.
"""
CALLS_TO_WARM = 100.0
SHARE = re.compile(r"0?\.\d+|0|1|[01]\.0*")
REDUCED = (INT8, "fp16")
"""Precisions in which `assay.export.variants` makes a file."""
MOST_MIXED_MINUTES = 24.0 * 60
BLOCKS = 10
"""Blocks in one process, as in a study; see `assay.study.BenchSection`."""


@dataclass(frozen=True)
class ComparedModel:
    """A model that has been compared.

    Attributes:
        brought: the model, with its sizes left open where it was compared at several.
        groups: everything that was timed, at each size.
    """

    work: Work
    brought: Brought
    groups: tuple[Group, ...]
    results: Results


def compare_model(wanted: Wanted, folder: Path, narrator: Narrator, *, host: Host = LOCAL) -> Results:
    """Run the whole comparison, and write results and samples into the folder.

    Raises:
        InputError: the model does not load or run, or its inputs are unknown.
        NotInstalledError: its framework is missing.
    """
    return compared_model(wanted, folder, narrator, host=host).results


def compared_model(wanted: Wanted, folder: Path, narrator: Narrator, *, host: Host = LOCAL) -> ComparedModel:
    """Do the same, and return what it was done with."""
    check_wanted(wanted, host)
    work = Work(wanted, folder.resolve(), narrator, host)
    with narrator.showing():
        with work.stage("model", f"Inspecting {wanted.location}"):
            brought = bring(work)
            own = own_tolerances(wanted.tolerances, [one.name for one in brought.model.outputs])
            what = decided(wanted, brought)
        with work.stage("export", "Exporting to ONNX"):
            brought, exports = exported(work, brought, partial(tried_by, wanted, what))
            sides, exports = at_sizes(work, brought, exports)
        check_metric(work, what, brought)
        apart = [
            group_of_model(work, one.model, exports, what.records, records=one.folder / RECORDS_FILE) for one in sides
        ]
        mixed = []
        if wanted.mixed_sizes:
            of_any_size = group_of_model(work, brought.model, exports, what.records)
            mixed = [mixed_group(of_any_size, sides)]
        groups = [*apart, *mixed]
        budget = Budget(
            wanted.minutes * 60, wanted.processes, command_seconds(work), BLOCKS, wanted.interval_width, soon=True
        )
        keys = {group.name: brought.model.fingerprint for group in groups}
        compare = partial(_compared, work, sides, apart, mixed, exports, own)
        measured, timed = measured_cells(
            work, groups, budget, work.store("units"), keys, compare, again=wanted.again, show=narrator.times
        )
        missing = [
            cell
            for group in groups
            for cell in cells_without_file(group, exports, partial(on_export, timed_on(wanted, brought.model)))
        ]
        cells = [_in_terms_of_options(cell) for cell in timed + missing]
        for one in sides:
            judged = judgements_of(work, decided(wanted, one), one, _cells_of(one, cells), measured.logits)
            cells = with_judgements(cells, judged)
        limits = {"call_seconds": command_seconds(work), "minutes": wanted.minutes}
        attribute = partial(attribute_stage, work, apart, cells, opset=wanted.opset, **limits)
        attributed = Attributed() if measured.interrupted else attribute()
        cost = {"cost": list(brought.cost)}
        results = file_results(work, heading_of(work, brought), exports, measured, cells, attributed, cost)
        with work.stage("audit", "Auditing the numbers"):
            write_audit(audit_user_model(work, sides, cells, measured.logits, exports), work.folder)
    return ComparedModel(work, brought, tuple(groups), results)


def _compared(
    work: Work,
    sides: Sequence[Brought],
    apart: Sequence[Group],
    mixed: Sequence[Group],
    exports: Sequence[Export],
    own: Mapping[str, float],
    measured: Measurements,
) -> Compared:
    """Compare the outputs at every size, and those of mixed sizes.

    Args:
        apart: the group of each size.
        mixed: the group whose calls are of mixed sizes, if there is one.
    """
    found = [compared_in(work, side, group, exports, measured, own) for side, group in zip(sides, apart, strict=True)]
    found += [compared_when_mixed(group, sides, work.wanted, measured, own) for group in mixed]
    agreements: dict[str, Agreement] = {}
    calls: dict[str, Agreement] = {}
    for outputs, timed in found:
        agreements |= outputs
        calls |= timed
    return agreements, calls


def _cells_of(brought: Brought, cells: Sequence[Cell]) -> list[Cell]:
    return [cell for cell in cells if cell.size == brought.model.image_size]


def check_wanted(wanted: Wanted, host: Host) -> None:
    """
    Raises:
        InputError: more threads than cores, no GPU where one is asked for, a runtime that does not run users' models,
            or nothing to calibrate with.
        NotInstalledError: a runtime that was named needs a package that is missing.
    """
    check_sizes(wanted)
    check_mixed(wanted)
    if INT8 in wanted.reduced and wanted.inputs is None:
        raise InputError(
            "--precision int8 needs a calibration set, for which drawn inputs are not suitable",
            expected="at least a hundred real inputs",
            remedy="Give them with --inputs",
        )
    check_cores("--threads asks for more than this process has cores", wanted.threads, host.cores())
    if wanted.device not in DEVICES:
        raise InputError("--device is not a device", expected=" or ".join(sorted(DEVICES)), found=wanted.device)
    if wanted.device == "cuda":
        check_gpu("--device cuda", host, "Leave it out to time on the CPU, or run it on a machine with one")
    able = [one for one in RUNTIMES.values() if {*one.formats} - {WEIGHTS} and not one.ruler]
    known = dict.fromkeys(one.name for one in able if {"cpu", wanted.device} & {*one.devices})
    for name, exporter in map(parted, wanted.runtimes):
        if exporter and name in RUNTIMES and not RUNTIMES[name].runs_files:
            raise InputError(f"{name} does not run exports", expected=f"--runtime {name}", found=f"{name}@{exporter}")
        if name not in known and name in {one.name for one in able}:
            raise InputError(f"{name} runs on a GPU alone", remedy="Add --device cuda, on a machine with one")
        if name not in known and name in RUNTIMES:
            raise InputError(f"{name} does not run your own models", expected=f"one of {', '.join(known)}")
        if name not in known:
            raise unknown_name("runtime of your own models", name, known, also=" ".join(map(str, RUNTIMES.refused)))
        RUNTIMES[name].check_installed()


def precisions_of(texts: Sequence[str]) -> tuple[tuple[str, ...], float | None]:
    """Return the precisions that --precision asks for, each once, and the width of intervals, its former meaning.

    Raises:
        InputError: files cannot be made in such a precision.
    """
    found: dict[str, None] = {}
    width = None
    for text in texts:
        if text in REDUCED:
            found[text] = None
        elif SHARE.fullmatch(text):
            width = float(text)
        else:
            raise InputError(
                "--precision cannot make such a file",
                expected=" or ".join(REDUCED),
                found=f"'{text}'",
                remedy=f"OpenVINO computes an fp32 file in bf16: --runtime {BF16.name}" if text == "bf16" else None,
            )
    return tuple(found), width


def mixed_minutes_of(asked: float | None, reduced: Sequence[str]) -> float:
    """Return the minutes of search for the layers that may not be int8, `MIXED_MINUTES` where none are given.

    Raises:
        InputError: it is no such time, or nothing is made in int8.
    """
    if asked is None:
        return MIXED_MINUTES
    if not 0 <= asked <= MOST_MIXED_MINUTES:
        raise InputError(
            "--mixed-minutes is out of range", expected=f"from 0 to {MOST_MIXED_MINUTES:g} minutes", found=f"{asked:g}"
        )
    if INT8 not in reduced:
        raise InputError(
            "--mixed-minutes applies to files in int8, and none are requested", remedy="Add --precision int8"
        )
    return asked


def command_seconds(work: Work) -> float:
    """Return the time limit of one command of a worker: in proportion to the model's own calls."""
    return max(work.wanted.call_limit or 0.0, in_proportion(work.call_seconds, CALLS_TO_WARM, least=COMMAND_SECONDS))


def group_of_model(
    work: Work, model: UserModel, exports: Sequence[Export], audited: int, *, records: Path | None = None
) -> Group:
    """Return all runtimes on one model; those of ONNX on every file that passed its check.

    Args:
        records: file of its records; that of the model at its first size if not given.
    """
    wanted = work.wanted
    files = files_of_model(work, model, exports)
    for why in left_out(wanted, model, [one.exporter for one in exports]):
        work.narrator.note(why)
    records = records or work.folder / "model" / RECORDS_FILE
    return group_of(
        work,
        model,
        candidates_of(work, model, (*timed_on(wanted, model), NULL.name), files),
        lambda: records if wanted.inputs else None,  # nothing is calibrated on random inputs
        batches=_batches(wanted, model),
        settings=Settings(wanted.threads, work.host.cores()[-wanted.threads :], wanted.device),
        images=records,
        audited=audited,
    )


def _batches(wanted: Wanted, model: UserModel) -> tuple[int, ...]:
    """
    Raises:
        InputError: a batch other than the model's own is asked for.
    """
    only = 1 if model.whole else model.batch
    if only is None:
        return tuple(sorted(set(wanted.batches)))
    if set(wanted.batches) - {1, only}:
        raise InputError(
            f"{model.location} takes one batch size",
            expected=f"--batch {only}",
            found=", ".join(map(str, wanted.batches)),
        )
    return (only,)


def compared_in(
    work: Work,
    brought: Brought,
    group: Group,
    exports: Sequence[Export],
    measured: Measurements,
    own: Mapping[str, float] = MappingProxyType({}),
) -> Compared:
    """Compare the outputs; values that decide indices are looked for where outputs differ.

    Args:
        own: the user's own tolerances, by output.
    """

    def compared() -> Compared:
        return compared_cells(group, measured, brought.judge(own), brought.model.arithmetic)

    agreements, timed = compared()
    failed = any(not one.passed or one.margin for one in (*agreements.values(), *timed.values()))
    whole = files_of(work, (one for one in exports if one.precision == "fp32"))
    if failed and look_for_deciders(work, brought, whole):
        return compared()
    return agreements, timed


def _in_terms_of_options(cell: Cell) -> Cell:
    return cell.model_copy(update={"reason": cell.reason.replace(BUDGET_SPENT, MINUTES_SPENT)})


def _refused_variants(exports: Sequence[Export]) -> list[Export]:
    """Return variants that were asked for and may not be used, except int8 files that pass with some layers in fp32."""
    mended = _mended_variants(exports)
    return [one for one in exports if one.is_refused_variant and one.exporter not in mended]


def _mended_variants(exports: Sequence[Export]) -> set[str]:
    """Return the int8 files that fail, and of which a file with some layers in fp32 passes."""
    return {one.exporter.removesuffix(SUFFIX) for one in exports if one.search and one.status == "ok"}


def refusals_of_numbers(results: Results) -> list[str]:
    """Return why numbers or files are refused: these come before anything about speed."""
    asked = [one for one in results.exports if one.precision == "fp32"]
    wrong = [one for one in asked if any(not part.passed for part in one.agreement)]
    wrong += [one for one in asked if not one.agreement and one.file_is_right]
    found = [
        f"{one.exporter}: {one.reason}"
        if one.file_is_right or one.undecided
        else f"the export by {one.exporter} is wrong: {one.reason}"
        for one in wrong
    ]
    found += [f"{one.exporter} may not be used: {one.reason}" for one in _refused_variants(results.exports)]
    found += [f"{one.subject}: {one.reason}" for one in results.cost if not one.passed]
    alike: dict[str, list[str]] = {}
    mended = _mended_variants(results.exports)
    for cell in results.cells:
        if cell.exporter in mended:
            continue
        failed = [part for part in (cell.agreement, cell.timed_agreement) if part is not None and not part.passed]
        for part in failed[:1]:  # what it gave when it was timed is the same again
            alike.setdefault(f"batch {cell.batch}: {part.reason}", []).append(cell.label)
    found += [f"{', '.join(labels)}, {reason}" for reason, labels in alike.items()]
    if not any(one.status == "ok" for one in results.exports):
        found.append("no route gave a usable ONNX file")
    return found
