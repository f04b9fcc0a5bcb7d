"""The nodes of an ONNX graph in an order in which they can be computed, which ONNX demands and some tools do not
keep.
"""

from __future__ import annotations

from collections import deque

from onnx import GraphProto, NodeProto


def put_in_order(graph: GraphProto) -> None:
    """Sort the nodes of a graph, and of the graphs inside, where a node precedes one that it depends on; in place.

    Nodes that are in order stay in it. Those of a cycle stay where they are, for whatever runs the file to refuse.
    """
    for node in graph.node:
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                put_in_order(inner)
    maker = {name: place for place, node in enumerate(graph.node) for name in node.output if name}
    needs = [{maker[name] for name in names_read(node) if name in maker} for node in graph.node]
    if all(place > other for place, others in enumerate(needs) for other in others):
        return
    order = _sorted(needs)
    if len(order) == len(needs):
        nodes = [NodeProto.FromString(graph.node[place].SerializeToString()) for place in order]
        del graph.node[:]
        graph.node.extend(nodes)


def _sorted(needs: list[set[int]]) -> list[int]:
    """Return places in an order in which each comes after those it needs; those of a cycle are missing."""
    readers: list[list[int]] = [[] for _ in needs]
    for place, others in enumerate(needs):
        for other in others:
            readers[other].append(place)
    open_needs = [len(others) for others in needs]
    ready, found = deque(place for place, count in enumerate(open_needs) if not count), []
    while ready:
        place = ready.popleft()
        found.append(place)
        for reader in readers[place]:
            open_needs[reader] -= 1
            if not open_needs[reader]:
                ready.append(reader)
    return found


def names_read(node: NodeProto) -> set[str]:
    """Return the names of the values that a node reads, including those read inside its own graphs."""
    found = set(node.input)
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            found |= {one.name for one in inner.output}
            for other in inner.node:
                found |= names_read(other)
    return found
