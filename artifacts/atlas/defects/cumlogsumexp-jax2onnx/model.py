"""cumlogsumexp_axis_by_fun_shape_float32_8_9_associative_scan_reductions_axis_0_reverse_False of JAX's primitive harnesses. It needs jax and absl-py, and nothing else."""

import numpy as np
from jax._src.internal_test_util.test_harnesses import all_harnesses

NAMED = [one for one in all_harnesses if one.fullname == 'cumlogsumexp_axis_by_fun_shape_float32_8_9_associative_scan_reductions_axis_0_reverse_False']
assert NAMED, "this version of JAX has no harness cumlogsumexp_axis_by_fun_shape_float32_8_9_associative_scan_reductions_axis_0_reverse_False"
GIVEN, REST = (0,), NAMED[0].dyn_args_maker(np.random.RandomState(0))


def operator(x0):
    given = dict(zip(GIVEN, (x0,)))
    return NAMED[0].dyn_fun(*(given.get(place, one) for place, one in enumerate(REST)))
