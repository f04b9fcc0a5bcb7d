"""`assay load`: a small real load test, and its arithmetic."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from assay.bench.machine.machine import telling_variables
from assay.bench.serving.audited import read_audited, target_of
from assay.bench.serving.client import CLIENT_VARIABLES, FIRST_SECONDS, Client, LoadPlan
from assay.bench.serving.load import closed_loop, measure_load, overhead
from assay.bench.serving.load_numbers import (
    reasons,
    samples_of,
    search_rate,
    split_of,
)
from assay.bench.statistics.intervals import difference_over_processes, ratio_over_processes
from assay.errors import ArtifactError
from assay.records.load import Conditions, RateTried, read_load
from assay.steps import SLOWER, Step, heard_by, in_proportion
from tests import serving_folder
from tests.bench.serving.conftest import ASSAY, Served

QUIET = Conditions(client_use=0.4, stolen_share=0.0, throttle_events=0, others_busy=0.0)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "images.npy"
    np.save(path, serving_folder.images())
    return path


def test_a_short_load_counts_every_answer_and_splits_the_time(served: Served, images: Path) -> None:
    audited = read_audited(served.folder, images, None, served.folder)
    plan = LoadPlan(seconds=0.3, processes=2, clients=(2,), scenarios=("SingleStream",), known_to=math.inf)
    target = target_of(audited.deployment, served.ready["http"], served.grpc)
    told: list[str] = []
    found = measure_load(audited, served.folder, target, plan, told.append)
    (loop,) = found.closed_loop
    assert (loop.failed, loop.wrong, loop.processes) == (0, 0, 2)
    assert loop.median_ms.value <= loop.p90_ms.value <= loop.p99_ms.value
    assert loop.split is not None
    parts = loop.split.model_dump()
    assert all(part >= 0 for part in parts.values())
    assert loop.split.compute > 0
    assert [one.way for one in found.overheads] == ["grpc", "http"]
    for one in found.overheads:
        assert one.processes == 2
        assert one.in_process_ms.value < one.served_ms.value
    (scenario,) = found.scenarios
    assert (scenario.failed, scenario.wrong, len(scenario.verdicts)) == (0, 0, 2)
    assert scenario.queries >= 64
    assert found.highest_rate is None
    assert found.environment["variables"] == CLIENT_VARIABLES | telling_variables()
    assert "closed loop, 2 clients" in told


@pytest.mark.slow
def test_processes_are_added_until_the_cost_is_known_as_far_as_they_go(
    served: Served, images: Path, tmp_path: Path
) -> None:
    audited = read_audited(served.folder, images, None, served.folder)
    target = target_of(audited.deployment, served.ready["http"], served.grpc)
    plan = LoadPlan(seconds=0.2, processes=2, known_to=0)
    assert overhead(Client(audited, served.folder, target, plan, tmp_path), "grpc", print).processes == 8


@pytest.mark.slow
def test_the_command_measures_everything_and_writes_a_record(served: Served, images: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(str(ASSAY), "load", str(served.ready["http"]), "--deployment", str(served.folder)),
            *("--images", str(images), "--seconds", "0.5", "--processes", "2", "--clients", "1", "--clients", "4"),
            *("--out", str(tmp_path)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    assert done.stderr == ""
    found = read_load(tmp_path / "load.json")
    assert done.returncode == int(found.invalid)
    assert [loop.clients for loop in found.closed_loop] == [1, 4]
    assert {"SingleStream", "MultiStream", "Offline"} <= {one.name for one in found.scenarios}
    assert all(one.failed == one.wrong == 0 for one in found.scenarios)
    assert found.highest_rate is not None
    assert found.highest_rate.tried
    assert "not MLPerf-compliant" in done.stdout
    assert found.server_cores == served.ready["cores"]


def test_answers_other_than_audited_make_a_load_invalid(served: Served, images: Path, tmp_path: Path) -> None:
    folder = serving_folder.write_folder(tmp_path / "other")
    expected = serving_folder.probabilities(1)
    expected[:48] = expected[:48][::-1]
    np.save(folder / "audited" / "1" / "outputs.npy", serving_folder.answers(expected))
    serving_folder.with_checksums(folder)
    audited = read_audited(folder, images, None, folder)
    target = target_of(audited.deployment, served.ready["http"], served.grpc)
    client = Client(audited, folder, target, LoadPlan(seconds=0.2, processes=2), tmp_path)
    heard: list[Step] = []
    with heard_by(heard.append):
        found = closed_loop(client, 1, lambda _: None)
    first, second = [one for one in heard if one.doing]
    assert first.doing == second.doing == f"A client of {target.model}: 1 at a time"
    assert first.seconds == FIRST_SECONDS + 2
    assert second.seconds == pytest.approx(in_proportion(client._beside, SLOWER) + 2, rel=0.9)
    assert found.wrong > 0
    assert any("answers that differ from the audited" in why for why in found.invalid)


def test_a_record_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "load.json").write_text('{"schema_version": 9}')
    with pytest.raises(ArtifactError, match=r"load\.json"):
        read_load(tmp_path / "load.json")


def test_intervals_over_processes() -> None:
    assert ratio_over_processes([2.0, 8.0]).value == pytest.approx(4)
    same = ratio_over_processes([3.0, 3.0, 3.0])
    assert same.low == pytest.approx(3)
    assert same.high == pytest.approx(3)
    # Student's quantile for 2 degrees of freedom is 4.303, the standard error of 1, 2, 3 is 1 / sqrt(3).
    found = difference_over_processes([1.0, 2.0, 3.0])
    assert found.value == 2
    assert found.high - 2 == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)


def test_a_client_s_run_is_cut_into_blocks_of_equal_time() -> None:
    begun = np.arange(0, 800, 10)
    samples = samples_of([begun, begun], [np.full(80, 5_000_000), np.full(80, 7_000_000)])
    assert np.bincount(samples.block).tolist() == [20] * 8
    assert set(samples.values[samples.process == 1]) == {7.0}


def test_the_parts_of_a_request_s_time_sum_up() -> None:
    counters = {
        "success": {"count": 4, "ns": 4_000_000},
        "queue": {"count": 4, "ns": 400_000},
        "compute_input": {"count": 4, "ns": 200_000},
        "compute_infer": {"count": 4, "ns": 2_800_000},
        "compute_output": {"count": 4, "ns": 200_000},
    }
    split = split_of([counters, counters], wire_ms=1.5, client_ms=0.25)
    assert split is not None
    assert split.network == pytest.approx(0.5)
    assert split.queue == pytest.approx(0.1)
    assert split.compute == pytest.approx(0.8)
    assert split.server == pytest.approx(0.1)
    assert sum(split.model_dump().values()) == pytest.approx(1.75)
    assert split_of([], 1.5, 0.25) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"client_use": 0.99}, "client was busy"),
        ({"stolen_share": 0.1}, "stolen"),
        ({"throttle_events": 2}, "throttled"),
        ({"others_busy": 1.5}, "other work on this machine"),
    ],
)
def test_what_disturbs_makes_a_load_invalid(change: dict[str, float], words: str) -> None:
    assert reasons(None, [QUIET, QUIET], 0, 0) == []
    (reason,) = reasons(None, [QUIET, QUIET.model_copy(update=change)], 0, 0)
    assert words in reason


def test_failures_wrong_answers_few_processes_and_drift_make_a_load_invalid() -> None:
    found = reasons(None, [QUIET], failed=3, wrong=1)
    assert [reason.split()[0] for reason in found] == ["3", "1", "too"]
    begun = np.arange(0, 8000, 10)
    rising = (1e6 * np.linspace(1, 2, 800)).astype(np.int64)
    (drift,) = reasons(samples_of([begun, begun], [rising, rising]), [QUIET, QUIET], 0, 0)
    assert "drift" in drift


@pytest.mark.parametrize("limit", [3.0, 80.0, 950.0, 40_000.0])
def test_the_search_closes_in_on_the_rate_that_holds(limit: float) -> None:
    found = search_rate(lambda rate: RateTried(rate=rate, p99_ms=1, holds=rate <= limit), 700, 5, tries=30)
    assert found.rate is not None
    assert found.fails_at is not None
    assert found.rate <= limit < found.fails_at
    assert found.fails_at / found.rate <= 1.08


def server_that_wavers(spread: float, limit: float = 800.0) -> Callable[[float], RateTried]:
    """The rate that a server sustains differs from one try to the next."""
    random = np.random.default_rng(0)
    return lambda rate: RateTried(rate=rate, p99_ms=1, holds=bool(rate <= limit * math.exp(random.normal(0, spread))))


def test_a_rate_has_an_interval_over_searches() -> None:
    found = search_rate(server_that_wavers(0.0), 700, 5, tries=8, searches=3)
    assert found.interval is not None
    assert found.searches == 3
    assert found.rate is not None
    assert found.rate <= found.interval.value
    assert found.interval.low < 800 < found.interval.high
    assert found.fails_at is not None
    apart = found.fails_at / found.rate
    assert found.interval.high / found.interval.low >= apart * (1 - 1e-9), "what held and what failed"
    assert [one.rate for one in found.tried].count(700) == 3, "each search knows nothing of the others"
    wavering = search_rate(server_that_wavers(0.1), 700, 5, tries=8, searches=3)
    assert wavering.interval is not None
    assert wavering.interval.high / wavering.interval.low > found.interval.high / found.interval.low


def test_a_single_search_has_no_interval() -> None:
    assert search_rate(server_that_wavers(0.0), 700, 5, tries=8).interval is None
    assert search_rate(lambda rate: RateTried(rate=rate, p99_ms=9, holds=False), 700, 5, 6, searches=3).interval is None


def test_a_search_that_finds_nothing_says_so() -> None:
    found = search_rate(lambda rate: RateTried(rate=rate, p99_ms=9, holds=False), 700, 5, tries=6)
    assert found.rate is None
    assert len(found.tried) == 6
    assert min(one.rate for one in found.tried) == found.fails_at
