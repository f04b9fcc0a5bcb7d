"""gather_from_take_indices_name_4_axis_1_enable_xla_False_mode_fill of JAX's primitive harnesses. It needs jax and absl-py, and nothing else."""

import numpy as np
from jax._src.internal_test_util.test_harnesses import all_harnesses

NAMED = [one for one in all_harnesses if one.fullname == 'gather_from_take_indices_name_4_axis_1_enable_xla_False_mode_fill']
assert NAMED, "this version of JAX has no harness gather_from_take_indices_name_4_axis_1_enable_xla_False_mode_fill"
GIVEN, REST = (0, 1), NAMED[0].dyn_args_maker(np.random.RandomState(0))


def operator(x0, x1):
    given = dict(zip(GIVEN, (x0, x1,)))
    return NAMED[0].dyn_fun(*(given.get(place, one) for place, one in enumerate(REST)))
