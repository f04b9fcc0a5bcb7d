"""The location of the real blood-cell images, on machines that have them."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PBC = os.environ.get("ASSAY_PBC") or str(REPOSITORY.parent / "shared" / "data" / "pbc_center_crops.zip")
