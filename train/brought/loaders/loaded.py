"""The result of every loader of a user's model; one file for each framework, with `load(location) -> LoadedModel`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from assay.errors import AssayError
from assay.train.brought.libraries.made import MadeModel
from assay.train.brought.model import Declared

Array = NDArray[np.generic]
Compute = Callable[[Sequence[Array]], dict[str, Array]]
"""A function from inputs by position to outputs by name, as numpy arrays."""


Called = tuple[Compute, Callable[[], Compute]]
"""A model in its own precision, and a function that makes it in float64 or raises InputError where that is impossible;
the function is called last, because it may change the model.
"""


def _unbound(inputs: Sequence[Array]) -> dict[str, Array]:
    raise RuntimeError(f"{len(inputs)} inputs without names: see Loaded.bound")


@dataclass(frozen=True)
class Unordered:
    """An operator whose results come in no order that is defined, as it was called.

    Attributes:
        operator: its name, such as "aten::unique_dim".
        axis: the dimension along which they lie in its first output, its values.
        lines: whether each line along the axis has an order of its own; else all slices have one.
        others: whether each further output of the call has the places of values, as an index does; else it has a number
            for each value.
    """

    operator: str
    axis: int
    lines: bool = False
    others: tuple[bool, ...] = ()


class Lines(NamedTuple):
    """The lines of an output that come in no order that is defined: the number of the call of an operator that gives it
    and perhaps others, in the same order, and the dimension along which they lie.
    """

    call: int
    axis: int


@dataclass(frozen=True)
class LoadedModel:
    """A loaded model, to be called once it is `bound` to the names of its inputs.

    Attributes:
        declared: its inputs, if the file declares them; else empty.
        called: makes it callable with inputs of given names, in their order, without outputs of other given names, and
            with those of the inputs in bfloat16 that a third list names, if it has any; raises InputError where an
            input fits no argument.
        made: the object that a function or library made, with its usual inputs; None of a file.
        native: the model in its own precision.
        double: makes it in float64; see `Called`.
        double_by: names the programs that have computed it in float64, where that is not its own framework.
        random: names the operators that draw random numbers, if its file shows them.
        places: returns, for inputs of given names, the number of places of an index that is silently cut off at its
            limit; None where there is none.
        per_call: names the parts that choose a scale for each call from all of its rows: dynamic quantisation.
        by: names what ran a file that its usual runtime has no kernels for; "" where that did.
        narrow: returns, for inputs of given names, the precision below fp32 that it computes in: "fp16", "bf16", or "".
            Values that are only stored in a precision do not count. Like `places` and `training`, it may also be given
            the outputs that are left out and the inputs that are cast to bf16, `without` and `cast`.
        kernels: names the operators that computed when `narrow` looked, if the framework shows them, in the form
            "aten::softplus", or "aten::batch_norm(training)" with the arguments that choose a form of it.
        drawing: names those among them that draw random numbers, whatever seed the model sets.
        unordered: names those among them whose results come in no order that is defined.
        written: names the inputs to which its calls so far have written.
        in_lines: names the outputs that are such results, line by line; the first of a call has the values, unless only
            their places are an output.
        training: returns, for inputs of given names, the layers that compute as in training: with the statistics of the
            batch, or dropping numbers at random.
        told: sentences on how it was changed to be compared; its calls may add some.
        words: the texts to draw for inputs of text, by input: for each of their columns, or in one group for all.
    """

    declared: tuple[Declared, ...]
    called: Callable[..., Called]
    made: MadeModel | None = None
    native: Compute = _unbound
    double: Callable[[], Compute] = lambda: _unbound
    double_by: Callable[[], str] = str
    random: Callable[[], str] = str
    per_call: Callable[[], str] = str
    places: Callable[..., int | None] = lambda names, inputs, **_: None
    narrow: Callable[..., str] = lambda names, inputs, **_: ""
    by: Callable[[], str] = str
    kernels: Callable[[], tuple[str, ...]] = tuple
    drawing: Callable[[], tuple[str, ...]] = tuple
    unordered: Callable[[], tuple[Unordered, ...]] = tuple
    in_lines: Callable[[], Mapping[str, Lines]] = dict
    written: Callable[[], tuple[str, ...]] = tuple
    training: Callable[..., tuple[str, ...]] = lambda names, inputs, **_: ()
    told: Sequence[str] = ()
    words: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)

    @property
    def weights(self) -> str:
        """Where the weights of a library's model come from; "" of any other."""
        return self.made.weights if self.made else ""

    def usual(self, given: Sequence[Declared], arrays: Collection[str]) -> tuple[Declared, ...]:
        """Return the inputs that the file declares, or else those that are usual for the library's model where the user
        declares none; of those the ones for which the user has arrays, if any.
        """
        if self.declared or given or self.made is None:
            return self.declared
        return tuple(one for one in self.made.usual if not arrays or one.name in arrays)

    def layers_in_training(self, inputs: Sequence[Array]) -> tuple[str, ...]:
        """Return the layers that compute as in training in a call; none where nothing shows them."""
        try:
            return self.training(inputs)
        except AssayError:  # the model does not run with these inputs
            return ()

    def bound(self, names: Sequence[str], without: Sequence[str] = (), narrow: Sequence[str] = ()) -> LoadedModel:
        """Return the same model, ready to be called with inputs of these names.

        Args:
            without: outputs to leave out.
            narrow: inputs that it takes in bfloat16; they are given in float32.

        Raises:
            InputError: an input fits no argument of the model.
        """
        native, double = self.called(names, without, *([narrow] if narrow else []))
        return replace(
            self,
            native=native,
            double=double,
            narrow=partial(self.narrow, without=without, cast=narrow),
            places=partial(self.places, without=without, cast=narrow),
            training=partial(self.training, names, without=without, cast=narrow),
        )
