"""Races within each precision, the fastest of all beside them, one family of verdicts, and groups with one side
only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.bench.judging.races import races_of
from assay.bench.statistics.stats import Samples
from assay.records.base import TOO_FEW
from assay.records.races import OF_ALL, Race
from assay.records.results import Cell
from assay.registry import RUNTIMES
from tests.bench.judging.test_summary import labelled
from tests.bench.judging.test_validity import WRONG

SPREAD = (0.998, 1.0, 1.002)
EAGER, BF16, DEPLOYED = "torch.eager", "torch.half", "deployed"
ORT, INT8, OPENVINO = "ort.cpu@torch-dynamo", "ort.cpu@torch-dynamo+int8", "openvino@torch-dynamo"
Asked = Mapping[str, tuple[float, str]]


@pytest.fixture(autouse=True)
def with_a_deployment_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime whose entry says that it is its framework's own deployment runtime."""
    find = RUNTIMES.find
    entry = replace(RUNTIMES["tf.function"], name=DEPLOYED, deploys=True)
    monkeypatch.setattr(type(RUNTIMES), "find", lambda _, name: entry if name == DEPLOYED else find(name))


def timed(asked: Asked, spread: tuple[float, ...] = SPREAD) -> dict[str, dict[str, Samples]]:
    """Three processes of four blocks each; ONNX cells vary by the spread, native ones do not."""
    process, block = (array.ravel() for array in np.meshgrid(np.arange(len(spread)), np.arange(4), indexing="ij"))
    return {
        label: {"host": Samples(process, block, ms * (np.array(spread)[process] if "@" in label else 1 + 0.0 * block))}
        for label, (ms, _) in asked.items()
    }


def cells_of(asked: Asked) -> list[Cell]:
    found = []
    for label, (ms, precision) in asked.items():
        one = labelled(label, ms, precision)
        found.append(one.model_copy(update={"framework": "tf"}) if label == DEPLOYED else one)
    return found


def raced(asked: Asked, change: Callable[[Cell], Cell] = lambda cell: cell) -> dict[str, Race]:
    found = races_of([change(cell) for cell in cells_of(asked)], timed(asked))
    assert len({one.precision for one in found}) == len(found)
    return {one.precision: one for one in found}


def test_each_precision_has_its_race_and_so_have_the_fastest_of_all() -> None:
    found = raced(
        {EAGER: (4.0, "fp32"), BF16: (2.0, "bf16"), DEPLOYED: (1.1, "int8"), ORT: (3.0, "fp32"), INT8: (1.0, "int8"),
         OPENVINO: (2.5, "bf16")}
    )  # fmt: skip
    assert list(found) == ["fp32", "bf16", "int8", OF_ALL]
    pairs = {precision: (one.native, one.onnx, one.verdict) for precision, one in found.items()}
    assert pairs == {
        "fp32": (EAGER, ORT, "faster"),
        "bf16": (BF16, OPENVINO, "slower"),
        "int8": (DEPLOYED, INT8, "faster"),
        OF_ALL: (DEPLOYED, INT8, "faster"),
    }
    assert found["int8"].speedup is not None
    assert found["int8"].speedup.value == pytest.approx(1.1, rel=0.01)
    assert found["int8"].speedup.low > 1.08
    assert found["int8"].processes == 3


def test_the_best_of_each_tier_is_named_and_native_is_the_fastest_of_the_first_two() -> None:
    found = raced({EAGER: (4.0, "fp32"), DEPLOYED: (2.0, "fp32"), ORT: (3.0, "fp32"), OPENVINO: (2.9, "fp32")})
    assert found["fp32"].best == {"framework": EAGER, "deployment": DEPLOYED, "onnx": OPENVINO}
    assert (found["fp32"].native, found["fp32"].verdict) == (DEPLOYED, "slower")
    assert list(found) == ["fp32"], "where all compute in one precision, the fastest of all is that one's"


def test_one_side_alone_has_no_verdict() -> None:
    found = raced({EAGER: (4.0, "fp32"), ORT: (3.0, "fp32"), INT8: (1.0, "int8")})
    assert (found["int8"].native, found["int8"].onnx) == ("", INT8)
    assert found["int8"].verdict is None
    assert found["int8"].speedup is None
    assert (found[OF_ALL].native, found[OF_ALL].onnx) == (EAGER, INT8)
    assert raced({EAGER: (4.0, "fp32")})["fp32"].verdict is None


def test_ties_are_reported() -> None:
    found = raced({EAGER: (4.0, "fp32"), ORT: (4.0, "fp32"), DEPLOYED: (1.005, "int8"), INT8: (1.0, "int8")})
    assert [one.verdict for one in found.values()] == ["same", "same", "same"]


def test_it_is_what_was_seen_that_counts_and_not_the_name() -> None:
    """An int8 file that a runtime computed in fp32 competes in the fp32 race."""
    found = raced({EAGER: (4.0, "fp32"), ORT: (3.0, "fp32"), INT8: (2.0, "fp32")})
    assert list(found) == ["fp32"]
    assert found["fp32"].onnx == INT8


def test_wrong_and_invalid_cells_do_not_race() -> None:
    asked = {EAGER: (4.0, "fp32"), ORT: (3.0, "fp32"), INT8: (1.0, "int8")}
    for update in ({"agreement": WRONG}, {"invalid": ["drift: +9.0%"]}):
        found = raced(asked, lambda cell, new=update: cell.model_copy(update=new) if cell.label == INT8 else cell)
        assert list(found) == ["fp32"], update


def test_the_verdicts_of_all_precisions_are_one_family() -> None:
    """4 % with three processes 1.2 % apart is enough alone, but not as one of three races."""
    wide = tuple(np.exp([-0.012, 0.0, 0.012]))
    alone = {EAGER: (1.04, "fp32"), ORT: (1.0, "fp32")}
    three = {**alone, BF16: (1.04, "bf16"), OPENVINO: (1.0, "bf16"), DEPLOYED: (1.04, "int8"), INT8: (1.0, "int8")}
    single, several = (races_of(cells_of(asked), timed(asked, wide)) for asked in (alone, three))
    assert [one.verdict for one in single] == ["faster"]
    assert {one.verdict for one in several} == {"undecided"}
    (one,), (told, *_) = single, several
    assert one.told is not None
    assert told.told is not None
    assert told.told > one.told


def test_the_fastest_of_many_is_known_less_well_than_a_single_one() -> None:
    few = {EAGER: (4.0, "fp32"), ORT: (3.0, "fp32")}
    many = few | {f"ort.cpu@route-{number}": (3.5, "fp32") for number in range(6)}
    one, other = (raced(asked)["fp32"].speedup for asked in (few, many))
    assert one is not None
    assert other is not None
    assert other.high > one.high or other.low < one.low


def test_rivals_of_another_precision_cost_a_race_nothing() -> None:
    few = {EAGER: (4.0, "fp32"), ORT: (3.0, "fp32")}
    many = few | {f"ort.cpu@route-{number}": (3.5, "int8") for number in range(6)}
    one, other = (raced(asked)["fp32"].speedup for asked in (few, many))
    assert one == other


NATIVES, EXPORTED = (EAGER, BF16, "jax.jit", "tf.xla"), (ORT, INT8, OPENVINO, "openvino@tf2onnx")
SIDE = st.tuples(st.floats(0.5, 8.0), st.sampled_from(["fp32", "tf32", "fp16", "bf16", "int8"]))


@given(st.fixed_dictionaries(dict.fromkeys((*NATIVES, *EXPORTED), SIDE)))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_of_a_race_computed_in_its_precision_and_none_in_it_is_faster(asked: dict[str, tuple[float, str]]) -> None:
    found = raced(asked)
    for precision, race in found.items():
        for first, side in ((race.native, NATIVES), (race.onnx, EXPORTED)):
            in_it = {label: asked[label][0] for label in side if precision in {asked[label][1], OF_ALL}}
            assert bool(first) == bool(in_it)
            assert not first or in_it[first] == min(in_it.values())
    computed = {precision for _, precision in asked.values()}
    assert set(found) == (computed | {OF_ALL} if len(computed) > 1 else computed)


def test_a_dropped_cell_does_not_win_but_counts_as_a_rival() -> None:
    asked = {EAGER: (4.0, "fp32"), "tf.xla": (3.9, "fp32"), "jax.jit": (3.8, "fp32"), ORT: (3.0, "fp32")}
    few = [f"{TOO_FEW}: 1, at least 2 are needed"]
    for label in ("jax.jit", ORT):
        found = raced(
            asked, lambda cell, it=label: cell.model_copy(update={"invalid": few if cell.label == it else []})
        )
        assert (found["fp32"].native, found["fp32"].onnx) == (
            ("tf.xla", ORT) if label == "jax.jit" else ("jax.jit", "")
        )
    alone = raced({label: one for label, one in asked.items() if label != "jax.jit"})["fp32"]
    among = raced(asked, lambda cell: cell.model_copy(update={"invalid": few if cell.label == "jax.jit" else []}))[
        "fp32"
    ]
    assert alone.speedup is not None
    assert among.speedup is not None
    assert among.speedup != alone.speedup


def test_a_cell_on_the_cpu_does_not_race_against_one_on_a_gpu() -> None:
    def on_gpu(*labels: str) -> Callable[[Cell], Cell]:
        def placed(cell: Cell) -> Cell:
            return cell.model_copy(update={"device_kind": "cuda"}) if cell.label in labels else cell

        return placed

    asked = {EAGER: (1.0, "fp32"), DEPLOYED: (0.5, "fp32"), ORT: (3.0, "fp32"), OPENVINO: (2.0, "fp32")}
    found = raced(asked, on_gpu(EAGER, ORT))["fp32"]
    assert (found.native, found.onnx, found.verdict) == (EAGER, ORT, "slower")
    alone = raced(asked, on_gpu(EAGER))["fp32"]
    assert (alone.native, alone.onnx, alone.verdict) == (EAGER, "", None)
    assert raced(asked)["fp32"].native == DEPLOYED
