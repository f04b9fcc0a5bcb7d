"""A machine that is measured on: it starts processes, and says of itself what a measurement has to know.

Nothing above knows which machine that is. What is compared with each other runs on one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from pydantic import JsonValue

from assay.bench.machine.disturbance import Disturbance, disturbance
from assay.bench.machine.fingerprint import fingerprint
from assay.bench.machine.machine import environment, probe_frameworks, usable_cores
from assay.fingerprint import Fingerprint
from assay.jobs.host import Starter
from assay.jobs.process import Here


class Host(Starter, Protocol):
    """A machine that is measured on."""

    def cores(self) -> tuple[int, ...]:
        """The cores that its processes may use."""

    def disturbance(self, cores: Sequence[int]) -> Disturbance:
        """What disturbs these cores, as counters that only grow."""

    def fingerprint(self) -> Fingerprint:
        """What its processor is."""

    def environment(self) -> dict[str, JsonValue]:
        """All that is worth recording of it with a measurement."""


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


def machine_facts(host: Host, names: Iterable[str] | None = None) -> dict[str, JsonValue]:
    """What is recorded of a machine with results: itself, and what frameworks say of themselves there."""
    frameworks: dict[str, JsonValue] = {name: dict(facts) for name, facts in probe_frameworks(host, names).items()}
    return host.environment() | {"frameworks": frameworks}
