"""regularized_incomplete_beta__float32 of JAX's primitive harnesses. It needs jax and absl-py, and nothing else."""

import numpy as np
from jax._src.internal_test_util.test_harnesses import all_harnesses

NAMED = [one for one in all_harnesses if one.fullname == 'regularized_incomplete_beta__float32']
assert NAMED, "this version of JAX has no harness regularized_incomplete_beta__float32"
GIVEN, REST = (0, 1, 2), NAMED[0].dyn_args_maker(np.random.RandomState(0))


def operator(x0, x1, x2):
    given = dict(zip(GIVEN, (x0, x1, x2,)))
    return NAMED[0].dyn_fun(*(given.get(place, one) for place, one in enumerate(REST)))
