"""From samples to cells and comparisons: where numbers come from, what is not ranked, and what forms a family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars
import pytest

from assay.bench.judging.comparisons import comparisons_of, main_lineup
from assay.bench.judging.races import fastest, races_of
from assay.bench.judging.summary import by_cell, cells_of, ranked
from assay.bench.judging.validity import reasons
from assay.bench.timing.trials import CellFacts, Group
from assay.bench.timing.workers import Candidate
from assay.files.columns import SAMPLE_COLUMNS
from assay.infer.observing.observed import NODES_ON_CPU
from assay.infer.runtime import ModelFiles
from assay.records.base import TOO_FEW, Interval
from assay.records.races import SpeedComparison
from assay.records.results import Agreement, Cell
from assay.spec import ModelSpec, Settings
from assay.train.built import BuiltModel
from tests.bench.judging.test_validity import AGREES, WRONG, cell, timing

NATIVE, ONNX = "torch.eager", "ort.cpu@torch-dynamo"
BLOCKS, CALLS = 4, 5


def group(size: int) -> Group:
    """PyTorch and ONNX Runtime on one model."""
    files = ModelFiles(model=BuiltModel(spec=ModelSpec("bloodnet", size, 8)))
    candidates = (Candidate("torch.eager", "", files), Candidate("ort.cpu", "torch-dynamo", files))
    return Group(f"bloodnet/{size}/t1", candidates, (1,), Settings(), Path("images.npy"))


def timed(groups: Sequence[Group], processes: Mapping[str, Sequence[float]]) -> polars.DataFrame:
    """Host calls of this many ms in each process, by label; calls at the boundary "device" take half as long."""
    rows = [
        (one.cell_name(1, label), process, block, call, boundary, int(ms * share * 1e6), 0)
        for one in groups
        for label, times in processes.items()
        for process, ms in enumerate(times)
        for block in range(BLOCKS)
        for call in range(CALLS)
        for boundary, share in (("host", 1.0), ("device", 0.5))
    ]
    return polars.DataFrame(rows, schema=SAMPLE_COLUMNS, orient="row")


def cells(groups: Sequence[Group], samples: polars.DataFrame, agreements: dict[str, Agreement]) -> list[Cell]:
    names = [one.cell_name(1, candidate.label) for one in groups for candidate in one.candidates]
    facts = [
        CellFacts(
            cell=name,
            process=process,
            import_seconds=1 + process,
            load_seconds=2 + process,
            first_call_seconds=3 + process,
            peak_mib=100 * (process + 1),
            precision="fp32",
        )
        for name in names
        for process in (1, 0, 2)
    ]
    return cells_of(groups, facts, samples, agreements, {one.name: "weights" for one in groups})


def comparisons_by_samples(cells: Sequence[Cell], samples: polars.DataFrame) -> list[SpeedComparison]:
    timed = by_cell(samples)
    return comparisons_of(cells, races_of(cells, timed), timed)


def compared(
    groups: Sequence[Group], processes: Mapping[str, Sequence[float]], **wrong: Agreement
) -> list[SpeedComparison]:
    samples = timed(groups, processes)
    agreements = {one.cell_name(1, label): AGREES for one in groups for label in processes} | wrong
    return comparisons_by_samples(cells(groups, samples, agreements), samples)


def test_each_boundary_has_its_own_times_and_each_fact_its_own_rule() -> None:
    one = group(28)
    samples = timed([one], {NATIVE: (2.0, 2.0, 2.0), ONNX: (1.0, 1.0, 1.0)})
    native, onnx = cells([one], samples, {})
    assert native.host is not None
    assert native.device is not None
    assert native.throughput is not None
    assert (native.host.median_ms.value, native.device.median_ms.value) == pytest.approx((2.0, 1.0))
    assert native.throughput.value == pytest.approx(500)
    assert native.cold is not None
    found = (native.cold.import_seconds, native.cold.load_seconds, native.cold.first_call_seconds)
    assert found == (2, 3, 3), "medians over processes, but the first call is the first process's"
    assert native.peak_memory_mib == 300
    assert onnx.label == ONNX


def test_the_time_to_make_a_runtimes_file_is_given_with_its_cold_start() -> None:
    one = group(28)
    native, onnx = one.candidates
    made = replace(one, candidates=(replace(native, made_seconds=40.5), onnx))
    found = cells([made], timed([one], {NATIVE: (2.0,) * 3, ONNX: (1.0,) * 3}), {})
    assert [cell.cold.made_seconds for cell in found if cell.cold] == [40.5, None]
    assert next(cell.cold for cell in cells([made], timed([one], {ONNX: (1.0,) * 3}), {})) is None
    assert "made_seconds" not in found[1].model_dump_json()


@pytest.mark.parametrize("allowed", [False, True])
def test_nodes_left_on_the_cpu_invalidate_a_cell_unless_the_study_allows_them(allowed: bool) -> None:
    one = replace(group(28), candidates=group(28).candidates[1:], nodes_on_cpu=allowed)
    name = one.cell_name(1, ONNX)
    seen = {NODES_ON_CPU: "Shape sizes"}
    told = [CellFacts(cell=name, process=0, peak_mib=1, first_call_seconds=1, facts=seen)]
    (found,) = cells_of([one], told, timed([one], {ONNX: [2.0]}), {}, {one.name: "key"})
    held = [reason for reason in reasons(found.model_copy(update={"processor_use": 1.0})) if NODES_ON_CPU in reason]
    assert bool(held) != allowed
    assert "Shape sizes" in found.provenance.values()


def test_a_wrong_cell_is_not_compared_with_another() -> None:
    one = group(28)
    times = {NATIVE: (2.0, 2.01, 1.99), ONNX: (1.0, 1.01, 0.99)}
    assert [found.verdict for found in compared([one], times)] == ["faster"]
    assert compared([one], times, **{one.cell_name(1, ONNX): WRONG}) == []
    assert compared([one], times, **{one.cell_name(1, NATIVE): WRONG}) == []


def test_verdicts_of_all_groups_are_one_family() -> None:
    """A difference of 4 % known to 0.7 % has p = 0.03 with three processes: enough alone, but not as one of twelve."""
    native = 1.04 * np.exp([-0.012, 0.0, 0.012])
    times = {NATIVE: tuple(native), ONNX: (1.0, 1.0, 1.0)}
    assert [found.verdict for found in compared([group(28)], times)] == ["faster"]
    twelve = [group(28 + number) for number in range(12)]
    assert {found.verdict for found in compared(twelve, times)} == {"undecided"}


def test_what_its_first_process_put_out_of_the_running_counts_as_a_rival_and_is_not_ranked() -> None:
    """The fastest of three was lucky, whether or not the others were timed to the end."""
    files = ModelFiles(model=BuiltModel(spec=ModelSpec("bloodnet", 28, 8)))
    one = group(28)
    slow = ("torch.script", "jax.jit")
    further = tuple(Candidate(name, "", files) for name in slow)
    all_of_them = Group(one.name, (*one.candidates, *further), one.batches, one.settings, one.images)
    samples = timed([all_of_them], {NATIVE: (2.0, 2.02, 1.98), ONNX: (1.0, 1.01, 1.02), **dict.fromkeys(slow, (3.0,))})
    all_cells = cells([all_of_them], samples, {})
    few = [f"{TOO_FEW} processes: 1, at least 2 are needed"]

    def speedup(*invalid: str) -> Interval:
        reasons = {label: list(invalid) for label in slow}
        changed = [cell.model_copy(update={"invalid": reasons.get(cell.label, [])}) for cell in all_cells]
        (found,) = comparisons_by_samples(changed, samples)
        assert set(found.ratios) == {NATIVE, ONNX}
        return found.speedup

    dropped, wrong = speedup(*few), speedup("wrong outputs in timed calls: 0.1", *few)
    assert dropped.high > wrong.high * 1.005
    assert dropped.low == wrong.low, "there is one ONNX cell, whoever stands against it"


def test_a_cell_that_failed_in_one_process_failed_and_one_without_calls_was_not_measured() -> None:
    one = group(28)
    samples = timed([one], {NATIVE: (2.0, 2.0, 2.0)})
    name = one.cell_name(1, NATIVE)

    def fact(process: int, reason: str = "", *, skipped: bool = False) -> CellFacts:
        return CellFacts(
            cell=name, process=process, import_seconds=1, load_seconds=1, first_call_seconds=1, peak_mib=1,
            precision="fp32", reason=reason, skipped=skipped,
        )  # fmt: skip

    def told(*facts: CellFacts) -> tuple[str, str]:
        found = cells_of([one], facts, samples, {}, {one.name: "weights"})[0]
        return found.status, found.reason

    assert told(fact(0), fact(1, "killed"), fact(2)) == ("failed", "killed")
    assert told(fact(0), fact(1, "no time was left", skipped=True)) == ("ok", "")
    assert told(fact(0, "no time was left", skipped=True)) == ("skipped", "no time was left")
    assert told() == ("skipped", "nothing was measured")
    loaded = fact(0).model_copy(update={"cell": one.cell_name(1, ONNX)})
    untimed = cells_of([one], [loaded], samples, {}, {one.name: "weights"})[1]
    assert (untimed.status, untimed.reason) == ("skipped", "nothing was measured")


def test_images_a_second_follow_from_the_batch_and_bounds_change_places() -> None:
    found = Interval(value=4.0, low=2.0, high=8.0).per_second(32)
    assert (found.low, found.value, found.high) == (4000, 8000, 16000)


@pytest.mark.parametrize(
    ("changes", "may_be"),
    [
        ({}, True),
        ({"agreement": None}, True),
        ({"agreement": WRONG}, False),
        ({"status": "failed"}, False),
        ({"host": None}, False),
        ({"framework": ""}, False),
        ({"invalid": ["drift"]}, False),
    ],
)
def test_only_what_may_be_believed_is_ranked(changes: dict[str, object], may_be: bool) -> None:
    assert ranked(cell(**{"agreement": AGREES} | changes)) == may_be


def labelled(label: str, ms: float, precision: str = "fp32") -> Cell:
    runtime, _, exporter = label.partition("@")
    framework = "onnx" if exporter else runtime.partition(".")[0]
    return cell(name=label, label=label, runtime=runtime, exporter=exporter, framework=framework, precision=precision,
                host=timing(ms))  # fmt: skip


EAGER, JIT = "torch.eager", "jax.jit"
A, B = "ort.cpu@torch-dynamo", "ort.cpu@tf2onnx"


@pytest.mark.parametrize(
    ("precisions", "native", "onnx"),
    [
        ({EAGER: "fp32", JIT: "fp32", A: "fp32"}, [EAGER, JIT], [A]),
        ({EAGER: "fp32", JIT: "bf16", A: "int8", B: "fp32"}, [EAGER], [B]),
        ({EAGER: "fp32", A: "int8"}, [], []),
        ({EAGER: "fp32", JIT: "int8", A: "int8"}, [JIT], [A]),
        ({EAGER: "bf16", JIT: "fp16", A: "bf16"}, [EAGER], [A]),
        ({EAGER: "bf16", JIT: "fp16", A: "bf16", B: "fp16"}, [EAGER], [A]),
        ({JIT: "fp16", EAGER: "bf16", A: "bf16", B: "fp16"}, [JIT], [B]),
        ({EAGER: "bf16", A: "fp32"}, [], []),
    ],
)
def test_cells_are_compared_within_one_precision(
    precisions: dict[str, str], native: list[str], onnx: list[str]
) -> None:
    """Full precision if there is any, else the precision of the fastest native cell that ONNX has too; the first one
    here.
    """
    members = [labelled(label, 1.0 + place, one) for place, (label, one) in enumerate(precisions.items())]
    found = main_lineup(members)
    sides = (found.natives, found.exported) if found else ([], [])
    assert [[one.label for one in side] for side in sides] == [native, onnx]


def test_the_fastest_is_the_one_of_the_least_median_and_none_of_none() -> None:
    cells = [labelled("a", 2.0), labelled("b", 1.0), labelled("c", 3.0)]
    assert fastest(cells) is cells[1]
    assert fastest([]) is None
    assert fastest([cells[0].model_copy(update={"host": None}), cells[2]]) is cells[2]
