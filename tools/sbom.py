"""The bill of materials of a release, in CycloneDX 1.6: `make sbom` writes it beside the wheel.

It lists what was tested together: every package of constraints.txt, and of each tool environment's list with the hashes
of the files that may be installed. A licence is what the installed package says of itself; where it is not installed
here in that version, none is given.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from assay import __version__
from assay.pins import Pin, read_pins
from assay.store import write_atomically

ROOT = Path(__file__).parent.parent
NAME = "onnx-assay"
LISTS = {
    "assay": ROOT / "constraints.txt",
    "assay with a GPU": ROOT / "constraints-gpu.txt",
    **{path.stem: path for top in ("export", "infer") for path in sorted((ROOT / top).rglob("envs/*.txt"))},
}
"""The lists by the environment that each is for."""


def bill_of_materials() -> Bom:
    """All that a release may install; a package that several environments have in one version is listed once."""
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"{NAME}@{__version__}"))
    bom.metadata.component = root = Component(
        type=ComponentType.APPLICATION,
        name=NAME,
        version=__version__,
        bom_ref=f"{NAME}@{__version__}",
        purl=PackageURL("pypi", None, NAME, __version__),
        licenses=[LicenseFactory().make_with_expression("Apache-2.0")],
    )
    parts = [_component(pins, environments) for pins, environments in _packages()]
    bom.components.update(parts)
    bom.register_dependency(root, parts)
    for part in parts:
        bom.register_dependency(part)
    return bom


def write(folder: Path) -> Path:
    """Write the bill, checked against the schema, and give its path."""
    text = JsonV1Dot6(bill_of_materials()).output_as_string(indent=1)
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if problem is not None:
        sys.exit(f"sbom: not CycloneDX 1.6: {problem}")
    path = folder / f"{NAME}-{__version__}.cdx.json"
    write_atomically(path, f"{text}\n".encode())
    return path


def _packages() -> Iterator[tuple[list[Pin], list[str]]]:
    """Every name and version, with its pins and the environments that have it."""
    found: dict[tuple[str, str], tuple[list[Pin], list[str]]] = {}
    for environment, path in LISTS.items():
        for pin in read_pins(path, hashed=False):
            pins, environments = found.setdefault((pin.name, pin.version), ([], []))
            pins.append(pin)
            environments.append(environment)
    yield from (found[key] for key in sorted(found))


def _component(pins: list[Pin], environments: Iterable[str]) -> Component:
    first = pins[0]
    digests = sorted({digest for pin in pins for digest in pin.hashes})
    licence = _licence(first)
    return Component(
        type=ComponentType.LIBRARY,
        name=first.name,
        version=first.version,
        bom_ref=f"{first.name}@{first.version}",
        purl=PackageURL("pypi", None, first.name, first.version),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one) for one in digests],
        licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
        properties=[Property(name="assay:environment", value=one) for one in environments],
    )


def _licence(pin: Pin) -> str:
    """The licence that the installed package names, as SPDX or in its own words; "" where it is not known."""
    try:
        found = metadata.metadata(pin.name)
    except metadata.PackageNotFoundError:
        return ""
    if found["Version"] != pin.version:
        return ""
    said = found.get("License-Expression") or found.get("License") or ""
    if said and "\n" not in said.strip():
        return said.strip()
    named = [one.rpartition("::")[2].strip() for one in found.get_all("Classifier", []) if one.startswith("License ::")]
    return " AND ".join(named)


if __name__ == "__main__":
    sys.stdout.write(f"{write(ROOT / 'dist')}\n")
