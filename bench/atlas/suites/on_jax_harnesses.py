"""JAX's table of uses of its primitives, `jax._src.internal_test_util.test_harnesses`; an operator is a group there.

jax2tf's tool environment has an older JAX, in which a harness of the same name is exported.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from assay.bench.atlas.ready import FOR_CHECKS, frozen, imported
from assay.bench.atlas.suites.suite import NUMPYS_OWN, Sample, spread
from assay.errors import InputError, NotInstalledError
from assay.export.routes.from_jax2tf import serve_conversions

importlib.import_module("jax._src.test_util")
jax.config.update("jax_test_dut", "cpu")  # else JAX begins, with its threads, where the harnesses are imported
HARNESSES = importlib.import_module("jax._src.internal_test_util.test_harnesses")
LATER = ("flax.nnx", "jax2onnx", "assay.export.routes.from_jax", "assay.train.brought.loaders.on_jax", *FOR_CHECKS)
"""Modules that an export and the check of a file import."""
PLUGINS = ("jax", "flax")
INSTEAD = ("int32", "bool", "uint32")
"""Data types in which a group without the one that is asked for is tried, in this order."""
MOST_READ = 200
"""The harnesses of a group that are looked at; some groups have hundreds."""
SEED = 0
MODEL = '''"""{name} of JAX's primitive harnesses. It needs jax and absl-py, and nothing else."""

import numpy as np
from jax._src.internal_test_util.test_harnesses import all_harnesses

NAMED = [one for one in all_harnesses if one.fullname == {name!r}]
assert NAMED, "this version of JAX has no harness {name}"
GIVEN, REST = {places}, NAMED[0].dyn_args_maker(np.random.RandomState({seed}))


def operator({names}):
    given = dict(zip(GIVEN, ({names},)))
    return NAMED[0].dyn_fun(*(given.get(place, one) for place, one in enumerate(REST)))
'''


@functools.cache
def prepare() -> None:
    """See `assay.bench.atlas.suites.suite.Reader`. JAX itself begins in each fork, as it has threads from then on."""
    imported(*LATER)
    with contextlib.suppress(NotInstalledError):
        serve_conversions()
    frozen()


def _import_plugins() -> None:
    """Import the plugins of jax2onnx for JAX and Flax, which compute while they are imported; those for other libraries
    compile whole layers, which takes seconds in each fork.
    """
    system: Any = importlib.import_module("jax2onnx.plugins.plugin_system")
    for name in PLUGINS:
        system._import_tree(Path(system.__file__).parent / name, f"jax2onnx.plugins.{name}")
    system._already_imported_plugins = True


def operators(dtype: str) -> list[str]:
    """See `assay.bench.atlas.suites.suite.Reader`; a group that has none of this type has its own."""
    del dtype
    return sorted(_groups())


def samples(operator: str, dtype: str, most: int) -> Iterator[Sample]:
    """See `assay.bench.atlas.suites.suite.SampleReader`."""
    with contextlib.suppress(ImportError):  # the route will report it
        _import_plugins()
    group = _groups().get(operator)
    if group is None:
        raise InputError("JAX's primitive harnesses have no such group", found=operator)
    for kind in dict.fromkeys((dtype, *INSTEAD)):
        asked = [(place, one) for place, one in enumerate(group) if np.dtype(one.dtype).name == kind][:MOST_READ]
        if found := [sample for place, one in asked if (sample := _sample(place, one))]:
            yield from spread(found, most)
            return


def _sample(place: int, harness: Any) -> Sample | None:
    """Return a harness as a sample; None where it takes no array, or one of a type that NumPy lacks."""
    given = harness.dyn_args_maker(np.random.RandomState(SEED))
    arrays = {
        at: np.asarray(one).astype(jax.dtypes.canonicalize_dtype(one.dtype))
        for at, one in enumerate(given)
        if isinstance(one, np.ndarray | np.generic | jax.Array)
    }
    if not arrays or any(one.dtype.isbuiltin != NUMPYS_OWN or one.dtype.kind == "c" for one in arrays.values()):
        return None
    names = [f"x{number}" for number in range(len(arrays))]
    text = MODEL.format(name=harness.fullname, places=tuple(arrays), seed=SEED, names=", ".join(names))
    return Sample(place, {"model.py": text.encode()}, dict(zip(names, arrays.values(), strict=True)))


@functools.cache
def _groups() -> Mapping[str, Sequence[Any]]:
    """Return the harnesses that JAX implements on a processor, by group, each name once, in the order of the names."""
    found: dict[str, dict[str, Any]] = {}
    for one in HARNESSES.all_harnesses:
        if one.filter("cpu"):
            found.setdefault(one.group_name, {}).setdefault(one.fullname, one)
    return {group: [some[name] for name in sorted(some)] for group, some in found.items()}
