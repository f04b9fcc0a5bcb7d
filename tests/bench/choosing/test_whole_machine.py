"""The choice if several instances were measured: their rates count, and nothing is multiplied."""

from __future__ import annotations

import pytest

from assay.bench.choosing.choose import choose
from assay.bench.cli.choose import render
from assay.errors import InputError
from assay.records.base import Interval
from assay.records.choice import Constraints
from assay.records.results import Cell, Results
from assay.records.timings import Instances
from tests.bench.choosing.test_choose import audit, cell, compared, results

FAST, STEADY = cell("torch.eager", 4), cell("jax.jit", 5)
RECORD = audit([compared("torch.eager", 1960), compared("jax.jit", 1960)])


def measured(one: Cell, instances: int, rates: list[float], **changes: object) -> Instances:
    mean = sum(rates) / len(rates)
    return Instances(
        cell=one.name, instances=instances, cores=instances, sets=rates, memory_mib=100.0 * instances,
        throughput=Interval(value=mean, low=min(rates), high=max(rates)), median_ms=Interval(value=4, low=4, high=4),
        p99_ms=9.0, p99_at_most_ms=9.5, calls=600,
    ).model_copy(update=changes)  # fmt: skip


def study(*instances: Instances) -> Results:
    return results([FAST, STEADY]).model_copy(update={"instances": list(instances)})


SHARES_BADLY = [measured(FAST, 1, [250, 251, 249]), measured(FAST, 2, [300, 301, 299])]
SHARES_WELL = [measured(STEADY, 1, [200, 201, 199]), measured(STEADY, 2, [390, 391, 389])]


def test_the_most_of_a_machine_is_what_its_instances_gave_and_not_one_of_them_twice() -> None:
    """Alone the first is faster; two instances would give 500 by multiplication, and really give 300."""
    found = choose(study(*SHARES_BADLY, *SHARES_WELL), RECORD, Constraints(), "throughput")
    assert found.answer == STEADY.name
    answer = next(one for one in found.candidates if one.cell == STEADY.name)
    assert (answer.instances, answer.value.value, answer.memory_mib, answer.p99_ms) == (2, 390, 200, 9.0)
    assert found.serve_with == "2 instances of 1 thread, each on cores of its own (2 in all), batch 1"
    assert f"\nServe with {found.serve_with}." in render(found)
    assert choose(study(*SHARES_BADLY, *SHARES_WELL), RECORD, Constraints(), "latency").answer == FAST.name


def test_the_price_is_that_of_the_machine_over_what_it_gave() -> None:
    found = choose(study(*SHARES_BADLY, *SHARES_WELL), RECORD, Constraints(), "cost", 0.36)
    answer = next(one for one in found.candidates if one.cell == found.answer)
    assert found.answer == STEADY.name
    assert answer.value.value == pytest.approx(0.36 * 1e6 / 3600 / 390)
    assert found.assumed.startswith("its processes have the whole machine")


def test_what_was_not_measured_so_has_no_price() -> None:
    found = choose(study(*SHARES_WELL), RECORD, Constraints(), "cost", 0.36)
    assert found.answer == STEADY.name
    assert "leaves some of the 2 cores idle" in found.losers[FAST.name]
    with pytest.raises(InputError, match=r"bench\.instances"):
        choose(study(), RECORD, Constraints(), "cost", 0.36)


def test_more_instances_that_give_no_more_are_not_taken() -> None:
    same = [measured(STEADY, 1, [200, 201, 199]), measured(STEADY, 2, [201, 199, 202])]
    found = choose(study(*same), RECORD, Constraints(runtimes=["jax.jit"]), "throughput")
    assert found.serve_with == "1 instance of 1 thread, batch 1"


def test_invalid_sets_do_not_count() -> None:
    broken = measured(FAST, 2, [900, 901, 899], invalid=["stolen processor time"])
    found = choose(study(SHARES_BADLY[0], broken, *SHARES_WELL), RECORD, Constraints(), "throughput")
    assert found.answer == STEADY.name


def test_a_limit_on_p99_is_compared_with_the_calls_of_all_instances() -> None:
    found = choose(study(*SHARES_BADLY, *SHARES_WELL), RECORD, Constraints(most_p99_ms=8), "throughput")
    assert found.answer == ""
    assert found.nearest is not None
    assert found.nearest.found == 9.5


def test_two_that_do_not_differ_significantly_by_their_rounds_are_tied() -> None:
    alike = [measured(FAST, 2, [300, 390, 350]), measured(STEADY, 2, [310, 380, 352])]
    found = choose(study(*alike), RECORD, Constraints(), "throughput")
    assert all(one.tied for one in found.candidates)
