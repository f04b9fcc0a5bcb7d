"""Operators that today's versions are known to export wrongly are found wrong, and others are found right."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from assay.bench.atlas.record import Atlas, Finding
from assay.bench.atlas.run import Asked, make_atlas
from assay.bench.words.progress import Narrator
from assay.numerics.agreement import NOT_COMPARED

KNOWN = {
    "nn.functional.avg_pool2d": ("torch-dynamo", "divisor_override", "wrong"),
    "log1p": ("torch-dynamo", "log(1 + x) loses tiny numbers", "wrong"),
    "nn.functional.softplus": ("torch-script", "the threshold is lost", "wrong"),
    "nn.functional.adaptive_max_pool2d": ("torch-script", "the results have another size", "wrong"),
    "nn.functional.logsigmoid": ("torch-dynamo", "ONNX Runtime's Softplus", "wrong in the runtime"),
    "scatter_reduce.mean": ("torch-dynamo", "the mean counts another number of values", "wrong"),
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Atlas, Path]:
    folder = tmp_path_factory.mktemp("atlas")
    return make_atlas(Asked("opinfo", (*KNOWN, "nn.functional.relu")), folder, Narrator()), folder


@pytest.mark.parametrize("operator", KNOWN)
def test_a_known_defect_is_found(made: tuple[Atlas, Path], operator: str) -> None:
    route, _, verdict = KNOWN[operator]
    found = [one for one in made[0].findings if one.operator == operator and one.route == route]
    assert verdict in {one.verdict for one in found}
    assert any(one.verdict != "right" and (one.apart > 1 or one.apart == NOT_COMPARED) for one in found)


def test_a_right_operator_is_right_by_both_routes(made: tuple[Atlas, Path]) -> None:
    found = [one for one in made[0].findings if one.operator == "nn.functional.relu" and one.route]
    assert {(one.route, one.verdict) for one in found} == {("torch-dynamo", "right"), ("torch-script", "right")}


def test_a_wrong_one_leaves_a_repro_that_runs_without_assay(made: tuple[Atlas, Path]) -> None:
    atlas, folder = made
    one = next(one for one in atlas.findings if one.operator == "nn.functional.avg_pool2d" and one.nodes)
    place = next((folder / "operators").glob(f"{one.operator}-*")) / f"{one.sample}-{one.numbers}"
    run = place / one.nodes[0].repro / "run.py"
    code = f"import sys; sys.modules['assay'] = None; import runpy; runpy.run_path({str(run)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stdout
    assert run.read_text().count("\n") < 60


def test_a_second_run_judges_nothing_again(made: tuple[Atlas, Path]) -> None:
    atlas, folder = made
    right = [name for name in KNOWN if all(_is_settled(one) for one in atlas.findings if one.operator == name)]
    before = {path: path.stat().st_mtime_ns for path in (folder / "operators").rglob("manifest.json")}
    again = make_atlas(Asked("opinfo", tuple(right)), folder, Narrator())
    assert json.dumps([one.model_dump() for one in again.findings]) == json.dumps(
        [one.model_dump() for name in right for one in atlas.findings if one.operator == name]
    )
    assert {path: path.stat().st_mtime_ns for path in (folder / "operators").rglob("manifest.json")} == before


def test_jax_is_judged_with_its_own_batch_and_with_an_open_one(tmp_path: Path) -> None:
    atlas = make_atlas(Asked("jax", ("clamp", "reshape"), most=1), tmp_path, Narrator())
    found = {(one.operator, one.numbers, one.route): one.verdict for one in atlas.findings}
    assert found["reshape", "given", "jax2onnx"] == "wrong"  # its order of dimensions is lost
    assert found["clamp", "given", "jax2onnx"] == found["clamp", "given", "jax2tf"] == "right"
    assert found["clamp", "rows", "jax2onnx"] == "fixed batch"
    assert found["clamp", "rows", "jax2tf"] == "right"


def _is_settled(one: Finding) -> bool:
    return one.verdict not in ("given up", "crashed", "not judged")
