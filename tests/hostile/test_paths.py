"""Names of files and folders of every kind: everything works, or is refused before any work with one message."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import polars
import pytest
from onnx import TensorProto, helper, numpy_helper

from assay.bench.timing.trials import logits_name, timed_name
from assay.bench.timing.unit_files import fresh_folder
from assay.errors import ArtifactError
from assay.files.columns import SAMPLE_COLUMNS
from assay.files.disk import short_name
from assay.files.tables import read_table, write_table
from assay.records.results import read_results
from tests.bench.cli.test_cli import ASSAY, assay
from tests.bench.report.sample_results import sample_results
from tests.command import command
from tests.good_run import status_of_good
from tests.small_study import small_study

ALL_AT_ONCE = "-a [red]*?{x}'\"`$HOME ~%41#:=\u00e9\u4e2d\t\n;\\ \u202e|&<b>"
NAMES = {
    "pattern": "a[1]*?{b,c}!",
    "markup": "[red]name[bold] [link]",
    "quotes": 'it\'s "quoted" `here`',
    "spaces": "  two  spaces  ",
    "lines": "two\nlines\tand a tab\r",
    "escapes": "\x1b[31m\x07\x7f",
    "shell": "$HOME ${HOME} $(id) ~ ; & | > <",
    "home": "~",
    "percent": "%41%s%n#fragment?query",
    "address": "s3:bucket",
    "scheme": "file:",
    "option": "--out=x",
    "drive": "C:\\x",
    "letters": "\u00e9\u4e2d\u6587\U0001f600",
    "right to left": "\u202egpj.x",
    "formula": "=cmd()",
    "dots": "..x..",
    "hidden": ".hidden",
    "long": "n" * 200,
    "longest letters": "\u4e2d" * 80,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    weights = numpy_helper.from_array(np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32), "weights")
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "weights"], ["y"])], "product", [x], [y], [weights])
    path = tmp_path_factory.mktemp("model") / "product.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def place_of(name: str, model: Path, tmp_path: Path) -> Path:
    """A folder of this name with a model, inputs and a finished study of the same name in it."""
    place = tmp_path / name
    study = place / f"{name}s"
    study.mkdir(parents=True)
    shutil.copy(model, place / f"{name}.onnx")
    np.savez(place / f"{name}.npz", x=np.ones((2, 4), np.float32))
    results = sample_results((28,), (1,), ("bloodnet",))
    (study / "results.json").write_text(results.model_dump_json())
    samples = [(cell.name, 0, 0, call, "host", 1000, 0) for cell in results.cells for call in range(3)]
    write_table(study / "samples.parquet", polars.DataFrame(samples, schema=SAMPLE_COLUMNS, orient="row"))
    return place


def works(place: Path, *arguments: str) -> str:
    done = command(*arguments, folder=place)
    assert done.returncode in {0, 1}, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def reads_and_reports(name: str, place: Path) -> None:
    """The two quickest commands: one that reads a model, and one that reads tables and writes files of every kind."""
    assert "MatMul" in works(place, "export", f"--inspect={name}.onnx")
    works(place, "report", f"--out={name}r", "--", f"{name}s")
    assert (place / f"{name}r" / "report.html").is_file()
    assert (place / f"{name}r" / "cells.parquet").is_file()
    assert {path.name for path in place.iterdir()} == {f"{name}{suffix}" for suffix in (".onnx", ".npz", "s", "r")}


def compares_and_audits(name: str, place: Path) -> None:
    """Commands that write where they are told to, and nowhere else."""
    before = {path.name for path in place.iterdir()}
    pair = (f"--reference={name}.onnx", f"--candidate={name}.onnx", f"--inputs={name}.npz")
    works(place, "audit", *pair, f"--out={name}o")
    assert [path.name for path in (place / f"{name}o").iterdir()] == [f"audit-{short_name(name)}"]
    works(place, "compare", f"--markdown={name}.md", f"--junit={name}.junit", "--", f"{name}s", f"{name}s")
    works(place, "data", "build", "synthetic", f"--out={name}d")
    made = {path.name for path in place.iterdir()} - before
    assert made == {f"{name}{suffix}" for suffix in ("o", ".md", ".junit", "d")}


def test_all_that_a_name_can_hold_at_once(model: Path, tmp_path: Path) -> None:
    reads_and_reports(ALL_AT_ONCE, place_of(ALL_AT_ONCE, model, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name", [ALL_AT_ONCE, *NAMES.values()], ids=["all at once", *NAMES])
def test_every_kind_of_name(name: str, model: Path, tmp_path: Path) -> None:
    place = place_of(name, model, tmp_path)
    reads_and_reports(name, place)
    compares_and_audits(name, place)


@pytest.mark.slow
@pytest.mark.parametrize("name", [ALL_AT_ONCE, NAMES["long"], NAMES["longest letters"]], ids=["all", "long", "letters"])
def test_a_model_of_any_name_is_compared(name: str, model: Path, tmp_path: Path) -> None:
    place = place_of(name, model, tmp_path)
    options = ("--minutes=0.2", "--interval-width=0", "--runtime=ort.cpu", f"--out={name}")
    works(place, "compare-model", *options, "--", f"{name}.onnx")
    (folder,) = (place / name).iterdir()
    assert (folder / "results.json").is_file()
    assert (folder / "report" / "report.html").is_file()
    assert list((folder / "units").glob("*/samples.parquet"))
    works(place, "report", "--", str(folder))


@pytest.mark.slow
def test_a_study_in_a_folder_of_any_name(tmp_path: Path) -> None:
    place = tmp_path / ALL_AT_ONCE
    place.mkdir()
    study = small_study(
        "any",
        limit=160,
        train={"batch_size": 32, "parity_steps": 2},
        export={"exporters": ["torch-script", "torch-dynamo", "tf2onnx", "jax2onnx", "jax2tf"]},
        bench={
            "runtimes": ["torch.eager", "torch.compile", "tf.function", "jax.jit", "ort.cpu", "null"],
            "batches": [1],
            "processes": 2,
            "interval_width": 0,
            "blocks": 3,
            "budget_minutes": 3,
        },
    )
    (place / f"{ALL_AT_ONCE}.toml").write_text(study)
    done = assay("run", f"--out={ALL_AT_ONCE}", "--", f"{ALL_AT_ONCE}.toml", folder=place)
    cells = assay("report", "--json", "--", f"{ALL_AT_ONCE}/any", folder=place)
    assert cells.returncode == 0, cells.stderr
    results = read_results(place / ALL_AT_ONCE / "any" / "results.json")
    assert done.returncode == status_of_good(results), done.stderr
    assert [(one.exporter, one.status) for one in results.exports if one.status != "ok"] == []
    assert [(cell.label, cell.reason) for cell in results.cells if cell.status != "ok"] == []


def test_a_compiler_that_splits_its_commands_gets_a_plain_path(tmp_path: Path) -> None:
    for name in (ALL_AT_ONCE, "it's", "two words"):
        with fresh_folder(tmp_path / name) as cache:
            assert shlex.split(f"g++ -o {cache}/kernel.so") == ["g++", "-o", f"{cache}/kernel.so"]
        assert not cache.exists()
    with fresh_folder(tmp_path / "plain") as cache:
        assert cache.parent == tmp_path / "plain"


BROKEN = os.fsdecode(b"broken-\xff\xfe")


def test_a_name_that_is_not_utf_8_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / BROKEN).mkdir()
    done = assay("run", "study.toml", "--out", BROKEN, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("assay: The name b'broken-\\xff\\xfe")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == [BROKEN]


def test_a_folder_that_is_not_utf_8_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / BROKEN).mkdir()
    done = assay("data", "build", "synthetic", folder=tmp_path / BROKEN)
    assert done.returncode == 2
    assert "expected UTF-8" in done.stderr
    assert list((tmp_path / BROKEN).iterdir()) == []


def test_a_folder_that_is_gone_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    script = f"cd gone && rmdir ../gone && {ASSAY} doctor"
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("assay: The current folder no longer exists")


@pytest.mark.parametrize("name", [ALL_AT_ONCE, *NAMES.values()])
def test_a_table_is_read_from_a_file_of_any_name(name: str, tmp_path: Path) -> None:
    table = polars.DataFrame({"a": [1, 2]})
    (tmp_path / name).mkdir()
    write_table(tmp_path / name / name, table)
    assert read_table(tmp_path / name / name).equals(table)
    assert [path.name for path in (tmp_path / name).iterdir()] == [name]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 1000, bytes(1000)])
def test_a_damaged_table_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a[1].parquet").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"a\[1\]\.parquet cannot be read"):
        read_table(tmp_path / "a[1].parquet")


def test_names_of_files_that_are_made_from_long_names_are_short_and_differ() -> None:
    one, other = (NAMES["longest letters"] + f"{end}/0/b1/t1/torch.compile@torch-dynamo" for end in "ab")
    for name in (logits_name, timed_name):
        assert len(name(one).encode()) <= 200
        assert name(one) != name(other)
    assert logits_name("bloodnet/28/b1/t1/ort.cpu") == "bloodnet~28~b1~t1~ort.cpu.npy"
