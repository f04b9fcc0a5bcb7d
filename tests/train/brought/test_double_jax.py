"""JAX in float64 throughout, whatever a function rounds to inside, and which parts are computed in less than fp32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax")
import jax.numpy as jnp  # noqa: E402

from assay.errors import InputError  # noqa: E402
from assay.train.brought.double.on_jax import double_of  # noqa: E402
from assay.train.brought.narrow.on_jax import narrow_arithmetic, traced_equations  # noqa: E402

X = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
W = np.random.default_rng(1).normal(size=(6, 6)).astype(np.float32)


def scanned(x: Any) -> Any:
    return jax.lax.scan(lambda carry, row: (carry * 0.5 + row, carry), jnp.zeros(6, "float32"), x)[0]


def looped(x: Any) -> Any:
    return jax.lax.while_loop(lambda state: state[0] < 3, lambda state: (state[0] + 1, state[1] * 1.5), (0, x))[1]


FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[np.ndarray], np.ndarray]]] = {
    "a cast to fp32 inside": (lambda x: jnp.tanh(x.astype("float32") @ W).astype("float32"), lambda x: np.tanh(x @ W)),
    "a cast to bf16 inside": (lambda x: (x.astype("bfloat16") * 3).astype("float32"), lambda x: x * 3),
    "a scan": (scanned, lambda x: x[0] * 0.125 + x[1] * 0.25 + x[2] * 0.5 + x[3]),
    "a loop": (looped, lambda x: x * 1.5**3),
    "a branch": (lambda x: jax.lax.cond(x[0, 0] > 9, lambda y: y, lambda y: -y, x), lambda x: -x),
    "a scatter": (lambda x: x.at[0].add(1.0), lambda x: x + (np.arange(4)[:, None] == 0)),
    "complex numbers": (
        lambda x: jnp.real(jnp.fft.fft(x.astype("complex64") * 3j)),
        lambda x: np.real(np.fft.fft(x * 3j)),
    ),
    "a function of its own": (jax.jit(lambda x: jax.nn.relu(x) / 3), lambda x: np.maximum(x, 0) / 3),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_everything_is_computed_in_float64(name: str) -> None:
    function, right = FUNCTIONS[name]
    found = double_of(lambda x: {"y": function(x)})([X])["y"]
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, right(X.astype(np.float64)), rtol=1e-14, atol=1e-14)


def test_whole_numbers_are_of_the_type_that_the_function_takes() -> None:
    ids = np.array([[0, 5], [-1, 2]])
    found = double_of(lambda ids: {"y": jnp.asarray(W)[ids].mean(1), "ids": ids + 1})([ids])
    assert found["y"].dtype == np.float64
    np.testing.assert_allclose(found["y"], W.astype(np.float64)[ids].mean(1), rtol=1e-14)
    assert found["ids"].tolist() == (ids + 1).tolist()


def test_bits_are_not_read_in_float64() -> None:
    with pytest.raises(InputError, match="reads the bits of numbers"):
        double_of(lambda x: {"y": jax.lax.bitcast_convert_type(x, jnp.int32)})([X])


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (lambda x: x @ W, ""),
        (lambda x: x.astype("bfloat16") * 2, "bf16"),
        (lambda x: x.astype("float16").astype("float32"), "fp16"),  # it is rounded on the way
        (lambda x: x @ jnp.asarray(W, "float16").astype("float32"), ""),  # weights are only stored in it
        (jax.jit(lambda x: jnp.exp(x.astype("float16")).astype("float32")), "fp16"),
        (lambda x: x.nothing, ""),  # what cannot be traced shows nothing
    ],
)
def test_rounding_below_fp32_is_recognised(function: Callable[[Any], Any], named: str) -> None:
    assert narrow_arithmetic(traced_equations(function, [X])) == named
