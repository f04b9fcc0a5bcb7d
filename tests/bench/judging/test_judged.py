"""A report never claims at its top what its audit denies: a cell that failed its audit has no agreement and no rank."""

from __future__ import annotations

from pathlib import Path

from assay.bench.choosing.choose import choose
from assay.bench.cli.choose import render
from assay.bench.judging.judged import failures, judged
from assay.bench.judging.validity import reasons
from assay.bench.report.write import write_report
from assay.bench.words.verdict import headline, verdicts
from assay.numerics.agreement import NOT_COMPARED
from assay.records.audit import Audit
from assay.records.choice import Constraints
from assay.records.results import Cell, Results
from assay.records.timings import Steadiness
from assay.store import file_sha256
from tests.bench.report.sample_audit import sample_audit
from tests.bench.report.sample_results import plain, sample_results, spread

ONNX, NATIVE, INT8 = "ort.cpu@torch-dynamo", "tf.function", "ort.cpu@torch-dynamo+int8"
BASE = sample_results((28,), (1,), ("bloodnet",))


def timed(**gains: float) -> Results:
    """One group: ONNX Runtime in fp32 is 1.2 times as fast as tf.function, and in int8 another 3.1 times as fast."""
    like = next(one for one in BASE.cells if one.label == ONNX)
    int8 = like.model_copy(
        update={
            "label": INT8,
            "name": f"bloodnet/28/b1/t1/{INT8}",
            "exporter": "torch-dynamo+int8",
            "precision": "int8",
        }
    )
    ratios = {NATIVE: spread(1, 0), ONNX: spread(1 / 1.2, 0.01), INT8: spread(1 / 1.2 / 3.1, 0.01)}
    one = BASE.comparisons[0].model_copy(
        update={
            "onnx": ONNX, "native": NATIVE, "speedup": spread(1.2, 0.01), "verdict": "faster", "ratios": ratios,
            "verdicts": {}, "gains": {label: spread(value, 0.02) for label, value in gains.items()},
        }
    )  # fmt: skip
    export = next(one for one in BASE.exports if one.exporter == "torch-dynamo")
    made = export.model_copy(update={"exporter": "torch-dynamo+int8", "key": "8" * 64, "precision": "int8"})
    return BASE.model_copy(
        update={"cells": [*BASE.cells, int8], "comparisons": [one], "exports": [*BASE.exports, made]}
    )


def audit_that_fails(label: str, *, key: str = "8" * 64) -> Audit:
    """An audit of the timed files in which one subject fails on the whole test split."""
    audit = sample_audit(wrong=False)
    (model,) = audit.models
    like = next(one for one in model.comparisons if one.subject == ONNX)
    failed = like.model_copy(
        update={"subject": label, "inputs": "whole test split", "passed": False, "reason": "up to 1.81% may be lost"}
    )
    keys = {**model.keys, "onnx@torch-dynamo+int8": key}
    changed = model.model_copy(update={"comparisons": [*model.comparisons, failed], "keys": keys})
    return audit.model_copy(update={"models": [changed], "verdict": "failed", "reasons": ["..."]})


def sentence(results: Results) -> str:
    (found,) = verdicts(results)
    return plain(found.sentence)


def test_the_gain_of_a_precision_is_separated_from_that_of_onnx() -> None:
    said = sentence(timed(**{INT8: 3.1}))
    assert "ONNX Runtime (torch-dynamo export) is 1.20x (1.19-1.21) faster than the fastest native runtime" in said
    assert "int8 makes ONNX Runtime (torch-dynamo+int8 export) 3.10x (3.04-3.16) as fast as it is in fp32" in said
    assert said.endswith("; native int8 was not timed.")
    assert "3.7" not in said  # the two together


def test_a_record_without_the_paired_gain_has_it_without_an_interval() -> None:
    assert "about 3.1x as fast as it is in fp32" in sentence(timed())


def test_a_missing_gain_is_not_reported_as_one() -> None:
    assert "int8 makes ONNX Runtime (torch-dynamo+int8 export) no faster than it is" in sentence(timed(**{INT8: 0.9}))


def test_native_int8_that_was_timed_is_not_said_to_be_missing() -> None:
    results = timed(**{INT8: 3.1})
    native = next(one for one in results.cells if one.label == NATIVE)
    other = native.model_copy(update={"label": "tf.int8", "name": "bloodnet/28/b1/t1/tf.int8", "precision": "int8"})
    assert "was not timed" not in sentence(results.model_copy(update={"cells": [*results.cells, other]}))


def test_two_precisions_in_one_ratio_are_named() -> None:
    """If ONNX was only timed in int8, its ratio is not due to ONNX alone."""
    results = timed()
    one = results.comparisons[0].model_copy(update={"onnx": INT8})
    said = sentence(results.model_copy(update={"comparisons": [one]}))
    assert "ONNX Runtime (torch-dynamo+int8 export) in int8 is" in said
    assert "tf.function in fp32" in said


def test_int8_that_failed_its_audit_has_no_ratio_and_is_said_to_be_wrong() -> None:
    results = judged(timed(**{INT8: 3.1}), audit_that_fails(INT8))
    said = sentence(results)
    assert "as fast as it is in" not in said
    assert "not ranked, because agreement fails: ONNX Runtime (torch-dynamo+int8 export)" in said
    assert INT8 not in results.comparisons[0].ratios
    assert {ONNX, NATIVE} <= results.comparisons[0].ratios.keys()


def test_an_answer_that_failed_its_audit_is_not_an_answer() -> None:
    for label in (ONNX, NATIVE):
        results = judged(timed(), audit_that_fails(label))
        (found,) = verdicts(results)
        assert found.outcome == "invalid"
        assert "agreement holds" not in found.finding
        assert "its audit: whole test split, batch 32: up to 1.81% may be lost" in found.finding
        assert "faster" not in headline(results)


def test_an_audit_of_another_file_denies_nothing() -> None:
    results = timed()
    assert failures(results, audit_that_fails(INT8, key="9" * 64)) == {}
    assert judged(results, audit_that_fails(INT8, key="9" * 64)) == results
    assert judged(results, None) is results
    assert judged(results, sample_audit(wrong=False)) is results


def test_numbers_of_a_failed_cell_are_kept_and_its_own_reason_too() -> None:
    results = timed()
    reason = "differs by 0.3"
    cells = [_with_reason(cell, reason) if cell.label == INT8 else cell for cell in results.cells]
    found = judged(results.model_copy(update={"cells": cells}), audit_that_fails(INT8))
    (cell,) = (one for one in found.cells if one.label == INT8)
    assert cell.agreement is not None
    assert cell.host == next(one for one in results.cells if one.label == INT8).host
    assert cell.agreement.reason == f"{reason}; its audit: whole test split, batch 32: up to 1.81% may be lost"


def test_a_failed_cell_whose_outputs_were_never_compared_has_an_agreement_that_claims_nothing() -> None:
    results = timed()
    cells = [one.model_copy(update={"agreement": None}) if one.label == INT8 else one for one in results.cells]
    found = judged(results.model_copy(update={"cells": cells}), audit_that_fails(INT8))
    made = next(one for one in found.cells if one.label == INT8).agreement
    assert made is not None
    assert (made.passed, made.reason) == (False, "its audit: whole test split, batch 32: up to 1.81% may be lost")
    assert (made.images, made.largest_moved, made.tolerance) == (0, 0, 0)
    assert (made.max_absolute, made.max_relative) == (NOT_COMPARED, NOT_COMPARED)


def _with_reason(cell: Cell, reason: str) -> Cell:
    assert cell.agreement is not None
    return cell.model_copy(update={"agreement": cell.agreement.model_copy(update={"passed": False, "reason": reason})})


def test_the_report_says_it_everywhere_and_the_record_stays_as_measured(tmp_path: Path) -> None:
    results = timed(**{INT8: 3.1})
    record = tmp_path / "results.json"
    record.write_text(results.model_dump_json())
    before = file_sha256(record)
    write_report(results, None, tmp_path, audit_that_fails(INT8))
    assert file_sha256(record) == before
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    verdict = report[: report.index("## Latency")]
    assert "as fast as it is in" not in verdict
    assert "agreement fails: ONNX Runtime (torch-dynamo+int8 export)" in verdict
    rows = (tmp_path / "cells.csv").read_text(encoding="utf-8").splitlines()
    columns = rows[0].split(",")
    (row,) = (line for line in rows if INT8 in line)
    assert row.split(",")[columns.index("agrees")] == "false"


def test_wrong_cells_come_first_among_those_not_chosen() -> None:
    found = choose(timed(), audit_that_fails(INT8), Constraints())
    assert found.wrong == [f"bloodnet/28/b1/t1/{INT8}"]
    lines = render(found, everything=True).splitlines()
    assert lines[lines.index("Not chosen:") + 1].startswith(f"  WRONG bloodnet/28/b1/t1/{INT8}: ")


def test_an_older_record_of_a_runtime_that_yields_the_processor_is_judged_as_today() -> None:
    switched = (
        "involuntary context switches: 326 a second and 6.6% of the processor lost, at most 100 and 5% are tolerated"
    )
    seen = Steadiness(involuntary_switches_per_second=326.0, drift=0.4, drift_p_value=0.001)
    drifted = reasons(BASE.cells[0].model_copy(update={"steadiness": seen, "processor_use": 0.93}))[0]
    old = {"steadiness": seen, "processor_use": 0.93, "invalid": [drifted, switched]}
    cells = [cell.model_copy(update=old) if cell.host and cell.framework else cell for cell in BASE.cells]
    found = judged(BASE.model_copy(update={"cells": cells}), None).cells
    told = {cell.runtime: cell.invalid for cell in found if cell.host and cell.framework}
    assert told.pop("tf.predict") == [drifted]
    assert all(invalid == [drifted, switched] for invalid in told.values())
