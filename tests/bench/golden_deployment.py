"""A generated file of a deployment, compared with the golden one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from assay.bench.deployment.render import render
from assay.records.deployment import RENDERING, ServedTolerance, read_deployment
from tests.bench.cli.test_cli import GOLDEN


def golden_and_generated(
    name: str, deployed: Path, work: Path, folder: str, places: Mapping[str, str], rendering: int = RENDERING
) -> tuple[str, str]:
    """The golden text and the generated one, after machine-dependent parts are made the same.

    Args:
        name: name of the golden file in `folder`, below the golden files.
        deployed: a deployment with one version; it is copied into `work`.
        places: paths of the file in a deployment, by name.
        rendering: the form of the generated files; golden files of an older form are never written.
    """
    copy = Path(shutil.copytree(deployed, work / "golden"))
    found = read_deployment(copy)
    version = found.version(1)
    tolerances = {one: ServedTolerance(value=1e-5, derivation="the rounding of fp32") for one in version.tolerances}
    fixed = {"model_sha256": "0" * 64, "tolerances": tolerances, "created": "2026-01-01"}
    changes = {"versions": [version.model_copy(update=fixed)], "rendering": rendering}
    render(copy, found.model_copy(update=changes))
    generated = (copy / places[name]).read_text()
    golden = GOLDEN / folder / name
    if os.environ.get("UPDATE_GOLDEN") and rendering == RENDERING:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(generated)
    return golden.read_text(), generated
