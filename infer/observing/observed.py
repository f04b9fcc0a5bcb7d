"""Where a session computed and in what, as a call of it shows: facts beside its times, not what was asked for.

Each framework has its own way to look (`on_*_observed.py`). What decides is the arithmetic that does a network's work,
products of matrices and convolutions; a model that has none is what its other operations are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from assay.numerics.precisions import counted_in_words, least_exact, precision_named


@dataclass(frozen=True)
class Observed:
    """What one call of a session showed.

    Attributes:
        device: "cpu", "cuda", or "cpu and cuda"; "" where it cannot be seen.
        precision: of its least exact arithmetic, as `assay.numerics.precisions` names it; "" where it cannot be seen.
            Its
            numbers are no more exact.
        computed: what its kernels computed in, where that is not the same: a file in fp16 may be computed in fp32.
        model: what the model's file says, where there is one; what it is computed in should be no less.
        facts: what else is worth recording, such as whether TF32 was allowed.
    """

    device: str = ""
    precision: str = ""
    computed: str = ""
    model: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


def observed_of(
    arithmetic: Mapping[str, int], others: Mapping[str, int], devices: Iterable[str], facts: Mapping[str, str]
) -> Observed:
    """From counts of operations by precision.

    Args:
        arithmetic: products of matrices, convolutions and what consists of them.
        others: all other operations on floating-point numbers.
        devices: by any framework's name, "cuda:0" or "gpu".
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
    """What each tensor is in and where, as a fact to record; none where all are alike.

    Args:
        tensors: that came out of a call, in their order, each a type and a device by any framework's name.
    """
    found = [f"{precision_named(kind) or kind} on {device_named(device)}" for kind, device in tensors]
    told = ", ".join(f"output {place}: {one}" for place, one in enumerate(found))
    return {"outputs": told} if len(set(found)) > 1 else {}


def not_as_asked(asked_device: str, asked_precision: str, device: str, computed: str) -> list[str]:
    """Why what was computed answers another question than was asked, in words.

    Args:
        asked_device, asked_precision: "" where nothing was asked for; `device` and `computed` where nothing was seen.
    """
    found = []
    if asked_device and device and device != asked_device:
        found.append(f"ran on {device}: {asked_device} was asked for")
    if asked_precision and computed and computed != asked_precision:
        found.append(f"computed in {computed}: {asked_precision} was asked for")
    return found


def device_named(text: str) -> str:
    """ "cpu" or "cuda" of a framework's name for a device, else the name as it is."""
    name = text.rpartition("device:")[2].partition(":")[0].lower()
    return "cuda" if name in {"gpu", "cuda", "rocm"} else name


def with_tf32(counts: Mapping[str, int], *, allowed: bool, device: str) -> dict[str, int]:
    """Counts in which fp32 is TF32 where a GPU is allowed to compute it so; a CPU has none."""
    if not (allowed and device == "cuda"):
        return dict(counts)
    found = {name: count for name, count in counts.items() if name != "fp32"}
    return found | ({"tf32": counts["fp32"]} if counts.get("fp32") else {})
