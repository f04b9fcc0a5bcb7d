"""The device and precision that a session computed in, as a call of it shows: facts, not requests.

Each framework has its own way to look (`on_*_observed.py`). The precision is that of the arithmetic that does a
network's work, products of matrices and convolutions; in a model without any, it is that of the other operations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from assay.numerics.precisions import counted_in_words, least_exact, precision_named

NODES_ON_CPU = "nodes on the CPU"
"""The fact that names the nodes of a file which ONNX Runtime left on the CPU, where its session is on a GPU."""


@dataclass(frozen=True)
class Observed:
    """The findings of one observed call of a session.

    Attributes:
        device: "cpu", "cuda", or "cpu and cuda"; "" if unknown.
        precision: precision of its least exact arithmetic, as `assay.numerics.precisions` names it; "" if unknown. Its
            numbers are no more exact than that.
        computed: precision of its kernels, where that differs: a file in fp16 may be computed in fp32.
        model: precision of the model's file, where there is one; the kernels should be no less exact.
        facts: other facts worth recording, such as whether TF32 was allowed.
    """

    device: str = ""
    precision: str = ""
    computed: str = ""
    model: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


def observed_of(
    arithmetic: Mapping[str, int], others: Mapping[str, int], devices: Iterable[str], facts: Mapping[str, str]
) -> Observed:
    """Derive the findings from counts of operations by precision.

    Args:
        arithmetic: counts of products of matrices, convolutions and operations made of them.
        others: counts of all other operations on floating-point numbers.
        devices: devices by any framework's name, such as "cuda:0" or "gpu".
    """
    told = {
        "arithmetic in": counted_in_words(arithmetic),
        "other operations in": counted_in_words(others),
    }
    return Observed(
        device=" and ".join(sorted({device_named(one) for one in devices if one})),
        precision=least_exact(arithmetic) or least_exact(others),
        facts=dict(facts) | {name: text for name, text in told.items() if text},
    )


def of_each(tensors: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the type and device of each tensor, as a fact to record; nothing where all are alike.

    Args:
        tensors: outputs of a call, in their order, each a type and a device by any framework's name.
    """
    found = [f"{precision_named(kind) or kind} on {device_named(device)}" for kind, device in tensors]
    told = ", ".join(f"output {place}: {one}" for place, one in enumerate(found))
    return {"outputs": told} if len(set(found)) > 1 else {}


def not_as_asked(asked_device: str, asked_precision: str, device: str, computed: str) -> list[str]:
    """Return why the result answers another question than the one asked, in words.

    Args:
        asked_device, asked_precision: "" if not requested; likewise `device` and `computed` if unknown.
    """
    found = []
    if asked_device and device and device != asked_device:
        found.append(f"ran on {device}: {asked_device} was requested")
    if asked_precision and computed and computed != asked_precision:
        found.append(f"computed in {computed}: {asked_precision} was requested")
    return found


def device_named(text: str) -> str:
    """Return "cpu" or "cuda" for a framework's name of such a device, else the name as it is."""
    name = text.rpartition("device:")[2].partition(":")[0].lower()
    return "cuda" if name in {"gpu", "cuda", "rocm"} else name


def with_tf32(counts: Mapping[str, int], *, allowed: bool, device: str) -> dict[str, int]:
    """Return counts in which fp32 becomes TF32 where a GPU may compute it so; a CPU has no TF32."""
    if not (allowed and device == "cuda"):
        return dict(counts)
    found = {name: count for name, count in counts.items() if name != "fp32"}
    return found | ({"tf32": counts["fp32"]} if counts.get("fp32") else {})
