"""log1p_shape_float32_20_20_ of JAX's primitive harnesses. It needs jax and absl-py, and nothing else."""

import numpy as np
from jax._src.internal_test_util.test_harnesses import all_harnesses

NAMED = [one for one in all_harnesses if one.fullname == 'log1p_shape_float32_20_20_']
assert NAMED, "this version of JAX has no harness log1p_shape_float32_20_20_"
GIVEN, REST = (0,), NAMED[0].dyn_args_maker(np.random.RandomState(0))


def operator(x0):
    given = dict(zip(GIVEN, (x0,)))
    return NAMED[0].dyn_fun(*(given.get(place, one) for place, one in enumerate(REST)))
