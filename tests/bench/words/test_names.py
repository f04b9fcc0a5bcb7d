"""Sizes along a dimension in words, and where the faster side changes."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from assay.bench.words.names import axis_of, crossing, in_words, is_mixed, points_of, sized, verified, with_names
from assay.bench.words.numbers import pixels
from assay.records.results import Results
from tests.bench.report.sample_results import sample_results


def along(names: list[JsonValue], sizes: list[JsonValue]) -> Results:
    results = sample_results()
    fine = next(cell for cell in results.cells if cell.exporter and cell.agreement and cell.agreement.passed)
    cells = [fine.model_copy(update={"size": one[0]}) for one in sizes if isinstance(one, list)]
    settings = {**results.settings, "dimensions": names, "sizes": sizes}
    return results.model_copy(update={"settings": settings, "cells": cells})


def test_sizes_are_called_by_the_name_of_the_dimension() -> None:
    results = along(["tokens"], [[16], [128]])
    assert (axis_of(results), sized(128, results)) == ("tokens", "128 tokens")
    assert points_of(results) == [{"tokens": 16}, {"tokens": 128}]
    assert verified(results) == "Verified at 16 and 128 tokens; other sizes were not verified."
    said = f"ort at {pixels(128)} and {pixels(1128)}, of size, pixels"
    assert with_names(said, results) == f"ort at 128 tokens and {pixels(1128)}, of tokens"


def test_a_size_at_which_no_export_agrees_is_not_verified() -> None:
    results = along(["tokens"], [[16], [128]])
    one = results.model_copy(update={"cells": results.cells[:1]})
    assert verified(one) == "Verified at 16 tokens; other sizes were not verified."
    assert verified(results.model_copy(update={"cells": []})) == "No export is verified at any of the sizes."


def test_several_dimensions_are_named_each() -> None:
    results = along(["height", "width"], [[224, 224], [384, 512]])
    assert sized(384, results) == in_words({"height": 384, "width": 512}) == "height 384, width 512"
    assert verified(results).startswith("Verified at height 224, width 224; height 384, width 512;")


def test_calls_of_mixed_sizes_are_of_no_size() -> None:
    results = along(["tokens"], [[16], [128]])
    mixed = results.cells[0].model_copy(update={"size": 0})
    assert is_mixed(mixed, results)
    assert not is_mixed(results.cells[0], results)
    assert not is_mixed(mixed, sample_results())
    assert sized(0, results) == "mixed sizes"
    assert with_names(pixels(0), results) == "all sizes"  # also said of a file, which is checked at each
    assert verified(results.model_copy(update={"cells": [mixed]})) == "No export is verified at any of the sizes."


def test_without_a_dimension_sizes_are_of_images() -> None:
    results = sample_results()
    assert (axis_of(results), verified(results), sized(28, results)) == ("", "", pixels(28))
    assert with_names(pixels(28), results) == pixels(28)


@pytest.mark.parametrize(
    ("verdicts", "between"),
    [
        ([(16, "faster"), (64, "same"), (128, "slower")], (16, 128)),
        ([(16, "slower"), (64, "faster"), (128, "faster")], (16, 64)),
        ([(16, "faster"), (64, "faster")], None),
        ([(16, "same"), (64, "slower")], None),
        ([], None),
    ],
)
def test_the_faster_side_changes_between_two_sizes(
    verdicts: list[tuple[int, str]], between: tuple[int, int] | None
) -> None:
    assert crossing(verdicts) == between
