"""The command line: exit codes, one message for every mistake, and no heavy imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from assay import __version__
from assay.bench.cli import listing
from assay.bench.cli.main import app
from assay.bench.machine.machine import usable_cores
from assay.errors import StudyError
from assay.registry import ARCHITECTURES, DATASETS, EXPORTERS, RUNTIMES
from tests.bench.report.sample_results import sample_results
from tests.command import command, variables_for
from tests.small_study import small_study

GOLDEN = Path(__file__).parents[2] / "golden"
ASSAY = Path(sys.executable).with_name("assay")
COMMANDS = (
    "",
    "run",
    "train",
    "export",
    "bench",
    "attribute",
    "report",
    "doctor",
    "selfcheck",
    "audit",
    "compare",
    "join",
    "publish",
    "history",
    "regress",
    "choose",
    "deploy",
    "model",
    "list",
    "serve",
    "verify-server",
    "load",
    "atlas",
    "fleet",
    "fleet list",
    "data",
    "data build",
    "data show",
)


def assay(*arguments: str, folder: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command."""
    environment = variables_for(variables)
    return subprocess.run(
        [str(ASSAY), *arguments], capture_output=True, text=True, check=False, cwd=folder, env=environment
    )


@pytest.mark.parametrize("words", COMMANDS)
def test_help_is_the_golden_one(words: str) -> None:
    """After an intended change: UPDATE_GOLDEN=1 make test."""
    done = command(*words.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    golden = GOLDEN / f"help-{words.replace(' ', '-') or 'assay'}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(done.stdout)
    assert done.stdout == golden.read_text()


def test_every_help_has_an_example_that_names_its_command() -> None:
    for words in filter(None, COMMANDS):
        text = (GOLDEN / f"help-{words.replace(' ', '-')}.txt").read_text()
        assert words in {"data", "fleet"} or f"\n Example: assay {words}" in text


def test_commands_are_grouped_and_the_older_name_of_one_is_hidden() -> None:
    text = (GOLDEN / "help-assay.txt").read_text()
    places = [text.index(f"─ {group} ─") for group in ("Your model", "Study", "Deploy", "Instrument")]
    assert places == sorted(places)
    assert text.index("│ model ") < places[1] < text.index("│ compare ")
    assert "compare-model" not in text


def test_the_older_name_of_model_is_the_same_command() -> None:
    older, newer = command("compare-model", "--help"), command("model", "--help")
    assert older.returncode == 0
    assert older.stdout.replace("assay compare-model [", "assay model [").split() == newer.stdout.split()


def test_names_are_listed_without_the_instruments_own(tmp_path: Path) -> None:
    found = json.loads(command("list", "runtimes", "--json").stdout)["runtimes"]
    names = [one["name"] for one in found]
    assert {"torch.eager", "ort.cpu"} <= set(names)
    assert not {name for name, entry in RUNTIMES.items() if entry.ruler} & set(names)
    table = assay("list", "runtimes")
    assert (table.returncode, table.stderr) == (0, "")
    assert [line.split()[0] for line in table.stdout.splitlines() if not line.startswith(" ")] == names


@pytest.mark.parametrize(
    ("kind", "known"), [("exporters", EXPORTERS), ("architectures", ARCHITECTURES), ("datasets", DATASETS)]
)
def test_what_a_study_names_is_listed(kind: str, known: Iterable[str]) -> None:
    done = CliRunner().invoke(app, ["list", kind, "--json"])
    assert [one["name"] for one in json.loads(done.stdout)[kind]] == list(known)
    assert all(one["summary"] for one in json.loads(done.stdout)[kind])


def test_extras_are_listed_with_what_they_bring_and_those_of_developers_are_not() -> None:
    done = CliRunner().invoke(app, ["list", "extras", "--json"])
    found = {one["name"]: one for one in json.loads(done.stdout)["extras"]}
    assert "tritonclient" in found["serve"]["summary"]
    assert found["serve"]["install"] == ""
    assert "onnxruntime-gpu" in found["gpu"]["summary"]
    assert found["gpu"]["install"] == "pip install 'onnx-assay[gpu]'"
    assert not {"dev", "mutants"} & set(found)


def test_a_listed_name_gives_the_missing_part_of_its_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Besides its framework: LiteRT needs TensorFlow to make its files, int8 needs NNCF or torchao, a data set a
    package.
    """
    found = listing.find_spec
    gone = {"tensorflow", "nncf", "torchao", "medmnist", "PIL"}
    monkeypatch.setattr(listing, "find_spec", lambda name: None if name in gone else found(name))

    def missing(kind: str) -> dict[str, str]:
        done = CliRunner().invoke(app, ["list", kind, "--json"])
        return {one["name"]: one["install"] for one in json.loads(done.stdout)[kind] if one["install"]}

    runtimes = missing("runtimes")
    assert runtimes["litert"] == "pip install 'onnx-assay[litert]'"
    assert runtimes["openvino.nncf"] == "pip install 'onnx-assay[nncf]'"
    assert runtimes["torch.compile.int8"] == "pip install 'onnx-assay[torchao]'"
    assert not {"ort.cpu", "openvino", "torch.eager"} & set(runtimes)
    assert set(missing("datasets")) == {"bloodmnist", "medmnist", "pbc"}


def test_an_unknown_kind_of_names_is_one_message() -> None:
    one_line_error(command("list", "runtime"), 2, "Did you mean 'runtimes'?")


@pytest.mark.parametrize("name", ["run", "train", "export", "bench", "attribute", "audit", "compare"])
def test_a_changed_key_is_checked_as_one_of_the_file_is(name: str, tmp_path: Path) -> None:
    environments = ["--env", str(tmp_path), "--env", str(tmp_path)] if name == "compare" else []
    words = [name, study(tmp_path), "--set", "bench.batches=[0]", "--out", str(tmp_path), *environments]
    refused = CliRunner().invoke(app, words).exception
    assert isinstance(refused, StudyError)
    assert "--set bench.batches=[0] has 1 problem(s): bench.batches.0: expected 1 or more, found 0" in str(refused)


def test_the_version_is_printed_without_a_command() -> None:
    done = assay("--version")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, __version__, "")


def test_help_imports_no_framework_and_nothing_heavy() -> None:
    heavy = {"torch", "jax", "tensorflow", "onnx", "numpy", "polars", "altair"}
    code = f"import sys, assay.bench.cli.main; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def one_line_error(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    message = done.stderr.splitlines()[-1]
    assert message.startswith("assay: ")
    for part in parts:
        assert part in message


def study(folder: Path, text: str = "") -> str:
    path = folder / "study.toml"
    path.write_text(small_study("tiny", data=None) + text)
    return str(path)


def test_bad_studies_exit_with_two_and_name_the_mistake(tmp_path: Path) -> None:
    one_line_error(command("run", str(tmp_path / "none.toml")), 2, "none.toml", "studies/quick.toml")
    runtimes = study(tmp_path, '[bench]\nruntimes = ["ort.cpo"]')
    one_line_error(command("run", runtimes), 2, "study.toml", "Did you mean 'ort.cpu'")


def test_wrong_usage_exits_with_two(tmp_path: Path) -> None:
    for arguments in (("rnu",), ("run",), ("run", "--no-such-option"), ("export",)):
        done = command(*arguments, folder=tmp_path)
        one_line_error(done, 2)


def test_more_threads_than_cores_are_refused(tmp_path: Path) -> None:
    wanted = study(tmp_path, f"[bench]\nthreads = [{len(usable_cores()) + 1}]")
    one_line_error(command("run", wanted, "--out", str(tmp_path)), 2, "bench.threads", f"at most {len(usable_cores())}")


def test_named_data_that_is_not_there_never_falls_back(tmp_path: Path) -> None:
    wanted = study(tmp_path, '[data]\nname = "pbc"')
    one_line_error(command("train", wanted, "--out", str(tmp_path)), 2, "No PBC images", "ASSAY_PBC")
    one_line_error(
        command("train", wanted, "--data-root", "/no/such/place", "--out", str(tmp_path)), 2, "/no/such/place"
    )


def test_an_output_folder_in_the_way_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    wanted = study(tmp_path, '[data]\nname = "synthetic"\nlimit = 128')
    one_line_error(command("train", wanted, "--out", str(tmp_path / "file")), 2, "Cannot write", "--out")
    assert (tmp_path / "file").read_text() == "in the way"


def test_reports_of_results_that_cannot_be_read(tmp_path: Path) -> None:
    one_line_error(command("report", str(tmp_path)), 2, "results.json")
    (tmp_path / "results.json").write_text('{"schema_version": 99}')
    one_line_error(command("report", str(tmp_path)), 2, "unknown version", "found 99")
    (tmp_path / "results.json").write_text("{")
    one_line_error(command("report", str(tmp_path)), 2, "results.json")


def test_report_writes_and_lists_its_files(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(sample_results((28,), (1,), ("bloodnet",)).model_dump_json())
    done = command("report", str(tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    files = [Path(name) for name in json.loads(done.stdout)["files"]]
    assert all(file.is_file() for file in files)
    assert {".html", ".md", ".csv", ".parquet", ".svg", ".png"} <= {file.suffix for file in files}


def test_a_file_that_is_not_onnx_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\x00\x01 no model")
    one_line_error(command("export", "--inspect", str(tmp_path / "model.onnx")), 2, "model.onnx")


def test_a_damaged_data_file_is_named_and_kept(tmp_path: Path) -> None:
    (tmp_path / "bloodmnist.npz").write_bytes(b"PK broken")
    done = command("data", "show", "bloodmnist", "--data-root", str(tmp_path), folder=tmp_path, HOME=str(tmp_path))
    one_line_error(done, 2, "bloodmnist.npz")
    assert (tmp_path / "bloodmnist.npz").read_bytes() == b"PK broken"


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = assay("--debug", "run", str(tmp_path / "none.toml"))
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_data_build_writes_a_medmnist_file_that_says_what_it_is(tmp_path: Path) -> None:
    done = command("data", "build", "synthetic", "--size", "12", "--out", "cells.npz", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "SYNTHETIC" in done.stdout.upper()
    with np.load(tmp_path / "cells.npz") as arrays:
        assert arrays["train_images"].shape[1:] == (12, 12, 3)
        assert arrays["test_labels"].shape[1:] == (1,)


def test_doctor_lists_every_framework_and_missing_packages(tmp_path: Path) -> None:
    done = assay("doctor", "--json", PATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["frameworks"]) == {"torch", "tf", "jax", "litert", "onnxruntime", "openvino"}
    assert "CPUExecutionProvider" in found["frameworks"]["onnxruntime"]["execution providers"]
    assert found["programs"]["g++"] == {
        "found": "",
        "needed_for": "torch.compile on the CPU",
        "install": "Debian and Ubuntu: apt-get install g++",
    }
