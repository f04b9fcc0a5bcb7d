"""ONNX's own cases for backends, `onnx.backend.test.case`, with the outputs that the standard expects.

Cases are gathered by operator; those of whole models, such as PyTorch's converted modules, by their collection. Models
whose weights would have to be fetched are left out.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

from assay.bench.atlas.ready import FOR_CHECKS, frozen, imported
from assay.bench.atlas.suites.suite import BackendCase

COLLECTIONS = ("simple", "pytorch-operator", "pytorch-converted")
"""Collections of whole models, each with inputs and outputs in files."""


@functools.cache
def prepare() -> None:
    """See `assay.bench.atlas.suites.suite.Reader`."""
    imported(*FOR_CHECKS)
    _by_operator()
    frozen()


def operators(dtype: str) -> list[str]:
    """See `assay.bench.atlas.suites.suite.Reader`; a case has its own data types."""
    del dtype
    return sorted(_by_operator())


def cases(operator: str) -> Iterator[BackendCase]:
    """See `assay.bench.atlas.suites.suite.CaseReader`."""
    for place, found in enumerate(_by_operator()[operator]):
        model = found.model or onnx.load(Path(found.model_dir) / "model.onnx")
        sets = found.data_sets or [_read_set(Path(found.model_dir) / "test_data_set_0", model)]
        inputs, outputs = sets[0]
        yield BackendCase(
            place=place,
            name=found.name,
            model=model.SerializeToString(),
            inputs=[_plain(one) for one in inputs],
            outputs=[_plain(one) for one in outputs],
            relative=found.rtol,
            absolute=found.atol,
            is_random=_is_random(model),
        )


@functools.cache
def _by_operator() -> Mapping[str, list[Any]]:
    """Return all cases by the operator that they are for: an expanded one belongs to that which it expands."""
    found: dict[str, list[Any]] = {}
    named: dict[str, str] = {}
    for one in load_model_tests(kind="node"):
        whole = one.name.partition("_expanded")[0]
        named.setdefault(whole, one.model.graph.node[0].op_type)
        found.setdefault(named[whole], []).append(one)
    for kind in COLLECTIONS:
        found |= {kind: sorted(load_model_tests(kind=kind), key=lambda one: one.name)}
    return found


def _read_set(folder: Path, model: onnx.ModelProto) -> tuple[list[Any], list[Any]]:
    fixed = {one.name for one in model.graph.initializer}
    inputs = [one for one in model.graph.input if one.name not in fixed]
    return (
        [_read(folder / f"input_{place}.pb", one.type) for place, one in enumerate(inputs)],
        [_read(folder / f"output_{place}.pb", one.type) for place, one in enumerate(model.graph.output)],
    )


def _read(path: Path, kind: onnx.TypeProto) -> Any:
    content = path.read_bytes()
    if kind.HasField("sequence_type"):
        return numpy_helper.to_list(onnx.SequenceProto.FromString(content))
    if kind.HasField("optional_type"):
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(content))
    return numpy_helper.to_array(onnx.TensorProto.FromString(content))


def _plain(value: Any) -> Any:
    """Return an array, a list of arrays, or None; a case may have any of these as a message."""
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if value is None else np.asarray(value)


def _is_random(model: onnx.ModelProto) -> bool:
    """Return whether an operator of the model is one that the standard calls not deterministic."""
    versions = {one.domain or "": one.version for one in model.opset_import}
    return any(_draws(node, versions) for node in model.graph.node)


def _draws(node: onnx.NodeProto, versions: Mapping[str, int]) -> bool:
    domain = "" if node.domain == "ai.onnx" else node.domain
    if not onnx.defs.has(node.op_type, domain):
        return False
    schema = onnx.defs.get_schema(node.op_type, versions.get(domain, 1), domain)
    kinds = onnx.defs.OpSchema.NodeDeterminism
    if node.op_type == "Dropout":  # it draws in training mode alone, which an input asks for
        return len(node.input) > 2
    return bool(schema.node_determinism == kinds.NonDeterministic)
