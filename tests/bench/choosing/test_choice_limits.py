"""A value that equals a limit of a choice meets it, and the distance from a limit is reported as a share of it."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from assay.bench.choosing.choose import choose
from assay.bench.choosing.pareto import cost_of
from assay.bench.cli.choose import render as said
from assay.errors import InputError
from assay.numerics.judgement import Flips, Judgement, Quality
from assay.records.base import Interval
from assay.records.choice import Choice, Constraints, in_words, read_choice
from assay.registry import PLAIN_TASK
from assay.train.metrics import share
from tests.bench.choosing.test_choose import asked, audit, cell, compared, results

EAGER = "torch.eager"


def host_of(upper_ms: float) -> dict[str, object]:
    """A cell of 1 ms with this upper bound of its 99th percentile."""
    made = cell(EAGER, 1).host
    assert made is not None
    return {"host": made.model_copy(update={"p99_ms": made.p99_ms.model_copy(update={"value": 1, "high": upper_ms})})}


@pytest.mark.parametrize(("limit", "met"), [(2.0, True), (1.999, False), (1.9, False), (2.2, True)])
def test_p99_meets_a_limit_that_is_its_upper_bound(limit: float, met: bool) -> None:
    found = asked([cell(EAGER, 1, **host_of(2.0))], most_p99_ms=limit)
    assert bool(found.answer) == met
    if not met:
        assert found.nearest is not None
        assert (found.nearest.constraint, found.nearest.found, found.nearest.limit) == ("p99", 2.0, limit)
        assert found.nearest.by == pytest.approx(2 / limit - 1)


@pytest.mark.parametrize(("limit", "met"), [(100, True), (99.9, False), (110, True), (91, False)])
def test_memory_meets_a_limit_that_is_its_peak(limit: float, met: bool) -> None:
    found = asked([cell(EAGER, 1)], most_memory_mib=limit)
    assert bool(found.answer) == met
    assert met or (found.nearest is not None and found.nearest.by == pytest.approx(100 / limit - 1))


def test_unknown_memory_meets_no_limit() -> None:
    unknown = cell(EAGER, 1, peak_memory_mib=None)
    assert asked([unknown]).answer
    found = asked([unknown], most_memory_mib=1e9)
    assert found.answer == ""
    assert found.nearest is not None
    assert (found.nearest.constraint, found.nearest.by, found.nearest.limit) == ("memory", 1, 1e9)


def test_accuracy_meets_a_limit_that_is_its_lower_bound() -> None:
    low = share(1960, 2000).low
    assert asked([cell(EAGER, 1)], least_quality=low).answer
    found = asked([cell(EAGER, 1)], least_quality=low * 1.001)
    assert found.answer == ""
    assert found.nearest is not None
    assert found.nearest.by == pytest.approx(0.001 / 1.001)
    assert (found.nearest.found, found.nearest.limit, found.nearest.images) == (low, low * 1.001, 2000)


@pytest.mark.parametrize(("calls", "bounded"), [(298, False), (299, True)])
def test_299_calls_bound_a_p99(calls: int, bounded: bool) -> None:
    host = cell(EAGER, 1).host
    assert host is not None
    few = cell(EAGER, 1, host=host.model_copy(update={"samples": calls}))
    found = asked([few], most_p99_ms=50)
    assert bool(found.answer) == bounded
    if not bounded:
        assert found.nearest is not None
        assert (found.nearest.constraint, found.nearest.by) == ("p99 unknown", 1.0)
        much = asked([few], most_p99_ms=0.3).nearest
        assert much is not None
        assert much.by == pytest.approx(host.p99_ms.value / 0.3 - 1)


def test_the_limit_missed_most_by_the_nearest_cell_is_named() -> None:
    near, far = cell(EAGER, 1, **host_of(2.0)), cell("jax.jit", 1, **host_of(3.0))
    found = asked([far, near], most_p99_ms=1.0, most_memory_mib=50)
    assert found.nearest is not None
    assert (found.nearest.cell, found.nearest.constraint, found.nearest.by) == (near.name, "p99", 1.0)
    assert "p99" in found.losers[near.name]
    assert "memory" in found.losers[near.name]


def priced(price: float | None, *cells: object) -> Choice:
    made = list(cells) or [cell(EAGER, 1), cell(EAGER, 4, batch=32)]
    record = audit([compared(EAGER, 1960)])
    return choose(results(made), record, Constraints(), "cost", price, one_process=True)  # type: ignore[arg-type]


def test_a_million_images_cost_the_hours_that_they_take() -> None:
    """1,000 images per second take 1,000 s, at 0.36 per hour; the bounds of the rate are swapped."""
    (found,) = priced(0.36, cell(EAGER, 1, width=0.1)).candidates
    assert found.value.value == pytest.approx(0.1)
    assert (found.value.low, found.value.high) == pytest.approx((0.1 / 1.1, 0.1 / 0.9))


@pytest.mark.parametrize("price", [None, 0.0, -1.0, math.nan])
def test_nothing_costs_without_a_price(price: float | None) -> None:
    with pytest.raises(InputError, match="price of the machine"):
        priced(price)


def test_less_is_better_of_time_and_money_and_more_of_throughput() -> None:
    assert [cost_of(2.0, "latency"), cost_of(2.0, "cost"), cost_of(2.0, "throughput")] == [2.0, 2.0, -2.0]


def test_the_bound_on_the_answers_distance_from_the_best_is_given_where_known() -> None:
    alone = asked([cell(EAGER, 1)])
    assert alone.behind_at_most == 0
    assert not alone.paired
    two = asked([cell(EAGER, 1), cell("jax.jit", 2)])
    assert two.behind_at_most == 0
    close = asked([cell(EAGER, 1, width=0.05), cell("jax.jit", 1, width=0.05)]).behind_at_most
    assert close is not None
    assert math.isfinite(close)
    assert 0.02 < close < 0.2
    assert asked([cell(EAGER, 1, invalid=["drift"])]).behind_at_most is None


def test_licences_of_all_that_a_runtime_brings_have_to_be_allowed() -> None:
    assert asked([cell(EAGER, 1)], licences=["BSD-3-Clause"]).answer
    assert asked([cell(EAGER, 1)], licences=["MIT", "BSD-3-Clause"]).answer
    refused = asked([cell(EAGER, 1)], licences=["MIT"])
    assert "licence BSD-3-Clause is not among" in refused.losers["bloodnet/28/b1/t1/torch.eager"]


def test_a_users_model_without_labels_allows_every_limit_except_accuracy() -> None:
    made, record = results([cell(EAGER, 1)]), audit([compared(EAGER, 1960)])
    users = made.model_copy(update={"kind": "model", "task": PLAIN_TASK})
    found = choose(users, record, Constraints())
    assert found.answer == made.cells[0].name
    assert (found.candidates[0].quality, found.candidates[0].quality_images) == (None, 0)
    with pytest.raises(InputError, match="right answers of this model are unknown"):
        choose(users, record, Constraints(least_quality=0.0))


def test_how_right_it_is_has_the_name_of_the_task_s_measure(tmp_path: Path) -> None:
    """A segmentation's cell is judged by its pixels, and so is a cell that misses a limit."""
    made, quality = results([cell(EAGER, 1)]), share(1960, 2000)
    judgement = Judgement(
        task="segmentation", output="scores", against="float64", records=2000,
        flips=Flips(decisions=9, flipped=0, excused=0, records=0),
        qualities=[Quality(name="pixel accuracy", value=quality, base=quality, method="bootstrap")],
    )  # fmt: skip
    record = audit([compared(EAGER, 1960).model_copy(update={"judgement": judgement})])
    models = [one.model_copy(update={"task": "segmentation"}) for one in record.models]
    record, users = record.model_copy(update={"models": models}), made.model_copy(update={"task": "segmentation"})
    found = choose(users, record, Constraints(least_quality=0.9))
    assert (found.measure, found.candidates[0].quality) == ("pixel accuracy", quality)
    assert "Pixel accuracy is at least 97.29%" in said(found, everything=True)
    assert "accuracy 98.00%" not in said(found, everything=True).replace("pixel accuracy 98.00%", "")
    missed = choose(users, record, Constraints(least_quality=0.99)).nearest
    assert missed is not None
    assert in_words(missed).startswith(
        "pixel accuracy is only known to be 97.29% (of 2,000 images), 99.00% is required"
    )


F1 = "score.py:f1"


def by_metric(found: float, *, half: float = 0.02) -> Judgement:
    """The judgement of a cell by the user's own metric, which is no share of decisions, and by accuracy."""
    value = Interval(value=found, low=found - half, high=found + half)
    metric = Quality(name=F1, value=value, base=value, method="bootstrap", is_metric=True, share=False)
    right = share(1960, 2000)
    accuracy = Quality(name="accuracy", value=right, base=right, method="Wilson")
    return Judgement(
        task="classification", output="scores", against="float64", records=2000,
        flips=Flips(decisions=9, flipped=0, excused=0, records=0), qualities=[metric, accuracy],
    )  # fmt: skip


def chosen_by_metric(least: dict[str, float]) -> Choice:
    """The choice between a fast cell whose metric is 0.90 (0.88 to 0.92) and a slow one of 0.95 (0.93 to 0.97)."""
    judged = {EAGER: by_metric(0.95), "jax.jit": by_metric(0.90)}
    cells = [cell(label, 4 if label == EAGER else 1, judgement=one) for label, one in judged.items()]
    users = results(cells).model_copy(update={"kind": "model"})
    record = audit([compared(label, 1960).model_copy(update={"judgement": one}) for label, one in judged.items()])
    return choose(users, record, Constraints(least=least))


def test_a_least_metric_is_compared_with_the_lower_bound_and_decides() -> None:
    assert chosen_by_metric({}).answer.endswith("jax.jit")
    kept = chosen_by_metric({"metric": 0.91})
    assert kept.answer.endswith(EAGER)
    assert kept.constraints.least == {F1: 0.91}  # "metric" stands for the user's own
    assert "only known to be 0.88" in kept.losers["bloodnet/28/b1/t1/jax.jit"]
    assert chosen_by_metric({F1: 0.88}).answer.endswith("jax.jit")
    assert chosen_by_metric({F1: 0.92, "accuracy": 0.97}).answer.endswith(EAGER)
    assert not chosen_by_metric({"accuracy": 0.98}).answer  # its lower bound is 0.973
    none = chosen_by_metric({"metric": 0.96})
    assert not none.answer
    assert none.nearest is not None
    assert (none.nearest.constraint, none.nearest.found, none.nearest.cell) == (
        F1,
        pytest.approx(0.93),
        "bloodnet/28/b1/t1/torch.eager",
    )


def test_a_least_value_of_no_measure_is_refused_with_the_measures_that_there_are() -> None:
    with pytest.raises(InputError, match=r"--least recall is not a measure.*score\.py:f1, accuracy"):
        chosen_by_metric({"recall": 0.5})
    with pytest.raises(InputError, match="least accuracy is out of range"):
        chosen_by_metric({"accuracy": 98.0})
    assert not chosen_by_metric({"metric": 98.0}).answer  # a metric may be on any scale


def test_a_choice_of_an_older_assay_is_read(tmp_path: Path) -> None:
    """It had accuracy only."""
    found = asked([cell(EAGER, 1)], least_quality=0.9)
    older = re.sub('"(least_)?quality', r'"\1accuracy', found.model_dump_json(exclude={"measure"}))
    assert '"accuracy_images"' in older
    (tmp_path / "choice.json").write_text(older, encoding="utf-8")
    assert read_choice(tmp_path) == found


def test_what_disagreed_when_it_was_timed_is_wrong_and_what_was_not_compared_then_is_left_to_its_audit() -> None:
    like = cell(EAGER, 1).agreement
    assert like is not None
    wrong = cell(EAGER, 1, agreement=like.model_copy(update={"passed": False, "reason": "differs by 0.3"}))
    found = asked([wrong, cell("jax.jit", 2)])
    assert found.answer.endswith("jax.jit")
    assert found.losers[wrong.name] == "wrong: differs by 0.3"
    assert found.wrong == [wrong.name]
    assert asked([cell(EAGER, 1, agreement=None)]).answer
    assert asked([cell(EAGER, 1, agreement=None)]).wrong == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "failed", "reason": "killed"}, "not measured (failed): killed"),
        ({"host": None, "reason": "no samples"}, "not measured (ok): no samples"),
        ({"throughput": None}, "not measured (ok): "),
        ({"invalid": ["drift", "theft"]}, "not valid: drift; theft"),
        ({"framework": ""}, "a ruler, not a model"),
    ],
)
def test_what_may_not_be_believed_says_why(changes: dict[str, object], reason: str) -> None:
    found = asked([cell(EAGER, 1, **changes)])
    assert found.answer == ""
    assert next(iter(found.losers.values())) == reason
