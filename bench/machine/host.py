"""A machine for measurements: it starts processes, and describes itself as far as a measurement needs. No caller knows
which machine that is. Things that are compared with each other run on the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from pydantic import JsonValue

from assay.bench.machine.disturbance import Disturbance, disturbance
from assay.bench.machine.fingerprint import fingerprint
from assay.bench.machine.machine import environment, probe_frameworks, usable_cores
from assay.errors import InputError
from assay.fingerprint import Fingerprint
from assay.jobs.host import Starter
from assay.jobs.process import Here


class Host(Starter, Protocol):
    """A machine for measurements."""

    def cores(self) -> tuple[int, ...]:
        """Return the cores that its processes may use."""

    def disturbance(self, cores: Sequence[int]) -> Disturbance:
        """Return the disturbances of these cores, as counters that only grow."""

    def fingerprint(self) -> Fingerprint:
        """Return the fingerprint of its processor."""

    def environment(self) -> dict[str, JsonValue]:
        """Return all that is worth recording about it with a measurement."""


class LocalHost(Here):
    """This machine."""

    def cores(self) -> tuple[int, ...]:
        """See `Host`."""
        return usable_cores()

    def disturbance(self, cores: Sequence[int]) -> Disturbance:
        """See `Host`."""
        return disturbance(cores)

    def fingerprint(self) -> Fingerprint:
        """See `Host`."""
        return fingerprint()

    def environment(self) -> dict[str, JsonValue]:
        """See `Host`."""
        return environment()


LOCAL = LocalHost()


def check_gpu(asking: str, host: Host, remedy: str) -> None:
    """
    Raises:
        InputError: the machine has no GPU, which a setting or an option asks for.
    """
    if not host.environment().get("gpus"):
        raise InputError(
            f"{asking} asks for a GPU",
            expected="one of NVIDIA's, as nvidia-smi or the driver lists it",
            found="none",
            remedy=remedy,
        )


def machine_facts(host: Host, names: Iterable[str] | None = None) -> dict[str, JsonValue]:
    """Return the facts recorded with results: the machine, and the frameworks' facts about themselves there."""
    return with_frameworks(host, probe_frameworks(host, names))


def with_frameworks(host: Host, probed: Mapping[str, Mapping[str, str]]) -> dict[str, JsonValue]:
    """The same, where frameworks have been asked already."""
    frameworks: dict[str, JsonValue] = {name: dict(facts) for name, facts in probed.items()}
    return host.environment() | {"frameworks": frameworks}
