"""The same input twice: a model that is random or keeps a state is identified before any conclusion from an answer."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from assay.errors import InputError
from assay.export.probing.steadiness import SteadinessCheck
from assay.numerics.values import REPEATABLE, difference
from assay.train.brought.loaders.loaded import Compute
from assay.train.brought.model import Location
from assay.train.brought.source import built

INPUTS = [np.ones((2, 3), np.float32)]
COUNTED = """
calls = [0]

def model(x):
    calls[0] += 1
    return x + calls[0]
"""


def steady(
    native: Compute, again: Compute | None = None, path: Path = Path("model.py"), random: str = ""
) -> SteadinessCheck:
    return SteadinessCheck(
        Location(path=path, form="function", kind="torch", function="model"),
        native,
        lambda: again or native,
        lambda: random,
    )


def message(one: SteadinessCheck) -> str:
    first = one.native(INPUTS)
    with pytest.raises(InputError) as caught:
        one.check(INPUTS, first, is_first_call=True)
    return str(caught.value)


def test_a_function_passes() -> None:
    one = steady(lambda inputs: {"y": inputs[0] * 2, "chosen": inputs[0].argmax(axis=1)})
    one.check(INPUTS, one.native(INPUTS), is_first_call=True)
    one.check_often(INPUTS)


def test_a_model_that_draws_random_numbers_is_random() -> None:
    found = message(steady(lambda inputs: {"y": inputs[0] + random.random()}))
    assert "model.py:model answers the same input differently from call to call: it draws random numbers" in found
    assert "training=self.training" in found
    assert "depend" not in found


def test_a_model_that_starts_again_when_reloaded_keeps_a_state(tmp_path: Path) -> None:
    path = tmp_path / "counted_model.py"
    path.write_text(COUNTED)

    def load() -> Compute:
        function = built(path, "model")
        assert callable(function)
        return lambda inputs: {"y": function(inputs[0])}

    location = Location(path=path, form="function", kind="torch", function="model")
    one = SteadinessCheck(location, load(), load, str)
    found = message(one)
    assert "it keeps a state: " in found
    assert "output 'y': 1 apart" in found
    assert "Make the state an input" in found


def test_what_neither_seeds_nor_a_fresh_start_repeat_may_be_either() -> None:
    clock = iter(range(100))
    assert "is random or keeps a state" in message(steady(lambda inputs: {"y": inputs[0] + next(clock)}))


def test_operators_that_the_file_has_are_named() -> None:
    clock = iter(range(100))
    found = message(steady(lambda inputs: {"y": inputs[0] + next(clock)}, random="Multinomial 'draw'"))
    assert "it draws random numbers (Multinomial 'draw')" in found
    assert "Export it again in evaluation mode" in found


def test_rare_randomness_is_found_by_repeated_calls() -> None:
    answers = iter([0.0, 0.0, 0.0, 0.0, 0.0, 1.0, *range(100)])
    one = steady(lambda inputs: {"y": inputs[0] + next(answers)})
    one.check(INPUTS, one.native(INPUTS))
    with pytest.raises(InputError, match="same input differently"):
        one.check_often(INPUTS)


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (np.array([1e6, 1 + 1e-2]), ""),  # the order of sums, on the scale of this output
        (np.array([1e6 * (1 + 2 * REPEATABLE), 1.0]), "output 'y': 30.5 apart"),
        (np.array([np.inf, 1.0]), "other values are finite"),
        (np.array([1e6]), "of shape"),
        (np.array([np.nan, 1.0]), "other values are finite"),
    ],
)
def test_sums_in_another_order_are_not_a_difference(second: np.ndarray, words: str) -> None:
    found = difference({"y": np.array([1e6, 1.0])}, {"y": second})
    assert words in found
    assert bool(found) == bool(words)


def test_every_output_has_its_own_scale_and_whole_numbers_are_equal() -> None:
    large = np.array([1e6, 1.0])
    assert "output 'small'" in difference(
        {"large": large, "small": large / 1e6}, {"large": large, "small": large / 1e5}
    )
    assert "1 of 2 numbers differ" in difference({"n": np.array([5, 10**9])}, {"n": np.array([6, 10**9])})
