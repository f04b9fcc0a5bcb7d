"""Which exports are followed to a node: those of which something is known to be wrong."""

from __future__ import annotations

import pytest

from assay.bench.brought.localise import may_be_wrong
from assay.records.results import Export


@pytest.mark.parametrize(
    ("reason", "undecided", "followed"),
    [
        ("torch-script at level disable_all, batch 1: differs by 0.27, 1e-06 is tolerated", False, True),
        ("torch-dynamo at level disable_all does not load: found Incompatible dimensions", False, True),
        ("ONNX Runtime lacks an operator: found NOT_IMPLEMENTED : Could not find an implementation for Gemm(13)", False,
         False),
        ("not judged: it computes in fp16", True, False),
    ],
)  # fmt: skip
def test_only_what_may_be_wrong_is_followed(reason: str, undecided: bool, followed: bool) -> None:
    export = Export(
        architecture="m.build", size=0, exporter="torch-script", status="failed", reason=reason, undecided=undecided,
        key="key", weights="w", opset=18, opset_asked=18, seconds=1,
    )  # fmt: skip
    assert may_be_wrong(export) == followed
    assert not may_be_wrong(export.model_copy(update={"opset": 0})), "no file was written"
