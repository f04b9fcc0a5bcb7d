"""The results of a run, sent to trackers and written as a model card, with the trackers' own clients and stores."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from assay.bench.publishing.card import card_of
from assay.bench.publishing.publication import COLUMNS, metric_name, publication_of
from assay.errors import AssayError
from tests.bench.cli.test_cli import ASSAY, assay, one_line_error
from tests.bench.report.sample_results import sample_results
from tests.command import command

CHOSEN = "bloodnet/28/b1/t1/ort.cpu@torch-dynamo"
AS_MLFLOW_TAKES = re.compile(r"[/\w.\- ]+")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    results = sample_results((28,), (1,), ("bloodnet",))
    (folder / "results.json").write_text(results.model_dump_json(), encoding="utf-8")
    return folder


def front_matter(card: str) -> dict[str, Any]:
    _, head, _ = card.split("---\n", 2)
    found: dict[str, Any] = yaml.safe_load(head)
    return found


def test_every_cell_has_its_numbers_under_a_name_that_trackers_take(run: Path) -> None:
    found = publication_of(run)
    timed = [cell for cell in found.findings.results.cells if cell.framework and cell.host]
    for cell in timed:
        assert cell.host
        assert found.metrics[f"{metric_name(cell.name)}/median_ms"] == cell.host.median_ms.value
    assert all(AS_MLFLOW_TAKES.fullmatch(name) and "//" not in name for name in found.metrics)
    assert len({metric_name(cell.name) for cell in timed}) == len(timed)
    assert {len(row) for row in found.rows} == {len(COLUMNS)}
    assert found.parameters["packages.onnxruntime"] == "1.32.0"
    assert found.files == (run / "results.json",)


@pytest.mark.parametrize("name", ["../../etc/b1/x", "a//b", ".../x", "a/\x1b[2J\u202e/x", "/abs"])
def test_a_hostile_name_stays_a_name(name: str) -> None:
    found = metric_name(name)
    assert AS_MLFLOW_TAKES.fullmatch(found)
    assert not {"", ".", ".."} & set(found.split("/"))


def test_a_card_has_the_verdict_as_the_hub_reads_it(run: Path) -> None:
    found = publication_of(run)
    card = card_of(found, CHOSEN)
    cell = next(one for one in found.findings.results.cells if one.name == CHOSEN)
    (index,) = front_matter(card)["model-index"]
    (result,) = index["results"]
    assert index["name"] == "sample"
    assert result["task"]["type"] == "image-classification"
    assert result["dataset"]["type"]
    assert cell.host
    assert result["metrics"][-1]["type"] == "latency"
    assert result["metrics"][-1]["value"] == cell.host.median_ms.value
    assert "| `ort.cpu@torch-dynamo` | 1 | " in card


def test_the_hubs_own_library_reads_the_card(run: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard(card_of(publication_of(run), CHOSEN))
    results = card.data.eval_results
    assert card.data.library_name == "onnx"
    assert [one.metric_type for one in results][-1] == "latency"
    assert {one.task_type for one in results} == {"image-classification"}


def test_a_card_of_hostile_names_says_nothing_else(run: Path) -> None:
    found = publication_of(run)
    results = found.findings.results
    bad = 'x"\n---\nlicense: evil\n# <script>alert(1)</script> | [a](javascript:b) \u202e'
    data = results.data.model_copy(update={"name": bad, "notice": bad})
    findings = replace(found.findings, results=results.model_copy(update={"data": data}))
    card = card_of(replace(found, name=bad, lines=(bad,), findings=findings), CHOSEN)
    head = front_matter(card)
    assert set(head) == {"library_name", "tags", "model-index"}
    assert card.count("\n---\n") == 1
    body = card.split("---\n", 2)[2]
    assert not re.search(r"(?<!\\)<", body)
    assert not re.search(r"(?<!\\)\]\(javascript", body)


def test_what_a_card_is_of_has_to_be_said_for_a_study(run: Path, tmp_path: Path) -> None:
    with pytest.raises(AssayError, match=r"A study has many models.*assay choose"):
        card_of(publication_of(run))
    with pytest.raises(AssayError, match="Unknown cell"):
        card_of(publication_of(run), "bloodnet/28/b1/t1/ort.cpo@torch-dynamo")


def test_the_command_writes_a_card_and_refuses_what_it_cannot(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    done = command("publish", str(run), "--to", "huggingface-card", "--cell", CHOSEN, "--out", str(file), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "to": "huggingface-card",
        "where": str(file),
        "passed": json.loads(done.stdout)["passed"],
    }
    assert front_matter(file.read_text(encoding="utf-8"))["library_name"] == "onnx"
    one_line_error(command("publish", str(run), "--to", "mlfow"), 2, "Did you mean 'mlflow'")
    one_line_error(command("publish", str(tmp_path / "none"), "--to", "mlflow"), 2, "There is no folder")


def test_a_tracker_that_is_not_installed_is_named_with_its_extra(run: Path) -> None:
    code = (
        "import sys; sys.modules['mlflow'] = None; sys.argv = ['assay', 'publish', sys.argv[1], '--to', 'mlflow'];"
        "from assay.bench.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code, str(run)], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "pip install 'onnx-assay[mlflow]'" in done.stderr


@pytest.mark.slow
def test_a_store_of_mlflow_has_the_run(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # as MLflow 3.17 asks for
    store = (tmp_path / "store").as_uri()
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "report").mkdir()
    (tmp_path / "run" / "report" / "report.html").write_text("<p>report</p>")
    done = assay(
        "publish", str(tmp_path / "run"), "--to", "mlflow", "--place", store, "--project", "speed", folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    client = mlflow.MlflowClient(tracking_uri=store)
    (kept,) = client.search_runs([client.get_experiment_by_name("speed").experiment_id])
    found = publication_of(run)
    assert kept.data.metrics == pytest.approx(found.metrics)
    assert kept.data.params == found.parameters
    assert kept.data.tags["assay.verdict"] == "\n".join(found.lines)[:5000]
    assert kept.info.status == "FINISHED"
    assert {one.path for one in client.list_artifacts(kept.info.run_id)} == {"results.json", "report.html"}


@pytest.mark.slow
def test_a_run_of_weights_and_biases_is_kept_offline(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    variables = {"WANDB_MODE": "offline", "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = assay("publish", str(run), "--to", "wandb", "--place", str(tmp_path), "--json", folder=tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    (kept,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    content = kept.read_bytes()
    name = next(iter(publication_of(run).metrics))
    assert name.encode() in content
    assert b"assay.verdict" in content


@pytest.mark.slow
def test_without_a_login_the_refusal_says_what_to_do(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    done = assay("publish", str(run), "--to", "wandb", folder=tmp_path, WANDB_MODE="online", HOME=str(tmp_path))
    assert done.returncode == 1
    assert "WANDB_MODE=offline" in done.stderr.splitlines()[-1]
    assert ASSAY.is_file()
