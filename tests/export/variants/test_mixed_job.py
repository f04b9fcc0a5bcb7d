"""Planted layers that must not be int8, in real files: found by measurement and left in fp32, and no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from assay.errors import ExportFailedError
from assay.export.variants.mixed_job import Bench, MixedRequest, trial_of, work
from assay.export.variants.quantize import Int8Settings, Quantiser, calibrated, check_computes_in, name_nodes
from assay.export.variants.trials import record_trial
from assay.export.variants.tried import FILE, Notebook
from assay.export.variants.variant_job import calls_of
from assay.records.localisation import Tried
from assay.records.results import Export
from assay.train.brought.model import UserModel
from tests.export.variants.planted import asked, write_layers

BAD = ["layer1", "layer3"]


@pytest.fixture(scope="module")
def request_(tmp_path_factory: pytest.TempPathFactory) -> MixedRequest:
    return asked(tmp_path_factory.mktemp("planted"), 5, (1, 3))


@pytest.fixture(scope="module")
def made(request_: MixedRequest) -> Export:
    return work(request_)


def test_the_planted_layers_are_found_and_no_other(made: Export) -> None:
    assert made.status == "ok", made.reason
    assert made.search is not None
    assert sorted(made.search.found.left) == BAD
    assert made.search.ended == "minimal"
    assert sorted(list(made.search.sensitivities)[:2]) == BAD
    assert made.calibration is not None
    assert sorted(made.calibration.left_out) == BAD


def test_they_are_computed_in_fp32_and_all_others_in_integers(made: Export, request_: MixedRequest) -> None:
    file = request_.folder / "model.onnx"
    assert "int8: 3 operators in integers; in fp32: 2 Gemm" in made.made_by["transforms"]
    with pytest.raises(ExportFailedError, match="to stay in fp32"):
        check_computes_in(file, "int8", [*BAD, "layer0", "layer2", "layer4"])
    weights = {one.name: one.data_type for one in onnx.load(file).graph.initializer}
    assert {name for name in weights if name in {f"w{place}" for place in range(5)}} == {"w1", "w3"}


def test_steps_say_what_each_costs_and_brings(made: Export) -> None:
    search = made.search
    assert search is not None
    assert [len(one.left) for one in search.steps] == [0, 1, 2]
    assert [one.passed for one in search.steps] == [False, False, True]
    assert search.steps[-1].error < search.steps[0].error / 10
    assert all(one.milliseconds for one in (*search.steps, search.full))
    assert search.full.error == 0
    assert "the file is then audited as well" in search.judged_on


@pytest.fixture(scope="module")
def quantiser(request_: MixedRequest) -> Quantiser:
    with calibrated(request_.source, calls_of(request_), Int8Settings(100)) as found:
        yield found


def test_taking_any_layer_back_fails(request_: MixedRequest, quantiser: Quantiser, tmp_path: Path) -> None:
    bench = Bench(trial_of(request_), quantiser, tmp_path, Notebook(tmp_path / "notes"), 0.0, 1.0)
    assert bench.together(BAD).passed
    for layer in BAD:
        assert "of what varies in the reference" in bench.together([one for one in BAD if one != layer]).reason
    everything = bench.together([f"layer{place}" for place in range(5)])
    assert "computes the int8 graph in fp32" in everything.reason, "the error alone would pass"


def test_onnx_runtime_makes_no_layer_int8_that_was_left(
    request_: MixedRequest, quantiser: Quantiser, tmp_path: Path
) -> None:
    """Its optimiser quantises weights by itself between integers; the node before the layer prevents that."""
    file = tmp_path / "left.onnx"
    quantiser.write(file, ["layer1"])
    assert check_computes_in(file, "int8", ["layer1"]).endswith("in fp32: 1 Gemm")
    model = onnx.load(file)
    (kept,) = [node for node in model.graph.node if node.op_type == "Sum"]
    layer = next(node for node in model.graph.node if node.name == "layer1")
    layer.input[0] = kept.input[0]
    model.graph.node.remove(kept)
    onnx.save(model, file)
    with pytest.raises(ExportFailedError, match="in integers that were to stay in fp32"):
        check_computes_in(file, "int8", ["layer1"])


def test_a_search_that_was_stopped_continues(made: Export, request_: MixedRequest) -> None:
    """All measurements are read again, except for a line that was cut off."""
    notes = request_.notes / FILE
    notes.write_text(notes.read_text(encoding="utf-8") + '{"tried": {"left": ["lay', encoding="utf-8")
    book = Notebook(request_.notes)

    def never() -> Tried:
        raise AssertionError("it was measured before")

    assert made.search is not None
    assert not book.tried([], never).passed
    assert book.tried(made.search.found.left, never).passed
    again = Notebook(request_.notes)
    assert again.alone("layer0", lambda: np.nan) == made.search.sensitivities["layer0"]


def test_the_time_is_kept_and_what_was_best_is_said(tmp_path: Path) -> None:
    found = work(asked(tmp_path, 3, (1,), seconds=1e-6))
    assert found.status == "failed"
    assert found.is_unfinished
    assert (
        "1 of 3 layers were ranked and 1 files tried; the best one found leaves 0 of 3 layers in fp32" in found.reason
    )
    assert found.search is not None
    assert found.search.steps


def test_where_nothing_can_be_found_that_is_said_with_the_best(tmp_path: Path) -> None:
    found = work(asked(tmp_path, 2, (0, 1)))
    assert found.status == "failed"
    assert not found.is_unfinished
    assert "no set of layers in fp32 makes int8 pass; the best one found leaves 1 of 2 layers in fp32" in found.reason


def test_nodes_without_names_are_distinguished(tmp_path: Path) -> None:
    write_layers(tmp_path / "it.onnx", 3, ())
    model = onnx.load(tmp_path / "it.onnx")
    for node, name in zip(model.graph.node, ["", "same", "same", "", "same_"], strict=True):
        node.name = name
    onnx.save(model, tmp_path / "it.onnx")
    name_nodes(tmp_path / "it.onnx")
    names = [node.name for node in onnx.load(tmp_path / "it.onnx").graph.node]
    assert len(set(names)) == 5
    assert all(names)
    assert names[1] == "same"


def test_the_records_that_are_furthest_off_are_judged_by_themselves(request_: MixedRequest) -> None:
    """A short run keeps the outputs of few calls: a set that passes in the mean of many would fail there."""
    trial = record_trial(request_.model, request_.against) if isinstance(request_.model, UserModel) else None
    assert trial is not None
    rows = trial.judge.reference.copy()
    rows[:4] += 0.2 * np.std(rows, axis=0).max()
    judged = trial.judge.compare("", rows, np.arange(len(rows)), "int8")
    assert judged.passed, "four of 64 records hardly show"
    assert trial.reason_of(rows).startswith("on the 4 records that are furthest off")
    assert trial.reason_of(trial.judge.reference) == ""
