"""The identity of a machine, beyond the name that its processor gives itself.

Clouds mask that name: "AMD EPYC Processor" stands for many processors, of different years, caches and speeds. What a
processor tells a program about its abilities (CPUID: family, model, stepping, flags) and what the system shows of it
cannot be masked without changing what programs do. `assay.bench.machine.fingerprint` reads a fingerprint; this module
records it and compares two of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from pydantic import Field, JsonValue, ValidationError

from assay.records.base import Record

FREQUENCY_SLACK = 0.01
"""The relative difference up to which nominal frequencies are the same: the system calibrates them at each start."""
SAME_FREQUENCY_MHZ, CALIBRATION_MHZ = 25, 10
KNOWN_TO_OLDER = ("name", "features", "hypervisor")


class Fingerprint(Record):
    """A machine's processor and the hypervisor between it and programs. A fact that the system does not show is empty.

    Attributes:
        name: the processor's name for itself, which a cloud may mask.
        vendor, family, model, stepping: from CPUID; on ARM the implementer, architecture, part and revision. Where
        cores differ, each value once, in ascending order.
        microcode: version of the microcode; a hypervisor may show one of its own.
        flags: the first 16 digits of the sha256 of all the processor's flags, sorted.
        features: the flags that matter to inference.
        caches: sizes by name, {"L1d": "48K", "L3": "32768K"}.
        nominal_mhz, most_mhz: frequency without and with turbo.
        hypervisor: name of the hypervisor as far as it tells, or "" where none is seen.
    """

    name: str
    vendor: str = ""
    family: str = ""
    model: str = ""
    stepping: str = ""
    microcode: str = ""
    flags: str = ""
    features: list[str] = Field(default_factory=list)
    caches: dict[str, str] = Field(default_factory=dict)
    nominal_mhz: float | None = None
    most_mhz: float | None = None
    hypervisor: str = ""

    @property
    def key(self) -> str:
        """A short key: the same on one machine from one start to the next, and different on another processor."""
        told = self.model_dump(mode="json") | {"nominal_mhz": _stable(self.nominal_mhz)}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def masked(self) -> bool:
        """Whether nothing but the name is known, so that another machine may have the same fingerprint."""
        return not (self.family or self.flags)

    @property
    def words(self) -> str:
        """The name, with whatever tells it from other processors of that name."""
        told = [f"{what} {text}" for what in ("family", "model", "stepping") if (text := getattr(self, what))]
        return f"{self.name} ({', '.join(told)})" if told else self.name


def fingerprint_in(environment: Mapping[str, JsonValue]) -> Fingerprint:
    """Return the fingerprint in a record's environment; for an older record, one made from what it says of its
    machine.
    """
    try:
        return Fingerprint.model_validate(environment["fingerprint"])
    except (KeyError, ValidationError):
        return Fingerprint.model_validate(told_by_older(environment))


def told_by_older(environment: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the fields of a fingerprint that an environment without one tells."""
    features, seen = environment.get("features"), str(environment.get("virtualisation") or "")
    return {
        "name": str(environment.get("processor") or "an unknown processor"),
        "features": [str(one) for one in features] if isinstance(features, list) else [],
        "hypervisor": next((part for part in seen.split(", ") if part.startswith("hypervisor")), ""),
    }


def differing(one: Fingerprint, other: Fingerprint) -> dict[str, tuple[str, str]]:
    """Return how two fingerprints differ, in words by field; empty if they may be the same machine.

    Where one of the two has no more than a name and features, only those are compared.
    """
    known = KNOWN_TO_OLDER if one.masked or other.masked else tuple(Fingerprint.model_fields)
    found = {}
    for name in known:
        ours, theirs = getattr(one, name), getattr(other, name)
        if not _same(ours, theirs, slack=FREQUENCY_SLACK if name == "nominal_mhz" else 0.0):
            found[name.replace("_mhz", " MHz")] = (_in_words(ours), _in_words(theirs))
    if set(found) == {"flags"}:
        found["flags"] = (f"flags of hash {one.flags}", f"flags of hash {other.flags}")
    return found


def machines_apart(one: Fingerprint, other: Fingerprint) -> tuple[str, str]:
    """Describe both machines: alike if they may be the same, else with what differs."""
    found = differing(one, other)
    if not found:
        return one.name, one.name
    more = [name for name in found if name != "name"]
    ours, theirs = (
        one.name + _bracketed([f"{name} {found[name][0]}" for name in more]),
        other.name + _bracketed([f"{name} {found[name][1]}" for name in more]),
    )
    return ours, theirs


def _bracketed(parts: list[str]) -> str:
    return f" ({', '.join(parts)})" if parts else ""


def _same(ours: object, theirs: object, slack: float) -> bool:
    """Return whether two values are the same; a value that one side does not show differs from nothing."""
    if ours in (None, "", [], {}) or theirs in (None, "", [], {}):
        return True
    if isinstance(ours, float) and isinstance(theirs, float):
        return abs(ours - theirs) <= slack * max(ours, theirs)
    return ours == theirs


def _in_words(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={size}" for name, size in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _stable(mhz: float | None) -> int | None:
    """Round a calibrated frequency so that no calibration crosses a step: frequencies fall a little short of 25 MHz."""
    return None if mhz is None else int((mhz + CALIBRATION_MHZ) // SAME_FREQUENCY_MHZ * SAME_FREQUENCY_MHZ)
