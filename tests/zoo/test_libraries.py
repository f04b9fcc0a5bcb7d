"""The whole command on a model of each library that Assay knows by name, and what a person sees of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from assay.bench.timing.trials import MINUTES_SPENT
from assay.records.audit import AUDIT_FILE, read_audit
from assay.records.results import RESULTS_FILE, read_results
from tests.good_run import status_of_good
from tests.zoo import folders
from tests.zoo.member import Member
from tests.zoo.visit import visit

RANDOM = "random, drawn with seed 0"
TORCH, TF = {"torch-dynamo", "torch-script"}, {"tf2onnx"}
SMALL = ("--dimension", "height=64", "--dimension", "width=64")
MODELS = {
    "torchvision:mobilenet_v3_small": (SMALL, "image float32 [batch, 3, 64, 64]", TORCH),
    "timm:test_vit": ((), "image float32 [batch, 3, 160, 160]", TORCH),
    "hf:{}/distilbert": (("--dimension", "tokens=16"), "input_ids int64 [batch, 16]", TORCH),
    "keras:MobileNetV2": ((), "float32 [batch, 224, 224, 3]", TF),
}
PACKAGES = {"hf": "transformers"}


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_a_library_s_model_is_compared_and_people_see_its_inputs_weights_and_answer(model: str, tmp_path: Path) -> None:
    options, inputs, routes = MODELS[model]
    library = model.partition(":")[0]
    make = partial(folders.make, "distilbert") if library == "hf" else None
    member = Member(model, model, "agrees", (), options, make=make, needs=(PACKAGES.get(library, library),))
    found = visit(member, tmp_path, minutes=0.3)
    assert "Traceback" not in found.said
    assert inputs in found.said
    said, *_ = (line for line in found.said.splitlines() if "weights: " in line)
    assert RANDOM in said or "its library's own" in said
    for route in routes:
        assert f"by {route}: ok" in found.said
    assert "agree" in found.said
    (folder,) = (tmp_path / "out").iterdir()
    results = read_results(folder / RESULTS_FILE)
    assert str(results.settings["weights"]) in said
    assert {one.exporter for one in results.exports if one.status == "ok"} == routes
    report = Path(found.said.split("Report: ")[1].splitlines()[0])
    assert "Weights: " in (tmp_path / report).with_suffix(".md").read_text(encoding="utf-8")
    if "nothing is compared" in found.said:  # a busy machine, which people are told
        assert found.code == 1
        return
    assert found.code == status_of_good(results), found.said
    asked = [cell for cell in results.cells if cell.framework]
    timed = [cell for cell in asked if cell.status == "ok"]
    assert {cell.framework for cell in timed} == {"tf" if routes == TF else "torch", "onnx"}, "both sides have a time"
    late = [cell.reason for cell in asked if cell not in timed]
    assert [reason for reason in late if not reason.startswith(MINUTES_SPENT)] == []
    assert all(cell.agreement and cell.agreement.passed for cell in timed)
    (audited,) = read_audit(folder / AUDIT_FILE).models
    assert audited.comparisons
    assert all(one.passed for one in audited.comparisons)
