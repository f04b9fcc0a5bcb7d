"""From samples to cells and comparisons: what comes from where, what is not ranked, and what is read together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars
import pytest

from assay.records import Interval
from assay.results import SAMPLE_COLUMNS, Agreement, Cell, Comparison
from assay.spec import ModelSpec, Settings
from bench.stats import TOO_FEW
from bench.summary import cells_of, comparisons_of
from bench.trials import CellFacts, Group
from bench.workers import Candidate
from infer.runtime import ModelFiles
from tests.bench.test_validity import AGREES, WRONG

NATIVE, ONNX = "torch.eager", "ort.cpu@torch-dynamo"
BLOCKS, CALLS = 4, 5


def group(size: int) -> Group:
    """PyTorch and ONNX Runtime on one model."""
    files = ModelFiles(spec=ModelSpec("bloodnet", size, 8))
    candidates = (Candidate("torch.eager", "", files), Candidate("ort.cpu", "torch-dynamo", files))
    return Group(f"bloodnet/{size}/t1", candidates, (1,), Settings(), Path("images.npy"))


def timed(groups: Sequence[Group], processes: Mapping[str, Sequence[float]]) -> polars.DataFrame:
    """Host calls of so many ms in each process, by label; those at the boundary "device" take half as long."""
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


def compared(groups: Sequence[Group], processes: Mapping[str, Sequence[float]], **wrong: Agreement) -> list[Comparison]:
    samples = timed(groups, processes)
    agreements = {one.cell_name(1, label): AGREES for one in groups for label in processes} | wrong
    return comparisons_of(cells(groups, samples, agreements), samples)


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


def test_of_two_cells_a_wrong_one_is_not_compared() -> None:
    one = group(28)
    times = {NATIVE: (2.0, 2.01, 1.99), ONNX: (1.0, 1.01, 0.99)}
    assert [found.verdict for found in compared([one], times)] == ["faster"]
    assert compared([one], times, **{one.cell_name(1, ONNX): WRONG}) == []
    assert compared([one], times, **{one.cell_name(1, NATIVE): WRONG}) == []


def test_verdicts_of_all_groups_are_one_family() -> None:
    """A difference of 4 % known to 0.7 % has p = 0.03 by three processes: enough alone, not as one of twelve."""
    native = 1.04 * np.exp([-0.012, 0.0, 0.012])
    times = {NATIVE: tuple(native), ONNX: (1.0, 1.0, 1.0)}
    assert [found.verdict for found in compared([group(28)], times)] == ["faster"]
    twelve = [group(28 + number) for number in range(12)]
    assert {found.verdict for found in compared(twelve, times)} == {"undecided"}


def test_what_its_first_process_put_out_of_the_running_counts_as_a_rival_and_is_not_ranked() -> None:
    """The fastest of two was lucky, whether or not the other one was timed to the end."""
    files = ModelFiles(spec=ModelSpec("bloodnet", 28, 8))
    one = group(28)
    both = Group(
        one.name, (*one.candidates, Candidate("torch.script", "", files)), one.batches, one.settings, one.images
    )
    times = {NATIVE: (2.0, 2.02, 1.98), ONNX: (1.0, 1.01, 1.02), "torch.script": (3.0,)}
    samples = timed([both], times)
    all_cells = cells([both], samples, {})
    few = [f"{TOO_FEW} processes: 1, at least 2 are needed"]

    def speedup(*invalid: str) -> Interval:
        changed = [
            cell.model_copy(update={"invalid": list(invalid)}) if cell.label == "torch.script" else cell
            for cell in all_cells
        ]
        (found,) = comparisons_of(changed, samples)
        assert set(found.ratios) == {NATIVE, ONNX}
        return found.speedup

    dropped, wrong = speedup(*few), speedup("wrong outputs in timed calls: 0.1", *few)
    assert dropped.high > wrong.high * 1.01
    assert dropped.low == wrong.low, "there is one ONNX cell, whoever stands against it"
