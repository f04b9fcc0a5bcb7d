"""`assay verify-server` on a real server: it passes audited answers and finds every kind of difference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from assay.bench.cli.main import app
from assay.bench.deployment.config import config_of, config_text
from assay.bench.serving.audited import read_audited, target_of
from assay.bench.serving.verify import differences, mixed_requests
from assay.bench.serving.verify import verify as verify_here
from assay.errors import ArtifactError, InputError
from assay.infer import wire
from assay.numerics.served import ServedTensor
from assay.records.deployment import read_deployment
from assay.records.verification import Verification
from tests import serving_folder
from tests.bench.serving.conftest import Served


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "images.npy"
    np.save(path, serving_folder.images())
    return path


def verify(served: Served, folder: Path, images: Path, *ways: wire.Way) -> Verification:
    audited = read_audited(folder, images, None, folder)
    return verify_here(audited, target_of(audited.deployment, served.ready["http"], None), ways or wire.WAYS)


def other_folder(place: Path, version: int, **changes: Any) -> Path:
    """A copy of the served deployment in which another version's answers count as right."""
    folder = serving_folder.write_folder(place / "other")
    outputs = [ServedTensor.model_validate(one) for one in changes.get("outputs", [])] or serving_folder.OUTPUTS
    shares = serving_folder.probabilities(version)
    np.save(folder / "audited" / "1" / "outputs.npy", serving_folder.answers(shares, outputs))
    record = json.loads((folder / "deployment.json").read_text()) | changes
    (folder / "deployment.json").write_text(json.dumps(record))
    config = config_text(config_of(read_deployment(folder)))
    (folder / "models" / serving_folder.NAME / "config.pbtxt").write_text(config)
    return serving_folder.with_checksums(folder)


def test_every_answer_over_every_way_is_the_audited_one(served: Served, images: Path) -> None:
    done = CliRunner().invoke(
        app,
        [
            *("verify-server", str(served.ready["http"]), "--json"),
            *("--deployment", str(served.folder), "--images", str(images)),
        ],
    )
    assert done.exit_code == 0, done.output
    found = Verification.model_validate_json(done.stdout)
    assert [way.way for way in found.ways] == list(wire.WAYS)
    for way in found.ways:
        assert (way.images, way.wrong, way.failed, way.versions) == (serving_folder.IMAGES, 0, 0, ["1"])
        assert 0 < way.max_absolute < 1e-6
        assert way.quality == found.audited_quality
    assert found.audited_quality.value == pytest.approx(86 / 96)
    assert found.metadata == []


def test_the_plain_protocol_without_extensions_gives_the_same(served: Served) -> None:
    connection = wire.connect("http", wire.agreed(served.target, wire.Description()))
    answer = connection.ask(serving_folder.records()[:2], "plain")
    connection.close()
    np.testing.assert_allclose(answer.outputs["probabilities"], serving_folder.probabilities(1)[:2], atol=1e-6)


def test_answers_of_another_model_are_found(served: Served, images: Path, tmp_path: Path) -> None:
    found = verify(served, other_folder(tmp_path, version=2), images, "grpc")
    assert not found.passed
    (way,) = found.ways
    assert way.wrong > 90
    assert "from the audited answer" in way.reasons[0]


def test_one_image_that_is_another_is_found(served: Served, tmp_path: Path) -> None:
    changed = serving_folder.images()
    changed[[4, 5]] = changed[[5, 4]]
    np.save(tmp_path / "swapped.npy", changed)
    found = verify(served, served.folder, tmp_path / "swapped.npy", "http")
    assert not found.passed
    assert found.ways[0].wrong == 2


def test_a_contract_that_differs_is_found_and_exits_with_one(served: Served, images: Path, tmp_path: Path) -> None:
    outputs = [
        {"name": "probabilities", "datatype": "FP32", "shape": [serving_folder.CLASSES]},
        {"name": "label", "datatype": "FP32", "shape": [], "index_of": "probabilities"},
    ]
    folder = other_folder(tmp_path, version=1, outputs=outputs)
    done = CliRunner().invoke(
        app,
        [
            *("verify-server", str(served.ready["http"]), "--way", "http"),
            *("--deployment", str(folder), "--images", str(images)),
        ],
    )
    assert done.exit_code == 1, done.output
    assert "outputs over HTTP" in done.stdout


def test_comparing_nothing_does_not_pass(served: Served, images: Path) -> None:
    found = verify(served, served.folder, images, "http")
    assert found.passed
    assert not found.model_copy(update={"ways": []}).passed


def test_a_server_that_sees_other_shared_memory_is_asked_the_other_ways(
    served: Served, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Like one in a container: it has a loopback address and offers shared memory, but cannot open ours."""
    import tritonclient.utils.shared_memory as memory  # noqa: PLC0415  only there with the extra 'serve'

    create = memory.create_shared_memory_region
    monkeypatch.setattr(
        memory, "create_shared_memory_region", lambda name, key, size: create(name, f"{key}-elsewhere", size)
    )
    found = verify(served, served.folder, images)
    assert found.passed
    assert [way.way for way in found.ways] == ["http", "grpc"]
    assert "Unable to open shared memory region" in found.skipped["shared-memory"]


def test_no_server_at_the_address_is_an_error(served: Served, images: Path) -> None:
    audited = read_audited(served.folder, images, None, served.folder)
    with pytest.raises(InputError, match=r"No answer from 127\.0\.0\.1:9"):
        verify_here(audited, target_of(audited.deployment, "http://127.0.0.1:9", None), wire.WAYS)
    with pytest.raises(InputError, match="ftp://nowhere"):
        target_of(audited.deployment, "ftp://nowhere", None)


def test_a_folder_that_was_changed_is_refused(images: Path, tmp_path: Path) -> None:
    folder = serving_folder.write_folder(tmp_path / "changed")
    np.save(folder / "audited" / "1" / "outputs.npy", serving_folder.answers(serving_folder.probabilities(2)))
    with pytest.raises(ArtifactError, match=r"outputs\.npy differs from the deployed file"):
        read_audited(folder, images, None, tmp_path)


def test_requests_cover_every_image_once_and_are_of_all_sizes() -> None:
    requests = mixed_requests(500, 16, seed=3)
    assert sorted(np.concatenate(requests)) == list(range(500))
    sizes = [len(request) for request in requests]
    assert {1, 16} < set(sizes)
    assert max(sizes) == 16


def test_a_server_with_only_other_versions_does_not_match(tmp_path: Path) -> None:
    deployment = read_deployment(serving_folder.write_folder(tmp_path / "deployment"))
    said = {
        "versions": [7],
        "inputs": [{"name": "images", "datatype": "UINT8", "shape": [-1, 12, 12, 3]}],
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": ["-1", "1"]},  # as JSON made of gRPC has numbers
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 4]},
        ],
    }
    (difference,) = differences(deployment, wire.Description.model_validate(said), "HTTP")
    assert "expected 1, found 7" in difference
    both = wire.Description.model_validate(said | {"versions": ["1", "7"]})
    assert differences(deployment, both, "HTTP") == []
