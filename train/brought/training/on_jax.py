"""The layers of a JAX model that compute as in training, of Flax, Equinox, Haiku or the user's own: those from which a
call takes the mean of numbers, or draws some.

A jaxpr does not name layers, and a module of Flax NNX that changes its statistics cannot be traced, so the functions
that a call enters are watched.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType

import jax

LAYER = re.compile(r"\w*(batch_?norm|dropout)(\dd)?", re.IGNORECASE)
ENTERED = {"mean", "var", "pmean", "bernoulli"}
"""Functions of JAX by which such a layer gets the statistics of a batch, or draws which numbers it drops."""
OF_JAX = f"{Path(jax.__file__).parent}/"
OF_LIBRARIES = tuple(f"{sysconfig.get_path(name)}/" for name in ("stdlib", "purelib", "platlib"))


def layers_in_training(call: Callable[[], object]) -> tuple[str, ...]:
    """Return the layers, "BatchNorm (net.py, line 12)".

    Args:
        call: calls the model; errors are not reported.
    """
    found = dict[str, None]()

    def watch(frame: FrameType, event: str, argument: object) -> None:
        del argument
        if event == "call" and frame.f_code.co_name in ENTERED and frame.f_code.co_filename.startswith(OF_JAX):
            found.update(dict.fromkeys(_layer_around(frame)))

    jax.clear_caches()  # a function that is compiled already is not entered
    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        with suppress(Exception):  # the user's code may raise anything, and has shown its layers until then
            call()
    finally:
        sys.setprofile(before)
    return tuple(found)


def _layer_around(frame: FrameType) -> Iterator[str]:
    """Yield the layer that a function was called from, if it is one of those: the nearest object that was called, or a
    function of such a name.
    """
    around = [one for one in _outwards(frame) if not one.f_code.co_filename.startswith(OF_JAX)]
    for place, one in enumerate(around):
        name = one.f_code.co_name
        is_object = name == "__call__"
        if is_object:
            name = one.f_code.co_qualname.rpartition(".")[0].rpartition(".")[2]
        if LAYER.fullmatch(name):
            own = (each for each in around[place:] if not each.f_code.co_filename.startswith(OF_LIBRARIES))
            users = next(own, one)
            yield f"{name} ({Path(users.f_code.co_filename).name}, line {users.f_lineno})"
        if is_object or LAYER.fullmatch(name):
            return


def _outwards(frame: FrameType) -> Iterator[FrameType]:
    around = frame.f_back
    while around is not None:
        yield around
        around = around.f_back
