"""A whole study through the installed command, on real images if available and on synthetic ones otherwise."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import polars
import pytest

from assay.bench.timing.unfinished import AGAIN_FILE
from assay.records.results import Results, read_results
from tests.bench.cli.test_cli import ASSAY, assay
from tests.good_run import status_of_good
from tests.real_images import PBC
from tests.small_study import small_study

STUDY = small_study(
    data="auto",
    limit=320,
    train={"batch_size": 32, "parity_steps": 5},
    export={"exporters": ["torch-script", "tf2onnx"]},
    bench={
        "runtimes": ["torch.eager", "tf.function", "jax.jit", "ort.cpu", "null"],
        "batches": [1, 4],
        "processes": 2,
        "interval_width": 0,
        "blocks": 3,
        "budget_minutes": 5,
    },
)
# Attribution takes about a third of a run: it is left out but in the slow one.
ATTRIBUTED = STUDY.replace('"auto"', '"synthetic"')
DRAWN = ATTRIBUTED + "attribute = false\n"
STUDIES = {"real": STUDY + "attribute = false\n", "synthetic": DRAWN, "attributed": ATTRIBUTED}
# One of the first two always runs; where the real images are at hand, the drawn ones add minutes and little else.
SOURCES = ["real" if Path(PBC).exists() else "synthetic", pytest.param("attributed", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=SOURCES)
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder of a finished study, and the variables it was run with.

    "auto" finds real images; synthetic ones are named outright, because trying a download first is not tested here.
    """
    folder = tmp_path_factory.mktemp(request.param)
    variables = {"HOME": str(folder)} | ({"ASSAY_PBC": PBC} if request.param == "real" else {})
    variables["ASSAY_CACHE"] = os.environ.get("ASSAY_CACHE", str(Path.home() / ".cache" / "assay"))
    (folder / "small.toml").write_text(STUDIES[request.param])
    done = assay("run", "small.toml", folder=folder, **variables)
    results = read_results(folder / "artifacts" / "small" / "results.json")
    assert done.returncode == status_of_good(results), done.stderr
    assert "On this machine" in done.stdout
    return folder, variables


@pytest.fixture(scope="module")
def results(finished: tuple[Path, dict[str, str]]) -> Results:
    return read_results(finished[0] / "artifacts" / "small" / "results.json")


def test_every_part_is_there(results: Results) -> None:
    assert {training.framework for training in results.trainings} == {"torch", "tf", "jax"}
    assert [export.status for export in results.exports] == ["ok", "ok"]
    labels = {"torch.eager", "tf.function", "jax.jit", "ort.cpu@torch-script", "ort.cpu@tf2onnx", "null"}
    assert {cell.label for cell in results.cells} == labels
    assert {cell.status for cell in results.cells} == {"ok"}
    assert results.data.synthetic == (results.data.name == "synthetic")
    profiled = [one for one in results.attributions if one.profiled.kernel_ms is not None]
    assert bool(profiled) == results.settings["bench"]["attribute"]  # type: ignore[index,call-overload]
    assert ("synthetic" if results.data.synthetic else "unofficial") in results.data.notice.lower()


def test_only_a_disturbed_machine_keeps_cells_out_of_the_ranking(results: Results) -> None:
    compared = {comparison.batch for comparison in results.comparisons}
    for batch in {1, 4} - compared:
        assert any(cell.invalid for cell in results.cells if cell.batch == batch)
    reasons = [reason for cell in results.cells for reason in cell.invalid]
    assert not [reason for reason in reasons if reason.startswith(("wrong outputs", "too few", "the outputs"))]


def test_frameworks_train_alike(results: Results) -> None:
    (parity,) = results.parity
    assert parity.worst_relative_difference < 5e-3


def test_every_timed_output_agrees_with_float64(results: Results) -> None:
    for cell in results.cells:
        if cell.runtime != "null":
            assert cell.agreement is not None
            assert cell.agreement.passed, cell.agreement.reason


def test_statistics_come_from_the_kept_samples(results: Results, finished: tuple[Path, dict[str, str]]) -> None:
    samples = polars.read_parquet(finished[0] / "artifacts" / "small" / "samples.parquet")
    for cell in results.cells:
        kept = samples.filter((polars.col("cell") == cell.name) & (polars.col("boundary") == "host"))["wall_ns"]
        assert cell.host is not None
        assert cell.host.samples == len(kept)
        assert cell.host.median_ms.value == pytest.approx(float(kept.median()) / 1e6, rel=0.02)  # type: ignore[arg-type]


def test_one_thread_is_one_thread(results: Results) -> None:
    for cell in results.cells:
        assert cell.processor_use is not None
        assert cell.processor_use < 1.1, cell.label


def test_paths_of_the_machine_stay_out(finished: tuple[Path, dict[str, str]]) -> None:
    folder, variables = finished
    text = (folder / "artifacts" / "small" / "results.json").read_text()
    assert str(folder) not in text
    assert variables.get("ASSAY_PBC", "no path") not in text


def test_running_again_repeats_nothing_but_what_was_disturbed(finished: tuple[Path, dict[str, str]]) -> None:
    folder, variables = finished
    made = folder / "artifacts" / "small"
    kept = {
        path: path.stat().st_mtime_ns
        for kind in ("weights", "onnx", "units")
        for path in (made / kind).rglob("*.*")
        if not any((above / AGAIN_FILE).exists() for above in path.parents)
    }
    assert kept
    done = assay("run", "small.toml", "--json", folder=folder, **variables)
    again = Results.model_validate_json(done.stdout)
    assert done.returncode == status_of_good(again), done.stderr
    assert kept == {path: path.stat().st_mtime_ns for path in kept}


def test_inspect_describes_an_export(finished: tuple[Path, dict[str, str]]) -> None:
    folder, variables = finished
    model = next((folder / "artifacts/small/onnx").glob("*tf2onnx*/model.onnx"))
    done = assay("export", "--inspect", str(model), folder=folder, **variables)
    assert done.returncode == 0, done.stderr
    for word in ("Conv", "image", "logits", "Transpose"):
        assert word in done.stdout


def test_an_interrupt_keeps_finished_work(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(DRAWN.replace("epochs = [1]", "epochs = [400]"))
    environment = os.environ | {"HOME": str(tmp_path)}
    running = subprocess.Popen(
        [str(ASSAY), "train", "small.toml"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    checkpoint = tmp_path / "artifacts/small/weights/.bloodnet-28-torch-s0.training/progress.json"
    limit = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < limit and running.poll() is None:
        time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "interrupted (SIGINT); finished work is kept" in told
    assert "Traceback" not in told
    assert json.loads(checkpoint.read_text())["step"] >= 10
