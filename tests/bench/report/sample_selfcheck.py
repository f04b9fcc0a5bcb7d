"""A self-check's record as a noisy machine would leave it: one check failed, the rest passed."""

from __future__ import annotations

from assay.bench.selfcheck.ruler import attribution_check, floor_check, found_check, mistaken_check, told_check
from assay.records.base import Interval, Verdict
from assay.records.selfcheck import Design, PlantedComparisons, SelfCheck

TOLD = {3: 0.062, 5: 0.031, 10: 0.019}


def sample_selfcheck() -> SelfCheck:
    """Too few identical pairs to pass, and too few of 10 %; 3 % is found 2 times out of 4."""
    planted = [
        _planted(0.0, ["same"] * 4),
        _planted(0.03, ["slower", "slower", "undecided", "undecided"]),
        _planted(0.1, ["slower"] * 4),
    ]
    checks = [
        floor_check(0.08, 0.4),
        attribution_check(200.4, 60.3),
        mistaken_check(planted[0]),
        found_check(planted[2]),
        told_check(TOLD, 3),
    ]
    return SelfCheck(
        created="2026-03-14T08:00:00+00:00",
        machine={"processor": "An x86-64 processor with AVX-512"},
        seconds=291.5,
        passed=False,
        checks=checks,
        comparisons=planted,
        advice=["The load is 3.8 on 2 cores: stop other programs."],
        design=Design(processes=3, blocks=4),
        told=TOLD,
    )


def _planted(share: float, verdicts: list[Verdict]) -> PlantedComparisons:
    ratios = [
        Interval(value=1 + share + off, low=1 + share + off - 0.011, high=1 + share + off + 0.012)
        for off in (-0.002, 0.0, 0.001, 0.003)
    ]
    return PlantedComparisons(planted=share, ratios=ratios, verdicts=verdicts, processes=[3, 3, 3, 3])
