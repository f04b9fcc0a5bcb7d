"""One node of ONNX written out as several of the standard; what writes each operator out is beside this."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

Array = NDArray[Any]


class NotFixedError(Exception):
    """A weight is computed, so that what it stands for is not known."""


@dataclass(frozen=True)
class WritingOut:
    """The nodes that take the place of one.

    Attributes:
        fixed: weights and constants by name.
        opset: version of the standard's operators.
        nodes: the nodes so far, in order.
    """

    node: NodeProto
    fixed: Mapping[str, TensorProto]
    opset: int
    nodes: list[NodeProto] = field(default_factory=list)

    def input(self, place: int) -> str:
        """The name of an input; "" where it is left out."""
        return self.node.input[place] if place < len(self.node.input) else ""

    def array(self, place: int) -> Array | None:
        """A weight or constant; None where the input is left out.

        Raises:
            NotFixedError: it is computed.
        """
        name = self.input(place)
        if not name:
            return None
        if name not in self.fixed:
            raise NotFixedError
        found: Array = numpy_helper.to_array(self.fixed[name])
        return found

    def attribute(self, name: str, default: Any) -> Any:
        """Return the value of an attribute of the node, or the default of the standard."""
        return next((helper.get_attribute_value(one) for one in self.node.attribute if one.name == name), default)

    def call(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node of the standard, and return the name of its result."""
        output = output or f"{self.node.output[0]}: {operator} {len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def same(self, operator: str, *inputs: str, output: str = "", without: Iterable[str] = ()) -> str:
        """Add a node with the attributes of the one that is written out, but for some."""
        found = self.call(operator, *inputs, output=output)
        self.nodes[-1].attribute.extend(one for one in self.node.attribute if one.name not in without)
        return found

    def constant(self, values: Array | float) -> str:
        """Add a constant, and return its name."""
        tensor = numpy_helper.from_array(np.asarray(values))
        found = self.call("Constant")
        self.nodes[-1].attribute.append(helper.make_attribute("value", tensor))
        return found

    def real(self, place: int, scale: int | None = None, zero: int | None = None, axis: int | None = None) -> str:
        """Add the numbers that an integer input stands for, by the places of its scale and zero point.

        Args:
            axis: dimension along which a scale for each entry lies; None where there is one scale for all.
        """
        factor = self.constant(np.float64(1)) if scale is None else self.input(scale)
        offset = "" if zero is None else self.input(zero)
        along: dict[str, Any] = {} if axis is None else {"axis": axis}
        return self.call("DequantizeLinear", self.input(place), factor, *([offset] if offset else []), **along)

    def quantised(self, value: str, scale: int, zero: int) -> None:
        """Add the node's result in steps of its scale."""
        offset = self.input(zero)
        given = [self.input(scale), *([offset] if offset else [])]
        self.call("QuantizeLinear", value, *given, output=self.node.output[0])
