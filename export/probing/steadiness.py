"""A check of whether a user's model gives the same answer to the same input, before anything is concluded from one.

A model that answers differently is random or keeps a state. It is random if it gives the same answers from the same
random seed. It keeps a state if a freshly loaded model begins with the first answer again; a random generator that
belongs to the model, as in Keras' layers, is such a state too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.errors import AssayError, InputError
from assay.numerics.values import difference
from assay.train.brought.loaders.loaded import Compute
from assay.train.brought.model import Location
from assay.train.brought.source import forget, seed_all
from assay.train.brought.training.words import IN_FILE, as_in_training, out_of_training

Array = NDArray[np.generic]
Outputs = Mapping[str, Array]

OFTEN = 3
RANDOM, STATE, EITHER = "draws random numbers", "keeps a state", "is random or keeps a state"
EXPECTED = "the same answer to the same input, since runtimes could not be compared otherwise"
REMEDIES = {
    RANDOM: "Switch randomness off outside training: dropout(x, training=self.training) in PyTorch, training=False in "
    "Keras, deterministic=True in Flax; random numbers that are needed can become an input",
    STATE: "Make the state an input and the new state an output; if it is a random "
    "number generator, as in a Keras layer called with training=True, leave that out",
    EITHER: "Give a model that is a function of its inputs alone",
}


@dataclass(frozen=True)
class SteadinessCheck:
    """The means to ask a model again.

    Attributes:
        native: the model that has been called.
        again: loads it afresh.
        random: returns the operators that draw random numbers, if its file shows them, else "".
        training: returns the layers that compute as in training, for inputs of a call.
    """

    location: Location
    native: Compute
    again: Callable[[], Compute]
    random: Callable[[], str]
    training: Callable[[Sequence[Array]], tuple[str, ...]] = lambda inputs: ()

    def check(self, inputs: Sequence[Array], first: Outputs, *, is_first_call: bool = False) -> None:
        """Call the model with the same inputs once more.

        Args:
            first: its earlier answer.
            is_first_call: whether that was its first call.

        Raises:
            InputError: the answer differs.
        """
        second = self.native(inputs)
        apart = difference(first, second)
        if not apart:
            return
        what = self._cause(inputs, first if is_first_call else None)
        operators, layers = self.random(), self.training(inputs)
        named = operators or (as_in_training(layers) if layers else "")
        raise InputError(
            f"{self.location} answers the same input differently from call to call: it "
            + (RANDOM if operators else what)
            + (f" ({named})" if named else ""),
            expected=EXPECTED,
            found=apart,
            remedy=IN_FILE if operators else out_of_training(self.location) if layers else REMEDIES[what],
        )

    def check_often(self, inputs: Sequence[Array]) -> None:
        """Check several times, for models that are seldom random; errors are those of `check`."""
        for _ in range(OFTEN):
            self.check(inputs, self.native(inputs))

    def _cause(self, inputs: Sequence[Array], first: Outputs | None) -> str:
        try:
            seed_all(0)
            one = self.native(inputs)
            seed_all(0)
            if not difference(one, self.native(inputs)):
                return RANDOM
            if first is None:
                first = self._from_the_start(inputs, seed=0)  # a state that counts calls begins again
            return EITHER if difference(first, self._from_the_start(inputs, seed=1)) else STATE
        except AssayError:  # a state may have run out
            return EITHER

    def _from_the_start(self, inputs: Sequence[Array], seed: int) -> Outputs:
        forget(self.location.path)
        fresh = self.again()
        seed_all(seed)
        return fresh(inputs)
