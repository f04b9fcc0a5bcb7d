"""Arguments of a layer are drawn from its signature: the fewest first, always the same, and only those that it has."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from inspect import Parameter

from assay.bench.atlas.suites.keras_arguments import INTEGERS, ONE, drawn_arguments, inputs_for


def parameters_of(layer: object) -> Mapping[str, Parameter]:
    assert callable(layer)
    return inspect.signature(layer).parameters


def convolution(filters, kernel_size, padding="valid", use_bias=True, trainable=True):  # type: ignore[no-untyped-def]
    """The shape of a signature of Keras."""


def test_what_is_needed_comes_first_and_every_other_argument_is_varied() -> None:
    found = list(drawn_arguments(parameters_of(convolution), "Conv"))
    assert found[0] == {"filters": "4", "kernel_size": "3"}
    assert found[1] == {"filters": "4", "kernel_size": "2"}
    assert found == list(drawn_arguments(parameters_of(convolution), "Conv"))
    assert {"filters": "4", "kernel_size": "3", "use_bias": "False"} in found
    assert {"filters": "4", "kernel_size": "3", "padding": "'same'"} in found
    assert all("trainable" not in one and one.get("padding") != "'valid'" for one in found)
    assert len(found) == len({str(sorted(one.items())) for one in found})


def test_a_layer_with_an_argument_that_nobody_knows_has_no_samples() -> None:
    assert list(drawn_arguments(parameters_of(lambda call_fn: None), "JaxLayer")) == []


def test_an_embedding_takes_whole_numbers_first_and_bins_of_numbers_do_not() -> None:
    assert inputs_for(parameters_of(lambda input_dim, output_dim: None))[: len(INTEGERS)] == INTEGERS
    assert inputs_for(parameters_of(lambda num_bins=None, bin_boundaries=None: None))[: len(ONE)] == ONE
