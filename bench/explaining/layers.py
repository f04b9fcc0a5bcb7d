"""The layer that an operator computes: found by its name if the framework kept it, else by its place. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from assay.infer.profile.timing import RecordedOperator
from assay.records.attribution import OperatorTime
from assay.spec import ModelSpec
from assay.train.architectures import parameters

NANOSECONDS_IN_MS = 1e6
COMPUTING = re.compile(r"conv|gemm|matmul|fullyconnected|linear|addmm|^dot|_dot", re.IGNORECASE)
How = Literal["", "name", "order"]


def computing_layers(spec: ModelSpec, framework: str) -> list[str]:
    """Return the layers that are a convolution or a matrix product, in the order in which a framework executes them.

    A residual block's shortcut comes after its units where the model says `units(x) + shortcut(x)`, as PyTorch's
    does, and before them in the models of TensorFlow and JAX.
    """
    layers = [p.module for p in parameters(spec) if p.role == "kernel"]
    return layers if framework == "torch" else _shortcuts_first(layers)


def _shortcuts_first(layers: list[str]) -> list[str]:
    """Return the same layers with each shortcut before the units of its block."""
    found: list[str] = []
    for layer in layers:
        block, shortcut, _ = layer.partition(".shortcut")
        place = next((i for i, other in enumerate(found) if shortcut and other.startswith(f"{block}.")), len(found))
        found.insert(place, layer)
    return found


def aligned(operators: Sequence[RecordedOperator], spec: ModelSpec | None, framework: str) -> list[OperatorTime]:
    """Return the operators with their layers and shares, the longest first, without those that took no time.

    A name that contains a canonical layer path determines the layer. Other operators are aligned by order, if there are
    exactly as many convolutions and products among them as the model has layers of that kind, and no name contradicts
    it; a runtime that fuses several layers into one operator has fewer, and its operators stay without a layer.
    """
    together = sum(operator.median_ns for operator in operators) or 1.0
    layers = computing_layers(spec, framework) if spec else []
    named = [_layer_in(operator.scope or operator.name, layers) for operator in operators]
    placed = _by_order(operators, layers)
    if any(name and place and name != place for name, place in zip(named, placed, strict=True)):
        placed = [""] * len(operators)
    found = []
    for operator, name, place in zip(operators, named, placed, strict=True):
        how: How = "name" if name else "order" if place else ""
        found.append(
            OperatorTime(
                name=operator.name,
                kind=operator.kind,
                layer=name or place,
                aligned_by=how,
                ms=operator.median_ns / NANOSECONDS_IN_MS,
                share=operator.median_ns / together,
            )
        )
    return sorted((one for one in found if one.ms > 0), key=lambda one: -one.ms)


def _layer_in(name: str, layers: Sequence[str]) -> str:
    """Return the layer whose path is in a name, whatever separates its parts; "" if there is none."""
    plain = re.sub(r"[/:]", ".", name)
    for layer in layers:
        if re.search(rf"(^|[^\w]){re.escape(layer)}(_\d+)?($|[^\w])", plain):
            return layer
    return ""


def _by_order(operators: Sequence[RecordedOperator], layers: Sequence[str]) -> list[str]:
    """Find a layer for each convolution and product by counting them; "" for all if the counts differ.

    The kind of an operator counts before its name, since an operator that rearranges a convolution's input may be named
    after it.
    """
    places = [i for i, one in enumerate(operators) if COMPUTING.search(one.kind)]
    if len(places) != len(layers):
        places = [i for i, one in enumerate(operators) if COMPUTING.search(one.kind) or COMPUTING.search(one.name)]
    if len(places) != len(layers):
        return [""] * len(operators)
    by_place = dict(zip(places, layers, strict=True))
    return [by_place.get(place, "") for place in range(len(operators))]
