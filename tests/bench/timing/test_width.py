"""Where another process is worth its time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from assay.bench.statistics.stats import Samples
from assay.bench.timing.trials import Group
from assay.bench.timing.width import (
    OUT_OF_THE_RUNNING,
    contenders,
    others,
    ratios,
    reference_of,
    references,
    unsettled,
    width,
)
from assay.bench.timing.workers import Candidate
from assay.infer.runtime import ModelFiles
from assay.spec import ModelSpec, Settings
from assay.train.built import BuiltModel

FILES = ModelFiles(model=BuiltModel(spec=ModelSpec("bloodnet", 28, 8)))
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
    """Everything at both batches; PyTorch takes 2 ms, the others 3 ms, and the null runtime nothing."""
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
    known = ratios(GROUP, timed({"ort.cpu@tf2onnx/8": 0.05}))
    found = {key: width(ratio) for key, ratio in known.items()}
    assert set(found) == {(b, label) for b in (1, 8) for label in ("tf.function", "ort.cpu@tf2onnx")}
    assert found[(8, "ort.cpu@tf2onnx")] > 0.02
    assert found[(1, "tf.function")] == pytest.approx(0, abs=1e-9)


def test_only_uncertain_ratios_are_measured_again_with_their_reference() -> None:
    part, widest = unsettled(GROUP, timed({"ort.cpu@tf2onnx/8": 0.05}), 0.02)
    assert part is not None
    assert [candidate.label for candidate in part.candidates] == ["torch.eager", "ort.cpu@tf2onnx"]
    assert part.batches == (8,)
    assert part.name == GROUP.name
    assert widest > 0.02


def test_nothing_is_measured_again_when_all_are_narrow() -> None:
    assert unsettled(GROUP, timed({}), 0.02) == (None, 0.0)
    assert unsettled(GROUP, {}, 0.02) == (None, 0.0)


def test_what_has_its_answer_is_not_measured_again_however_wide_its_interval_is() -> None:
    """ONNX is half as slow again: 5 % between processes leave that clear, and 50 % do not. A wide native rival asks no
    question.
    """
    clear = timed({"ort.cpu@tf2onnx/8": 0.05, "tf.function/1": 0.5})
    assert unsettled(GROUP, clear, 0.02, decide=True) == (None, 0.0)
    part, _ = unsettled(GROUP, timed({"ort.cpu@tf2onnx/8": 0.5}), 0.02, decide=True)
    assert part is not None
    assert [candidate.label for candidate in part.candidates] == ["torch.eager", "ort.cpu@tf2onnx"]
    assert part.batches == (8,)


def timed_at(speeds: Mapping[str, float]) -> dict[str, dict[str, Samples]]:
    return {
        GROUP.cell_name(batch, label): {"host": samples(ms, 0.0, 0)}
        for batch in GROUP.batches
        for label, ms in speeds.items()
    }


def labels(group: Group) -> list[str]:
    return [candidate.label for candidate in group.candidates]


def test_a_cell_far_behind_its_side_is_dropped() -> None:
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


def test_what_computes_in_less_puts_nothing_in_fp32_out_of_the_running() -> None:
    """fp32 is compared with fp32, however fast int8 is; in bf16 the rule is the same."""
    files = GROUP.candidates[0].model
    bf16 = tuple(Candidate(name, "", files) for name in ("torch.compile.autocast", "torch.compile.bf16"))
    mixed = replace(GROUP, candidates=(*GROUP.candidates, *bf16))
    fast = {"torch.eager": 2.0, "tf.function": 2.1, "torch.compile.autocast": 0.5, "torch.compile.bf16": 0.9}
    found = {
        mixed.cell_name(batch, label): {"host": samples(ms, 0.0, 0)} for batch in (1, 8) for label, ms in fast.items()
    }
    assert labels(contenders(mixed, found)) == [
        "torch.eager",
        "tf.function",
        "ort.cpu@tf2onnx",
        "torch.compile.autocast",
    ]


def test_the_rest_of_a_group_was_timed_and_is_not_a_contender() -> None:
    found = timed_at({"torch.eager": 2.0, "tf.function": 9.0, "null": 0.001})
    behind = others(GROUP, contenders(GROUP, found), found)
    assert [one.label for one in behind] == ["tf.function", "null"], "ONNX was not timed and may be the fastest"
    assert [one.label for one in references(GROUP, found)] == ["torch.eager"]
