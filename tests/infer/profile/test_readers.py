"""Profile readers on profiles that the frameworks really wrote: three calls of bloodnet at 28 pixels, one image."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.bench.explaining.layers import aligned, computing_layers
from assay.errors import DataError
from assay.infer.profile.calls import Operator, ProfiledCall, own_times_ns, union_ns
from assay.infer.profile.timing import common_operators
from assay.infer.profile.traces import read_ort_profile, read_torch_trace
from assay.spec import ModelSpec

GOLDEN = Path(__file__).parents[2] / "golden" / "profiles"
SPEC = ModelSpec("bloodnet", 28, 8)
CONVOLUTIONS = [f"stage{stage}.unit{unit}.conv" for stage in (1, 2, 3) for unit in (1, 2)]

# Reading an xplane file imports JAX, which the tests themselves do not: a process of its own answers.
XPLANE_READER = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from assay.errors import DataError
from assay.infer.profile.on_jax import lines_of
from assay.infer.profile.xplane import calls_in
try:
    print(json.dumps([asdict(call) for call in calls_in(lines_of(Path(sys.argv[1])))]))
except DataError as error:
    print(json.dumps(str(error)))
"""


def unpacked(name: str, folder: Path) -> Path:
    path = folder / name.removesuffix(".gz")
    path.write_bytes(gzip.decompress((GOLDEN / name).read_bytes()))
    return path


def read_xplane(path: Path) -> list[ProfiledCall]:
    command = [sys.executable, "-c", XPLANE_READER, str(path)]
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    if isinstance(answer, str):
        raise DataError(answer)
    return [
        ProfiledCall(**(call | {"operators": tuple(Operator(**one) for one in call["operators"])})) for call in answer
    ]


Reader = Callable[[Path], list[ProfiledCall]]
PROFILES: dict[str, tuple[Reader, str]] = {
    "ort.cpu.json.gz": (partial(read_ort_profile, first_call=3), "onnx"),
    "torch.eager.json.gz": (read_torch_trace, "torch"),
    "tf.function.xplane.pb.gz": (read_xplane, "tf"),
    "tf.xla.xplane.pb.gz": (read_xplane, "tf"),
    "tf.eager.xplane.pb.gz": (read_xplane, "tf"),
    "jax.jit.xplane.pb.gz": (read_xplane, "jax"),
}


@pytest.mark.parametrize("name", PROFILES)
def test_a_real_profile_has_three_calls_and_kernels_within_them(name: str, tmp_path: Path) -> None:
    calls = PROFILES[name][0](unpacked(name, tmp_path))
    assert len(calls) == 3
    for call in calls:
        assert 0 < union_ns(call.operators) <= call.wall_ns
        assert call.events >= len(call.operators) > 0
        assert all(call.start_ns <= one.start_ns <= one.end_ns <= call.end_ns for one in call.operators)
    assert len({tuple(one.name for one in call.operators) for call in calls}) == 1


@pytest.mark.parametrize("name", [name for name in PROFILES if not name.startswith("jax")])
def test_every_convolution_finds_its_layer(name: str, tmp_path: Path) -> None:
    reader, framework = PROFILES[name]
    operators = aligned(common_operators(reader(unpacked(name, tmp_path))), SPEC, framework)
    layers = [one.layer for one in operators if "conv" in f"{one.name}{one.kind}".lower() and one.layer]
    assert set(CONVOLUTIONS) <= set(layers)
    convolutions = [one for one in operators if "conv2d" in one.kind.lower() or one.kind.lower().startswith("conv")]
    assert len({one.layer for one in convolutions}) == len(convolutions)
    assert sum(one.share for one in operators) == pytest.approx(1)


def test_a_runtime_that_fuses_layers_is_not_aligned(tmp_path: Path) -> None:
    """XLA made one YNNPACK fusion of all convolutions, so nothing shows the time of each layer."""
    operators = aligned(common_operators(read_xplane(unpacked("jax.jit.xplane.pb.gz", tmp_path))), SPEC, "jax")
    assert operators[0].name == "ynn_fusion"
    assert not any(one.layer for one in operators)


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "nothing in it"])
def test_a_damaged_profile_is_a_reason(name: str, damage: str, tmp_path: Path) -> None:
    path = unpacked(name, tmp_path)
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "nothing in it":
        path.write_bytes(b"[]" if "json" in name else b"")
    else:
        path.write_bytes(b"" if damage == "empty" else content[: len(content) // 2])
    with pytest.raises(DataError):
        PROFILES[name][0](path)


INTERVALS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=20)


@given(INTERVALS)
def test_the_union_is_the_covered_time(intervals: list[tuple[int, int]]) -> None:
    operators = [Operator("x", "x", start, start + length) for start, length in intervals]
    covered = {moment for start, length in intervals for moment in range(start, start + length)}
    assert union_ns(operators) == len(covered)


def test_own_time_excludes_nested_events() -> None:
    spans = [(0, 100), (10, 40), (20, 30), (60, 70), (100, 110)]
    operators = [Operator(str(start), "x", start, end, "thread") for start, end in spans]
    assert own_times_ns(operators) == [60, 20, 10, 10, 10]


def test_shortcuts_come_first_where_the_model_computes_them_first() -> None:
    spec = ModelSpec("resnet18", 28, 8)
    block = [f"stage2.block1.{part}.conv" for part in ("unit1", "unit2", "shortcut")]
    assert [one for one in computing_layers(spec, "torch") if one in block] == block
    assert [one for one in computing_layers(spec, "jax") if one in block] == [block[2], *block[:2]]
