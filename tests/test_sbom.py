"""The bill of materials of a release names everything that it may install, and follows CycloneDX's schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from assay import __version__
from assay.pins import read_pins
from tools.sbom import LISTS, write

Parts = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def parts(bill: Path) -> Parts:
    return {(one["name"], one["version"]): one for one in json.loads(bill.read_text())["components"]}


def test_it_is_named_for_the_release_and_keeps_to_the_schema(bill: Path) -> None:
    assert bill.name == f"onnx-assay-{__version__}.cdx.json"
    text = bill.read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert json.loads(text)["metadata"]["component"]["purl"] == f"pkg:pypi/onnx-assay@{__version__}"
    wrong = text.replace('"type": "library"', '"type": "nothing that there is"', 1)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(wrong) is not None


def test_every_pin_of_every_environment_is_in_it_and_nothing_else(parts: Parts) -> None:
    pinned = {environment: read_pins(path, hashed=False) for environment, path in LISTS.items()}
    assert set(parts) == {(pin.name, pin.version) for pins in pinned.values() for pin in pins}
    for environment, pins in pinned.items():
        for pin in pins:
            part = parts[pin.name, pin.version]
            assert {"name": "assay:environment", "value": environment} in part["properties"]
            assert part["purl"] == f"pkg:pypi/{pin.name}@{pin.version}"
            assert set(pin.hashes) <= {one["content"] for one in part.get("hashes", [])}


def test_the_root_depends_on_every_part(bill: Path, parts: Parts) -> None:
    depends = {one["ref"]: set(one.get("dependsOn", [])) for one in json.loads(bill.read_text())["dependencies"]}
    assert depends[f"onnx-assay@{__version__}"] == {part["bom-ref"] for part in parts.values()}


def test_licences_are_those_that_the_packages_name(parts: Parts) -> None:
    (pydantic,) = [part for (name, _), part in parts.items() if name == "pydantic"]
    assert pydantic["licenses"] == [{"license": {"id": "MIT"}}]
    assert "licenses" not in parts["numpy", "1.26.4"], "not installed here in this version, so not known"


def test_it_is_the_same_twice_but_for_the_time(bill: Path, tmp_path: Path) -> None:
    def without_time(path: Path) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(path.read_text())
        del found["metadata"]["timestamp"]
        return found

    assert without_time(write(tmp_path)) == without_time(bill)
