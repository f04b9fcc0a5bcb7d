"""An exporter that crashes, hangs, raises or writes nonsense costs its own record, and its file is never offered.

The bad exporters run in the real job process: a `sitecustomize` on its path puts them into the registry.
"""

from __future__ import annotations

import re
import signal
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from assay.errors import ArtifactError, ExportFailedError, InputError
from assay.export import run
from assay.export.run import ExportJob, artifact_folder, export_model, job_of_weights, usable_model
from assay.jobs.pace import SHARES, Pace
from assay.records.results import Export
from assay.steps import MOST_SECONDS, Limit
from assay.store import Store
from tests.export.models import Workspace, silent, usable_exports, workspace

REGISTER = """
from dataclasses import replace
from assay.registry import EXPORTERS
EXPORTERS._entries["torch-script"] = replace(EXPORTERS["torch-script"], target="bad_exporter:export")
"""

EXPORTERS = {
    "crash": "import os, signal\ndef export(request):\n    os.kill(os.getpid(), signal.SIGSEGV)\n",
    "hang": "import time\ndef export(request):\n    time.sleep(600)\n",
    "raise": "def export(request):\n    raise RuntimeError('no rule\\nfor this operator')\n",
    "exit": "import os\ndef export(request):\n    print('last words', flush=True)\n    os._exit(7)\n",
    "nothing": "from assay.export.routes.request import ExportOutcome\n"
    "def export(request):\n    return ExportOutcome('NCHW', (), {})\n",
    "garbage": "from assay.export.routes.request import ExportOutcome\n"
    "def export(request):\n    request.output.write_bytes(b'garbage')\n    return ExportOutcome('NCHW', (), {})\n",
    "missing": "import absent_package\n",
    "wrong": "import shutil\nfrom assay.export.routes.request import ExportOutcome\n"
    "def export(request):\n    shutil.copy(__file__ + '.onnx', request.output)\n"
    "    return ExportOutcome('NCHW', (), {})\n",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace in which the good exporter has already run."""
    made = workspace("bloodnet", tmp_path_factory)
    assert made.export("torch-script").status == "ok"
    return made


@pytest.fixture
def job(place: Workspace, tmp_path: Path) -> ExportJob:
    """A job whose references exist and whose exports go to another folder."""
    return replace(place.job("torch-script"), exports=Store(tmp_path / "exports"))


@pytest.fixture
def bad(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bad exporter in place of a good one, only in the job's process."""
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(REGISTER)
    (folder / "bad_exporter.py").write_text(EXPORTERS[request.param])
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


def kept(record: Export, job: ExportJob) -> set[str]:
    return {path.name for path in artifact_folder(record, job.exports).iterdir()}


def runs_of_a_second_call(job: ExportJob) -> int:
    """How many times a job is started when the same export is requested again."""
    runs = []

    def count(*_: object, **__: object) -> None:
        runs.append(1)
        raise ExportFailedError("not run in this test")

    export_model(replace(job, start=count), silent)
    return len(runs)


@pytest.mark.parametrize(
    ("bad", "words", "tried_again"),
    [
        ("crash", f"The export by torch-script was ended by {signal.SIGSEGV.name}", 1),
        ("exit", "exporting: .*status 7.*last words", 1),
        ("raise", "RuntimeError: no rule for this operator", 0),
        ("nothing", "wrote no file", 0),
        ("garbage", "wrote no ONNX file", 0),
        ("missing", "needs the Python package 'absent_package'", 1),
    ],
    indirect=["bad"],
)
def test_an_exporter_that_fails_costs_its_own_record(job: ExportJob, bad: Path, words: str, tried_again: int) -> None:
    record = export_model(job, silent)
    assert record.status == "failed"
    assert re.search(words, record.reason), record.reason
    assert "export.log" in kept(record, job)
    assert usable_exports(job.exports) == []
    with pytest.raises(ExportFailedError, match="may not be used"):
        usable_model(record, job.exports)
    assert [path.name for path in job.exports.folder.iterdir()] == [artifact_folder(record, job.exports).name]
    assert runs_of_a_second_call(job) == tried_again


@pytest.mark.parametrize("bad", ["hang"], indirect=True)
def test_an_exporter_that_hangs_is_killed(job: ExportJob, place: Workspace, bad: Path) -> None:
    hasty = place.job("torch-script", limit_seconds=8)
    record = export_model(replace(hasty, exports=job.exports), silent)
    assert record.status == "failed"
    assert "The export by torch-script used almost no processor time" in record.reason


def test_an_export_is_given_up_in_proportion_to_what_the_model_took(
    job: ExportJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a small model soon, and with words for the waiting person."""
    limits: list[Limit] = []

    def stop(*_: object, limit_seconds: Limit, **__: object) -> None:
        limits.append(limit_seconds)
        raise ExportFailedError("not run in this test")

    monkeypatch.setattr(run, "run_job", stop)
    pace = Pace(load_seconds=2.0, call_seconds=0.01)
    monkeypatch.setattr(run, "pace_in", lambda facts: pace if set(Pace.model_fields) <= set(facts) else None)
    export_model(job, silent)
    monkeypatch.setattr(run, "pace_in", lambda facts: None)
    export_model(replace(job, opset=17), silent)
    quick, unmeasured = limits
    assert quick.doing == f"The export of bloodnet by {job.exporter}"
    assert SHARES["export"].least < quick.seconds < unmeasured.seconds / 3
    assert unmeasured.seconds > 2 * MOST_SECONDS


@pytest.mark.parametrize("bad", ["wrong"], indirect=True)
def test_a_wrong_file_is_kept_and_never_offered(job: ExportJob, bad: Path, place: Workspace) -> None:
    """A file that is valid, loads and runs, and whose numbers are wrong."""
    other = with_another_bias(place, bad.parent)
    (bad / "bad_exporter.py.onnx").write_bytes(other.read_bytes())
    record = export_model(job, silent)
    assert record.status == "failed"
    assert "is tolerated (and 14 more)" in record.reason
    assert not any(agreement.passed for agreement in record.agreement)
    assert kept(record, job) == {"model.onnx", "inspection.json", "export.log", "manifest.json"}
    assert usable_exports(job.exports) == []


def with_another_bias(place: Workspace, folder: Path) -> Path:
    """A good export with one number of the head changed."""
    model = onnx.load(place.model("torch-script"))
    head = next(node for node in model.graph.node if node.op_type == "Gemm")
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == head.input[2])
    bias.raw_data = b"\0\0\x80\x3f" + bias.raw_data[4:]
    onnx.save(model, folder / "other.onnx")
    return folder / "other.onnx"


def test_a_damaged_file_is_not_offered(job: ExportJob, place: Workspace) -> None:
    record = export_model(job, silent)
    [(found, path)] = usable_exports(job.exports)
    assert found == record
    assert usable_model(record, job.exports) == path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match="not the file that was written"):
        usable_exports(job.exports)


def test_what_the_user_gave_is_named_when_it_is_wrong(job: ExportJob, place: Workspace, tmp_path: Path) -> None:
    weights, images, stores = place.folder / "weights", place.folder / "images.npy", (place.exports, place.references)
    with pytest.raises(InputError, match="Did you mean 'jax2onnx'"):
        job_of_weights("jax2onx", weights, images, *stores)
    with pytest.raises(InputError, match=r"no file of images.*absent\.npy"):
        job_of_weights(job.exporter, weights, tmp_path / "absent.npy", *stores)
    with pytest.raises(ArtifactError, match="is not an artifact"):
        job_of_weights(job.exporter, tmp_path, images, *stores)
    (tmp_path / "a file").write_text("in the way")
    with pytest.raises(InputError, match="a file"):
        export_model(replace(job, exports=Store(tmp_path / "a file")), silent)
