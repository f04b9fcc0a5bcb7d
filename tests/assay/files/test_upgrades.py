"""Records with older names for runtimes of users' models are read under today's names."""

from __future__ import annotations

import json
from pathlib import Path

import polars
import pytest

from assay.files.tables import read_table_of
from assay.files.upgrades import name_of_today
from assay.records.results import read_results

GOLDEN = Path(__file__).parents[2] / "golden" / "results-v3.json"


@pytest.mark.parametrize(
    ("older", "today"),
    [
        ("user.torch.eager", "torch.eager"),
        ("user.jax.jit[old]", "jax.jit[old]"),
        ("model/0/b1/t1/user.tf.xla", "model/0/b1/t1/tf.xla"),
        ("ort.cpu@torch-dynamo", "ort.cpu@torch-dynamo"),
        ("user.torch.eager/0/b1/t1/null", "user.torch.eager/0/b1/t1/null"),
        ("super.user.torch.eager", "super.user.torch.eager"),
        ("it ran in user.torch.eager", "it ran in user.torch.eager"),
    ],
)
def test_only_names_are_renamed(older: str, today: str) -> None:
    assert name_of_today(older) == today


def test_a_record_and_its_samples_are_those_of_the_same_runtimes_today(tmp_path: Path) -> None:
    text = GOLDEN.read_text(encoding="utf-8")
    older = text.replace('"torch.eager"', '"user.torch.eager"').replace("/torch.eager", "/user.torch.eager")
    assert older != text
    (tmp_path / "results.json").write_text(older, encoding="utf-8")
    results = read_results(tmp_path / "results.json")
    assert results.kind == "study"
    assert results == read_results(GOLDEN)
    assert "user." not in json.dumps([cell.label for cell in results.cells])
    table = tmp_path / "bursts.parquet"
    polars.DataFrame({"cell": ["m/28/b1/t1/user.torch.eager", "m/28/b1/t1/null"], "calls": [1, 2]}).write_parquet(table)
    results = results.model_copy(update={"tables": {}})
    assert read_table_of(results, table)["cell"].to_list() == ["m/28/b1/t1/torch.eager", "m/28/b1/t1/null"]


def test_older_results_of_a_users_model_say_what_kind_they_are(tmp_path: Path) -> None:
    record = json.loads(GOLDEN.read_text(encoding="utf-8"))
    record["settings"] = {"fingerprint": "of its files"}
    (tmp_path / "results.json").write_text(json.dumps(record), encoding="utf-8")
    assert read_results(tmp_path / "results.json").kind == "model"
