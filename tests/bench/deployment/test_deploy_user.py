"""Deploying a user's model: it is served as it is, with its own inputs and outputs, or refused if that is
impossible.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from assay.bench.choosing.choose import Constraints, choose
from assay.bench.cli.main import app
from assay.bench.deployment.answered import Answered
from assay.bench.deployment.audited_records import _located, asked_of, judge_outputs, judge_reduced, served_name
from assay.bench.deployment.checking.contents import PLACES
from assay.bench.deployment.checking.ties import _what_varies
from assay.bench.deployment.checking.verify import check_deployment
from assay.bench.deployment.config import config_of, config_text, read_config
from assay.bench.deployment.deploy import AUDITED_OF, roll_back, subject_of, write_deployment
from assay.bench.deployment.folder import write_checksums
from assay.bench.deployment.render import CLIENTS
from assay.bench.deployment.subject import read_study
from assay.bench.words.progress import Narrator
from assay.errors import ArtifactError, AssayError, FailedError, InputError
from assay.export.probing.probe import LOCATION_FILE
from assay.numerics.judgement import Flips, Judgement, Quality
from assay.numerics.served import ServedTensor
from assay.records.audit import Audit, read_audit
from assay.records.base import Interval
from assay.records.deployment import Deployment, ServedTolerance, Version
from assay.records.results import Results, read_results
from assay.store import file_sha256
from assay.train.brought.arrays import record_type
from assay.train.brought.model import Location, UserModel
from tests.bench.cli.test_cli import GOLDEN
from tests.bench.compared_model import Takes, cell_name, make_comparison, model_of
from tests.bench.golden_deployment import golden_and_generated

CELL = cell_name("rows")


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_comparison(tmp_path_factory.mktemp("compared") / "model-Pair")


@pytest.fixture(scope="module")
def first(compared: Path) -> Path:
    """A deployment that no test changes."""
    write_deployment(read_study(compared), CELL, compared / "deployment", Narrator())
    return compared / "deployment"


@pytest.fixture
def copied(compared: Path, tmp_path: Path) -> Path:
    """A comparison to change."""
    return Path(shutil.copytree(compared, tmp_path / "model-Pair"))


def two_inputs(most_records: int) -> Deployment:
    """The record of a model with two inputs, one of them a single number."""
    version = Version(
        number=1,
        cell=CELL,
        precision="fp32",
        model_sha256="0" * 64,
        weights="0" * 64,
        quality=None,
        tolerances={"scores": ServedTolerance(value=1e-5, derivation="")},
        created="2026-01-01",
    )
    return Deployment(
        name="pair",
        serving=1,
        versions=[version],
        unit="record",
        inputs=[
            ServedTensor(name="ids", datatype="INT64", shape=[16]),
            ServedTensor(name="scale", datatype="FP32", shape=[]),
        ],
        outputs=[ServedTensor(name="scores", datatype="FP64", shape=[3, 2])],
        classes=[],
        threads=1,
        most_records=most_records,
        preferred_batches=[8] if most_records else [],
        data=read_results(GOLDEN / "results-v2.json").data,
    )


def labelled(folder: Path) -> Path:
    """The same comparison by a user who gave labels."""
    known = Interval(value=0.9, low=0.8, high=0.95)
    judgement = Judgement(
        task="classification",
        output="scores",
        against="the model in float64",
        records=40,
        flips=Flips(decisions=40, flipped=0, excused=0, records=0),
        qualities=[Quality(name="accuracy", value=known, base=known, method="Wilson")],
    )
    results, audit = read_results(folder / "results.json"), read_audit(folder / "audit.json")
    cells = [cell.model_copy(update={"judgement": judgement}) for cell in results.cells]
    (model,) = audit.models
    first, *rest = model.comparisons
    comparisons = [first.model_copy(update={"judgement": judgement}), *rest]
    model = model.model_copy(update={"comparisons": comparisons})
    (folder / "results.json").write_text(results.model_copy(update={"cells": cells}).model_dump_json())
    (folder / "audit.json").write_text(audit.model_copy(update={"models": [model]}).model_dump_json())
    return folder


def test_the_card_of_a_labelled_model_says_how_right_it_is(first: Path, copied: Path) -> None:
    assert "unknown: nobody told Assay" in (first / "README.md").read_text()
    write_deployment(read_study(labelled(copied)), CELL, copied / "deployment", Narrator())
    card = (copied / "deployment" / "README.md").read_text()
    said = (
        "| Accuracy | 90.00% (80.00% to 95.00%) on the 40 records that were labelled; 90.00% (80.00% to 95.00%) in the"
    )
    assert said in card
    assert "unknown" not in card
    check_deployment(copied / "deployment")


def test_an_accuracy_that_the_audit_does_not_have_is_found(copied: Path) -> None:
    study = labelled(copied)
    results = read_results(study / "results.json")
    better = Interval(value=1.0, low=0.99, high=1.0)
    cells = [
        cell.model_copy(update={"judgement": cell.judgement.model_copy(update={"qualities": [
            cell.judgement.qualities[0].model_copy(update={"value": better})
        ]})}) for cell in results.cells if cell.judgement
    ]  # fmt: skip
    (study / "results.json").write_text(results.model_copy(update={"cells": cells}).model_dump_json())
    write_deployment(read_study(study), CELL, study / "deployment", Narrator())
    with pytest.raises(ArtifactError, match="the audit of the measure"):
        check_deployment(study / "deployment")


@pytest.mark.parametrize("most_records", [32, 0])
def test_the_configuration_of_two_inputs_comes_back_from_its_text(most_records: int, tmp_path: Path) -> None:
    config = config_of(two_inputs(most_records))
    (tmp_path / "config.pbtxt").write_text(config_text(config))
    again = read_config(tmp_path / "config.pbtxt")
    assert again == config
    assert again.max_batch_size == most_records
    assert [(one.name, list(one.dims), one.HasField("reshape")) for one in again.input] == [
        ("ids", [16], False),
        ("scale", [1], True),
    ]
    assert [(one.name, list(one.dims), one.label_filename) for one in again.output] == [("scores", [3, 2], "")]
    assert [one.batch_size for one in again.model_warmup] == ([1, 8] if most_records else [1])
    files = {name: one.input_data_file for name, one in again.model_warmup[0].inputs.items()}
    assert files == {"ids": "record-1.raw", "scale": "record-2.raw"}


def test_an_output_that_nothing_judges_cannot_be_deployed() -> None:
    record = two_inputs(32).model_dump()
    record["versions"][0]["tolerances"] = {}
    with pytest.raises(ValueError, match="no tolerance for the output scores"):
        Deployment.model_validate(record)


@pytest.mark.parametrize(
    ("takes", "shapes", "most"),
    [("rows", [[6], [6], []], 32), ("four rows", [[4, 6], [4, 6], [4]], 0), ("a call", [[4, 6], [4, 6], [4]], 0)],
)
def test_a_record_is_a_row_or_all_that_one_call_takes(
    takes: Takes, shapes: list[list[int]], most: int, tmp_path: Path
) -> None:
    subject = subject_of(read_study(make_comparison(tmp_path / "compared", takes)), cell_name(takes))
    assert [one.shape for one in subject.audited.inputs] == shapes
    assert (subject.most_records, subject.audited.name, subject.audited.labels) == (most, "pair", None)
    kept = np.load(tmp_path / "compared/model/records.npy")
    assert not isinstance(subject.audited.records, Path)
    np.testing.assert_array_equal(
        subject.audited.records["left"].reshape(-1, 6),
        kept["left"].reshape(-1, 6),
    )


def test_fewer_audited_rows_than_a_call_takes_fill_it_by_repeating() -> None:
    model = model_of("four rows")
    records = np.zeros(3, record_type(model.inputs))
    records["times"] = [0, 1, 2]
    audited = asked_of(model, records, np.arange(21, dtype=np.float64).reshape(3, 7))
    np.testing.assert_array_equal(audited.records["times"], [[0, 1, 2, 0]])
    np.testing.assert_array_equal(audited.reference["likeness"], [[0, 7, 14, 0]])
    assert audited.reference["sum"].shape == (1, 4, 6)


def test_a_single_number_without_a_batch_is_refused() -> None:
    """As Triton refuses it: "scalar tensors are not supported"."""
    model = model_of("a call")
    left, right, times = model.inputs
    model = model.model_copy(update={"inputs": (left, right, times.model_copy(update={"shape": ()}))})
    records = np.zeros(1, record_type(model.inputs))
    with pytest.raises(InputError, match="'times' is a scalar in a call without a batch"):
        asked_of(model, records, np.zeros((1, model.width)))


def test_an_output_whose_size_varies_from_call_to_call_is_refused() -> None:
    model = model_of("rows")
    first, *others = model.outputs
    model = model.model_copy(update={"outputs": (first.model_copy(update={"varying": (0,)}), *others)})
    records = np.zeros(1, record_type(model.inputs))
    with pytest.raises(InputError, match=f"the size of '{first.name}' depends on the values of the inputs"):
        asked_of(model, records, np.zeros((1, model.width)))


def test_the_written_folder_passes_every_check_and_has_the_audited_file(first: Path, compared: Path) -> None:
    found = check_deployment(first)
    version = found.version(1)
    assert (found.name, found.unit, found.classes, found.most_records) == ("pair", "record", [], 32)
    assert (version.cell, version.quality, found.preferred_batches) == (CELL, None, [8])
    assert version.tolerances.keys() == {"likeness", "sum"}
    assert all(0 < one.value < 1e-4 for one in version.tolerances.values())
    (exported,) = compared.glob("onnx/*/model.onnx")
    assert (first / "models/pair/1/model.onnx").read_bytes() == exported.read_bytes()
    assert read_audit(first / "audited/1/audit.json") == read_audit(compared / "audit.json")
    inputs, outputs = (np.load(first / f"audited/1/{name}.npy") for name in ("inputs", "outputs"))
    np.testing.assert_array_equal(inputs, np.load(compared / "model/records.npy"))
    np.testing.assert_allclose(outputs["sum"], (inputs["left"] + inputs["right"]) * inputs["times"][:, None])
    for name in ("models/pair/labels.txt", "requests/image.png", "audited/1/labels.npy"):
        assert not (first / name).exists()


def test_the_sample_requests_hold_every_input(first: Path) -> None:
    inputs = json.loads((first / "requests/record.json").read_text())["inputs"]
    assert [(one["name"], one["shape"], one["datatype"]) for one in inputs] == [
        ("left", [1, 6], "FP32"),
        ("right", [1, 6], "FP32"),
        ("times", [1, 1], "INT64"),
    ]
    audited = np.load(first / "audited/1/inputs.npy")
    raw = b"".join(audited[name][0].tobytes() for name in ("left", "right", "times"))
    body = (first / "requests/record.bin").read_bytes()
    assert body.endswith(raw)
    sizes = [one["parameters"]["binary_data_size"] for one in json.loads(body[: -len(raw)])["inputs"]]
    assert sizes == [24, 24, 8]
    compile((first / "requests/client.py").read_text(), "client.py", "exec")


@pytest.mark.parametrize("name", ["README.md", "infer.sh", "config.pbtxt", CLIENTS["record"]])
def test_the_generated_files_are_the_golden_ones(name: str, first: Path, tmp_path: Path) -> None:
    """After an intended change: UPDATE_GOLDEN=1 make test. Machine-dependent parts are made the same first."""
    others = {"config.pbtxt": "models/pair/config.pbtxt", CLIENTS["record"]: "requests/client.py"}
    golden, generated = golden_and_generated(name, first, tmp_path, "deployment-of-records", PLACES | others)
    assert generated == golden


def test_a_graph_with_another_contract_is_found(first: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(first, tmp_path / "pair"))
    path = folder / "models/pair/1/model.onnx"
    model = onnx.load(path)
    model.graph.output[1].name = model.graph.node[-1].output[0] = "total"
    onnx.save(model, path)
    record = json.loads((folder / "deployment.json").read_text())
    record["versions"][0]["model_sha256"] = file_sha256(path)
    (folder / "deployment.json").write_text(json.dumps(record))
    write_checksums(folder)
    with pytest.raises(FailedError, match=r"outputs are not those of the deployment: .*'sum' float32, found"):
        check_deployment(folder)


def test_another_version_of_a_model_without_a_batch_and_back(tmp_path: Path) -> None:
    study = read_study(make_comparison(tmp_path / "compared", "a call"))
    for _ in range(2):
        write_deployment(study, cell_name("a call"), tmp_path / "out", Narrator())
    changed = roll_back(tmp_path / "out")
    assert (changed.serving, changed.most_records) == (1, 0)
    assert check_deployment(tmp_path / "out") == changed
    other = read_study(make_comparison(tmp_path / "other", "rows"))
    with pytest.raises(InputError, match="deployment of another model"):
        write_deployment(other, CELL, tmp_path / "out", Narrator())


def failed(audit: Audit) -> Audit:
    """The audit with every comparison failed."""
    (model,) = audit.models
    comparisons = [one.model_copy(update={"passed": False, "reason": "differs by 3"}) for one in model.comparisons]
    return audit.model_copy(update={"models": [model.model_copy(update={"comparisons": comparisons})]})


def rewrite_audit(folder: Path, change: Callable[[Audit], Audit]) -> None:
    changed = change(read_audit(folder / "audit.json"))
    (folder / "audit.json").write_text(changed.model_dump_json())


def one_record_changes(folder: Path) -> None:
    records = np.load(folder / "model/records.npy")
    records["left"][0, 0] += 1
    np.save(folder / "model/records.npy", records)


def another_reference(folder: Path) -> None:
    reference = np.load(folder / "model/reference.npy")
    np.save(folder / "model/reference.npy", reference + 1e-3)


def another_file(folder: Path) -> None:
    (file,) = folder.glob("onnx/*/model.onnx")
    file.write_bytes(file.read_bytes() + b"\0")


def another_model(folder: Path) -> None:
    described = folder / "model/model.json"
    described.write_text(described.read_text().replace("f" * 64, "e" * 64))


def half_a_type(folder: Path) -> None:
    described = folder / "model/model.json"
    described.write_text(described.read_text().replace("int64", "float16"))


CHANGES: list[tuple[Callable[[Path], object], type[AssayError], str]] = [
    (lambda folder: rewrite_audit(folder, failed), FailedError, "did not pass its audit: found likeness, batch 1"),
    (another_file, ArtifactError, "is not the file that was written"),
    (one_record_changes, ArtifactError, "records.npy differs from the file that was audited"),
    (another_model, ArtifactError, "model.json belongs to a different model from the one audited"),
    (lambda folder: (folder / "model/model.json").unlink(), ArtifactError, "model.json"),
    (lambda folder: (folder / "model/reference.npy").unlink(), ArtifactError, "reference.npy"),
    (half_a_type, InputError, "Pair cannot be served: 'times' is float16"),
    (another_reference, FailedError, "output 'likeness' differs from the reference's"),
]


@pytest.mark.parametrize(("change", "kind", "part"), CHANGES)
def test_what_cannot_be_trusted_or_carried_is_refused(
    change: Callable[[Path], object], kind: type[AssayError], part: str, copied: Path
) -> None:
    change(copied)
    with pytest.raises(kind) as raised:
        write_deployment(read_study(copied), CELL, copied / "out", Narrator())
    assert part in str(raised.value)
    assert not (copied / "out").exists()


def test_answers_that_hang_on_the_batch_are_refused(compared: Path, first: Path) -> None:
    (audit,) = read_audit(compared / "audit.json").models
    outputs = np.load(first / "audited/1/outputs.npy")
    reference = {name: outputs[name].astype(np.float64) for name in ("likeness", "sum")}
    assert judge_outputs(outputs, reference, audit, {"likeness": 0.0, "sum": 0.0})["sum"].value > 0
    with pytest.raises(FailedError, match="'sum' depends on the number of records"):
        judge_outputs(outputs, reference, audit, {"likeness": 0.0, "sum": 0.1})


def test_choosing_needs_no_accuracy_and_cannot_ask_for_one(compared: Path) -> None:
    results, audit = read_results(compared / "results.json"), read_audit(compared / "audit.json")
    found = choose(results, audit, Constraints())
    assert found.answer == CELL
    assert [one.quality for one in found.candidates] == [None, None]
    assert "accura" not in "".join(found.losers.values())
    with pytest.raises(InputError, match="right answers of this model are unknown"):
        choose(results, audit, Constraints(least_quality=0.9))


def test_an_audit_of_another_model_of_the_name_lets_nothing_be_chosen(compared: Path) -> None:
    results, audit = read_results(compared / "results.json"), read_audit(compared / "audit.json")
    (model,) = audit.models
    other = model.model_copy(update={"keys": model.keys | {"weights": "e" * 64}})
    found = choose(results, audit.model_copy(update={"models": [other]}), Constraints())
    assert not found.answer
    assert f"its audit is out of date: it covers the weights {'e' * 12}" in found.losers[CELL]


def test_the_commands_choose_and_deploy(copied: Path) -> None:
    chosen = CliRunner().invoke(app, ["choose", str(copied)])
    assert chosen.exit_code == 0, chosen.exception
    assert "ccuracy" not in chosen.stdout
    done = CliRunner().invoke(app, ["deploy", str(copied), "--out", str(copied / "out")])
    assert done.exit_code == 0, done.exception
    assert done.stdout.startswith(f"pair, version 1 of 1: {CELL}, fp32\n")


@pytest.mark.parametrize(
    ("name", "served"),
    [("Pair", "pair"), ("torch_mlp.build", "torch_mlp-build"), ("Große Ähre", "gro-e-hre"), ("_", "model")],
)
def test_a_served_name_is_harmless(name: str, served: str) -> None:
    assert served_name(name) == served


def test_a_comparison_of_an_older_assay_is_deployed(tmp_path: Path) -> None:
    compared = make_comparison(tmp_path / "compared")
    (filed,) = (compared / "onnx").iterdir()
    manifest = filed / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"kind": "onnx"', '"kind": "user-onnx"'))
    filed.rename(filed.with_name(filed.name.removeprefix("Pair-0-")))
    assert subject_of(read_study(compared), CELL).audited.unit == "record"


def test_a_study_and_a_model_of_one_s_own_are_deployed_by_one_road() -> None:
    """The kind of results determines how the audited file is found."""
    assert set(AUDITED_OF) == set(get_args(Results.model_fields["kind"].annotation))


def test_a_file_in_reduced_precision_is_judged_by_its_own_evaluations(compared: Path) -> None:
    """Its answers follow the reference, whole numbers equal it, and a server's may differ by twice the spread."""
    (audit,) = read_audit(compared / "audit.json").models
    exact = np.random.default_rng(0).normal(size=(32, 6))
    found = np.zeros(32, [("sum", np.float32, (6,))])
    found["sum"] = exact + 0.03 * exact[::-1]
    tolerance = judge_reduced(found, {"sum": exact}, audit, {"sum": 0.25})["sum"]
    assert tolerance.value == pytest.approx(0.5, rel=1e-4)
    assert "of what varies in the reference" in tolerance.derivation
    found["sum"] = exact[::-1]
    with pytest.raises(FailedError, match="'sum' does not follow the reference"):
        judge_reduced(found, {"sum": exact}, audit, {"sum": 0.25})


def test_what_a_native_runtime_is_served_with_is_made_of_the_file_where_it_lies(tmp_path: Path) -> None:
    """The model's description contains only its name, because descriptions are shared."""
    model = UserModel(
        location=Location(path=Path("net.py"), form="function", kind="jax", function="build"),
        kind="jax", inputs=(), outputs=(),
    )  # fmt: skip
    with pytest.raises(ArtifactError, match=r"made from net.py:build itself.*older Assay.*`assay model` again"):
        _located(model, tmp_path)
    (tmp_path / LOCATION_FILE).write_text(str(tmp_path / "net.py"))
    with pytest.raises(ArtifactError, match=r"is no longer in its place: expected .*net\.py"):
        _located(model, tmp_path)
    (tmp_path / "net.py").touch()
    assert _located(model, tmp_path).location.path == tmp_path / "net.py"


def test_a_tolerance_of_reduced_precision_is_relative_to_the_variation() -> None:
    """It follows from the file's own evaluations, so the audit's tolerance for fp32 does not apply."""
    outputs = np.zeros(4, [("sum", np.float32, (2,)), ("index", np.int64)])
    outputs["sum"] = [[0, 5], [2, 5], [0, 5], [2, 5]]
    version = SimpleNamespace(tolerances={"sum": None, "index": None})
    found = _what_varies(Answered(None, outputs, None), version)  # type: ignore[arg-type]
    assert found["index"] == 0
    assert 0.5 < found["sum"] < 1.1
