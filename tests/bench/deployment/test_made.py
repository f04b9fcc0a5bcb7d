"""Deploying files made for a runtime with its own format, and the refusals."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from pydantic import JsonValue

from assay.bench.cli.deploy import _chosen
from assay.bench.deployment.checking.acting import refuse_what_acts
from assay.bench.deployment.checking.versions import refuse_other_versions
from assay.bench.deployment.config import config_of
from assay.bench.deployment.programs import PROGRAMS, audited_program
from assay.bench.deployment.render import _decimals
from assay.bench.deployment.subject import servable_cell
from assay.errors import ArtifactError, FailedError, InputError, NotInstalledError
from assay.export.programs.programs import KIND
from assay.export.served.made import ExportContract, WrappedFile, serve_made
from assay.records.audit import PROGRAM, ModelAudit
from assay.records.base import Interval, Tail
from assay.records.choice import Choice, Constraints, EligibleCell, write_choice
from assay.records.deployment import read_deployment, served_by
from assay.records.results import Cell, read_results
from assay.records.timings import Instances
from assay.registry import RUNTIMES
from assay.spec import ModelSpec
from assay.store import KEY_CHARACTERS, write_artifact
from tests import serving_folder
from tests.bench.choosing.test_choose import SAMPLE, audit, spread
from tests.bench.choosing.test_choose import cell as constructed
from tests.bench.cli.test_cli import assay
from tests.bench.finished_study import finished_study, of_runtime

MADE = [entry.name for entry in RUNTIMES.values() if entry.served_by and entry.maker]


def kept_program(study: Path, runtime: str) -> str:
    """Keep something as a file that a runtime loads, and return its key."""

    def fill(work: Path) -> dict[str, JsonValue]:
        (work / served_by(runtime).file).write_text("what was timed")
        return {}

    made = write_artifact(study / "new", KIND, {"runtime": runtime}, made_by={}, fill=fill)
    (study / "new").rename(study / f"bloodnet-{runtime}-{made.key[:KEY_CHARACTERS]}")
    return made.key


def of_program(key: str, audited: str) -> tuple[Cell, ModelAudit]:
    (model,) = audit([]).models
    return constructed("litert.int8", 1.0, program=key), model.model_copy(
        update={"keys": model.keys | {f"{PROGRAM}litert.int8": audited}}
    )


def test_the_file_that_was_timed_and_audited_is_found_again(tmp_path: Path) -> None:
    programs = tmp_path / PROGRAMS
    programs.mkdir()
    key = kept_program(programs, "litert.int8")
    found = audited_program(tmp_path, *of_program(key, key))
    assert found.read_text() == "what was timed"
    found.write_text("another")
    with pytest.raises(ArtifactError, match="is not the file that was written"):
        audited_program(tmp_path, *of_program(key, key))


@pytest.mark.parametrize(
    ("timed", "audited", "error", "said"),
    [
        (
            "a" * 64,
            "b" * 64,
            FailedError,
            "audited on a file other than the one timed: expected aaaaaaaaaaaa, found bbbb",
        ),
        ("", "b" * 64, FailedError, r"do not say which file was timed in .*an older Assay.*Run `assay run` .*again"),
        ("", "", FailedError, r"do not say which file was timed in .*an older Assay.*Run `assay run` .*again"),
        ("a" * 64, "", FailedError, r"no key of it in the audit.*Run `assay run` .*again"),
        ("a" * 64, "a" * 64, ArtifactError, "The file that litert.int8 loads in .* is not in"),
    ],
)
def test_no_other_file_is_deployed(timed: str, audited: str, error: type[Exception], said: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=said):
        audited_program(tmp_path, *of_program(timed, audited))


@pytest.mark.parametrize("runtime", MADE)
def test_the_audited_file_is_served_byte_for_byte(runtime: str, tmp_path: Path) -> None:
    served = served_by(runtime)
    (tmp_path / "made").mkdir()
    (tmp_path / "out").mkdir()
    names = (served.file, *served.beside)
    for name in names:
        (tmp_path / "made" / name).write_text(name)
    serve_made(runtime, tmp_path / "made" / served.file, None, tmp_path / "out" / served.file)
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {name: name for name in names}


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_openvino_s_files_get_pixels_in_and_decisions_out(layout: str, tmp_path: Path) -> None:
    ov = pytest.importorskip("openvino")
    operators = ov.opset13
    shape = [-1, 4, 4, 3] if layout == "NHWC" else [-1, 3, 4, 4]
    image = operators.parameter(shape, np.float32, "image")
    weights = np.random.default_rng(0).normal(size=(48, 5)).astype(np.float32)
    flat = operators.reshape(image, np.array([0, 48]), special_zero=True)
    made = ov.Model([operators.matmul(flat, weights, False, False)], [image])
    ov.save_model(made, tmp_path / "model.xml", compress_to_fp16=False)
    contract = ExportContract(spec=ModelSpec("any", 4, 5), layout=layout)
    (tmp_path / "out").mkdir()
    serve_made("openvino.nncf", tmp_path / "model.xml", contract, tmp_path / "out" / "model.xml")
    pixels = np.random.default_rng(1).integers(0, 256, (7, 4, 4, 3), np.uint8)
    served = served_by("openvino.nncf")
    types = {"images": "uint8"}, {"probabilities": "float32", "label": "int64"}
    opened = served.open(tmp_path / "out" / "model.xml", served.options_of(1, decides=True), *types)
    assert (opened.inputs, opened.outputs) == types
    probabilities, label = opened({"images": pixels}, ["probabilities", "label"])
    normalised = pixels / 127.5 - 1
    taken = normalised if layout == "NHWC" else normalised.transpose(0, 3, 1, 2)
    logits = taken.reshape(7, 48) @ weights.astype(np.float64)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(probabilities, shares / shares.sum(axis=1, keepdims=True), atol=1e-5)
    np.testing.assert_array_equal(label, logits.argmax(axis=1))


def test_a_file_of_openvino_with_more_inputs_is_refused(tmp_path: Path) -> None:
    ov = pytest.importorskip("openvino")
    from assay.export.served.on_openvino import with_pixels  # noqa: PLC0415  once it is known to be there

    left, right = (ov.opset13.parameter([-1, 3], np.float32, name) for name in ("left", "right"))
    ov.save_model(ov.Model([ov.opset13.add(left, right)], [left, right]), tmp_path / "model.xml")
    contract = ExportContract(spec=ModelSpec("any", 4, 5), layout="NHWC")
    with pytest.raises(FailedError, match="cannot be made deployable: expected one input and one output, found 2 and"):
        with_pixels(WrappedFile(tmp_path / "model.xml", contract, tmp_path / "out.xml"))


def test_the_configuration_says_that_pixels_come_and_how_many_instances_run(tmp_path: Path) -> None:
    found = read_deployment(serving_folder.write_folder(tmp_path / "deployment"))
    version = found.versions[0].model_copy(update={"runtime": "litert.int8"})
    config = config_of(found.model_copy(update={"versions": [version], "threads": 2, "instances": 3}))
    told = {name: one.string_value for name, one in config.parameters.items()}
    assert told == {"model_file": "model.tflite", "threads": "2", "pixels": "NHWC"}
    assert [(one.count, one.KIND_CPU) for one in config.instance_group] == [(3, config.instance_group[0].kind)]
    assert "pixels" not in served_by("litert.int8").options_of(2)


@pytest.mark.parametrize("runtime", [one for one in MADE if served_by(one).is_code])
def test_compiled_code_is_opened_by_trust_alone(runtime: str, tmp_path: Path) -> None:
    (tmp_path / "any-batch.pt2").write_bytes(b"code")
    with pytest.raises(InputError, match=r"is compiled code, which cannot be inspected: .*--trust"):
        refuse_what_acts(tmp_path / "any-batch.pt2", runtime)
    refuse_what_acts(tmp_path / "any-batch.pt2", runtime, trusted=True)


def test_every_runtime_that_makes_code_is_served_as_code() -> None:
    served = {name: RUNTIMES[name].makes_code for name in MADE}
    assert served == {name: served_by(name).is_code for name in MADE}


def test_every_runtime_is_served_or_says_why_not() -> None:
    wanting = [one for one in RUNTIMES.values() if one.framework and not one.ruler]
    assert [one.name for one in wanting if bool(one.served_by) == bool(one.unserved)] == []
    for one in wanting:
        if one.unserved:
            results = SAMPLE.model_copy(update={"cells": [constructed(one.name, 1.0)]})
            with pytest.raises(InputError, match=r"cannot be deployed: .*which a server can run") as error:
                servable_cell(results, results.cells[0].name)
            assert one.unserved in str(error.value)


def test_a_cell_that_was_timed_on_a_gpu_is_not_served_on_the_cpu() -> None:
    on_gpu = constructed("torch.script", 1.0).model_copy(update={"device_kind": "cuda"})
    with pytest.raises(InputError, match=r"timed on the CPU, .*or one of ort.cuda.*found one timed on cuda"):
        servable_cell(SAMPLE.model_copy(update={"cells": [on_gpu]}), on_gpu.name)


def test_another_version_than_was_measured_is_refused() -> None:
    here = metadata.version("torch")
    refuse_other_versions("torch.script", {"packages": {"torch": f"{here.partition('+')[0]}+other"}}, "cells")
    refuse_other_versions("torch.script", {}, "cells")
    refuse_other_versions("torch.script", {"packages": {"numpy": "1.0"}}, "cells")
    with pytest.raises(NotInstalledError, match=r"measured and audited with another version of torch: expected"):
        refuse_other_versions("torch.script", {"packages": {"torch": "1.0+cpu"}}, "cells")


def test_a_runtime_that_is_missing_is_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay.bench.deployment.checking.versions.find_spec", lambda name: None)
    with pytest.raises(NotInstalledError, match=r"cells needs LiteRT in int8, and .*onnx-assay\[litert\]"):
        refuse_other_versions("litert.int8", {}, "cells")


def test_as_many_instances_are_served_as_choose_found(tmp_path: Path) -> None:
    assert _chosen(tmp_path, "named") == ("named", 1)
    known = {"label": "litert", "precision": "fp32", "value": spread(1.0, 0.01), "accuracy": None, "p99_ms": 1.0}
    best, other = (
        EligibleCell(cell=name, memory_mib=None, instances=instances, **known)
        for name, instances in (("best", 2), ("other", 3))
    )
    choice = Choice(
        study="any",
        created="now",
        objective="throughput",
        price_per_hour=None,
        constraints=Constraints(),
        answer="best",
        because="it is",
        candidates=[best, other],
        losers={},
        nearest=None,
    )
    write_choice(choice, tmp_path)
    assert _chosen(tmp_path, None) == _chosen(tmp_path, "best") == ("best", 2)
    assert _chosen(tmp_path, "other") == ("other", 1)


def test_the_card_does_not_bound_what_too_few_calls_were_timed_for() -> None:
    assert _decimals(Tail(value=2.5, low=2, high=None)) == "2.5 or more"
    assert _decimals(Tail(value=2.5, low=2, high=3)) == _decimals(Interval(value=2.5, low=2, high=3)) == "2.5 (2 to 3)"


@pytest.mark.slow
def test_a_native_winner_is_chosen_and_deployed_with_its_instances(tmp_path_factory: pytest.TempPathFactory) -> None:
    study = finished_study(tmp_path_factory)
    name = of_runtime(study, "litert")
    results = read_results(study / "results.json")
    several = [
        Instances(cell=one.name, instances=number, cores=number, sets=[rate] * 5, throughput=spread(rate, 0.01))
        for one in results.cells
        for number, rate in ((1, 1000.0), (2, 1800.0))
    ]
    (study / "results.json").write_text(results.model_copy(update={"instances": several}).model_dump_json())
    chosen = assay("choose", str(study), "--objective", "throughput", "--batch", "1")
    assert chosen.returncode == 0, chosen.stdout + chosen.stderr
    deployed = assay("deploy", str(study))
    assert deployed.returncode == 0, deployed.stderr
    assert f"{name}, fp32" in deployed.stdout
    assert "2 instances of 1 thread, on 2 cores" in deployed.stdout
    found = read_deployment(study / "deployment")
    assert (found.instances, found.threads, config_of(found).instance_group[0].count) == (2, 1, 2)
    checked = assay("deploy", "--check", str(study / "deployment"))
    assert checked.returncode == 0, checked.stderr
    assert "every check passed\n" in checked.stdout
    named = assay("deploy", str(study), "--cell", name, "--instances", "1")
    assert named.returncode == 0, named.stderr
    assert read_deployment(study / "deployment").instances == 1
