"""Where another process is worth its time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars
import pytest

from assay.results import read_results
from assay.spec import ModelSpec, Settings
from assay.study import load_study
from bench.precision import OUT_OF_THE_RUNNING, contenders, reference_of, unsettled, widths
from bench.stats import Samples
from bench.summary import by_cell
from bench.trials import LEAST_BLOCKS, Group
from bench.workers import Candidate
from infer.runtime import ModelFiles

FILES = ModelFiles(spec=ModelSpec("bloodnet", 28, 8))
RUNTIMES = {"torch.eager": "", "tf.function": "", "ort.cpu": "tf2onnx", "null": ""}
GROUP = Group(
    "bloodnet/28/t1",
    tuple(Candidate(*pair, FILES) for pair in RUNTIMES.items()),
    (1, 8),
    Settings(),
    Path("images.npy"),
)


def samples(milliseconds: float, spread: float, seed: int) -> Samples:
    """Four processes of three blocks of five calls; processes differ by the spread."""
    random = np.random.default_rng(seed)
    process, block = (a.ravel() for a in np.meshgrid(np.arange(4), np.arange(3), indexing="ij"))
    level = milliseconds * np.exp(spread * random.normal(size=4))[process]
    return Samples(np.repeat(process, 5), np.repeat(block, 5), np.repeat(level, 5))


def timed(spread: Mapping[str, float]) -> dict[str, dict[str, Samples]]:
    """Everything at both batches; PyTorch takes 2 ms, the others 3 ms. The ruler's zero takes nothing."""
    speed = {"torch.eager": 2.0, "tf.function": 3.0, "ort.cpu@tf2onnx": 3.0, "null": 0.001}
    return {
        GROUP.cell_name(batch, label): {"host": samples(ms, spread.get(f"{label}/{batch}", 0.0), seed)}
        for batch in GROUP.batches
        for seed, (label, ms) in enumerate(speed.items())
    }


def test_the_reference_is_the_fastest_native_candidate() -> None:
    reference = reference_of(GROUP, 1, timed({}))
    assert reference is not None
    assert reference.label == "torch.eager"
    assert reference_of(GROUP, 1, {}) is None


def test_every_ratio_has_a_width_but_the_reference_and_the_rulers_zero() -> None:
    found = widths(GROUP, timed({"ort.cpu@tf2onnx/8": 0.05}))
    assert set(found) == {(b, label) for b in (1, 8) for label in ("tf.function", "ort.cpu@tf2onnx")}
    assert found[(8, "ort.cpu@tf2onnx")] > 0.02
    assert found[(1, "tf.function")] == pytest.approx(0, abs=1e-9)


def test_only_what_is_uncertain_is_measured_again_beside_its_reference() -> None:
    part, width = unsettled(GROUP, timed({"ort.cpu@tf2onnx/8": 0.05}), 0.02)
    assert part is not None
    assert [candidate.label for candidate in part.candidates] == ["torch.eager", "ort.cpu@tf2onnx"]
    assert part.batches == (8,)
    assert part.name == GROUP.name
    assert width > 0.02


def test_nothing_is_measured_again_when_all_are_narrow() -> None:
    assert unsettled(GROUP, timed({}), 0.02) == (None, 0.0)
    assert unsettled(GROUP, {}, 0.02) == (None, 0.0)


def timed_at(speeds: Mapping[str, float]) -> dict[str, dict[str, Samples]]:
    return {
        GROUP.cell_name(batch, label): {"host": samples(ms, 0.0, 0)}
        for batch in GROUP.batches
        for label, ms in speeds.items()
    }


def labels(group: Group) -> list[str]:
    return [candidate.label for candidate in group.candidates]


def test_what_is_far_behind_its_side_is_out_of_the_running() -> None:
    speeds = {"torch.eager": 2.0, "tf.function": 2.0 * OUT_OF_THE_RUNNING * 1.01, "ort.cpu@tf2onnx": 9.0, "null": 0.001}
    assert labels(contenders(GROUP, timed_at(speeds))) == ["torch.eager", "ort.cpu@tf2onnx"]
    near = speeds | {"tf.function": 2.0 * OUT_OF_THE_RUNNING * 0.99}
    assert labels(contenders(GROUP, timed_at(near))) == ["torch.eager", "tf.function", "ort.cpu@tf2onnx"]


def test_who_is_near_at_one_batch_stays_at_all_of_them() -> None:
    found = timed_at({"torch.eager": 2.0, "tf.function": 9.0, "ort.cpu@tf2onnx": 1.0})
    found[GROUP.cell_name(8, "tf.function")] = {"host": samples(2.0, 0.0, 0)}
    kept = contenders(GROUP, found)
    assert labels(kept) == ["torch.eager", "tf.function", "ort.cpu@tf2onnx"]
    assert kept.batches == GROUP.batches


def test_a_side_of_which_nothing_is_known_stays() -> None:
    assert labels(contenders(GROUP, {})) == ["torch.eager", "tf.function", "ort.cpu@tf2onnx"]
    assert "ort.cpu@tf2onnx" in labels(contenders(GROUP, timed_at({"torch.eager": 2.0})))


def test_the_contenders_of_the_published_quick_study_fit_its_budget() -> None:
    """Three processes of them and two of the rest, by what its two processes of everything took, within the budget.

    The published run's units took 317 seconds with four to ten blocks, of which all but those beyond four are the least
    that a unit does; a third process is of the contenders alone.
    """
    folder = Path(__file__).parents[2] / "artifacts/reference/quick"
    timing = polars.read_parquet(folder / "samples.parquet").filter(polars.col("block") >= 0)
    results = read_results(folder / "results.json")
    study = load_study(Path(__file__).parents[2] / "studies/quick.toml")
    beyond = timing.filter(polars.col("block") >= LEAST_BLOCKS)["wall_ns"].sum() / 1e9
    unit_seconds = (results.seconds["timing, all sittings"] - beyond) / 4
    found = by_cell(timing)
    shares = []
    for size in (28, 64):
        names = dict.fromkeys(cell.label for cell in results.cells if cell.size == size)
        group = Group(
            f"bloodnet/{size}/t1",
            tuple(Candidate(name.partition("@")[0], name.partition("@")[2], FILES) for name in names),
            study.bench.batches,
            Settings(),
            Path("images.npy"),
        )
        shares.append(len(contenders(group, found).candidates) / len(group.candidates))
    assert max(shares) < 0.75
    assert study.bench.processes_of_slower == 2
    assert study.bench.processes == 3
    assert unit_seconds * (2 * len(shares) + sum(shares)) <= study.bench.budget_minutes * 60
