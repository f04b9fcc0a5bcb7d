"""Which kind of machine something was measured on, and which machine of that kind: `assay.bench.machine.kind` reads it.

Machines of a kind are alike in everything that is known to decide how fast they compute; what still differs between
them is what a second machine of the kind shows. Who a machine is stands apart from what it is: two of a kind have two
identities, and one that was started again has its old identity and another boot.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping

from pydantic import Field, JsonValue, ValidationError

from assay.fingerprint import Fingerprint, fingerprint_in
from assay.records.base import Record

KIND, IDENTITY = "kind", "identity"
"""The entries of a record's environment."""
KEY_CHARACTERS = 16
LEAST_OF_A_KEY = 6
"""Fewest characters of a key or an identity that stand for it: fewer may be those of several."""
STEPS_IN_A_DOUBLING = 8
"""Memory counts in steps of an eighth of the power of two below it: a kernel keeps less than such a step to itself,
more on one start than on another, and machines that are sold as different differ by more.
"""


class MachineKind(Record):
    """Everything that decides a machine's speed; None or empty where the system does not show it.

    Attributes:
        processor: its fingerprint, with the hypervisor before it.
        cores: hardware threads that Assay may use.
        threads_per_core: hardware threads that share a physical core; 1 without SMT.
        numa_nodes: memories that are nearer to some cores than to others.
        memory_gib: memory that Assay may use, of the machine or of its container.
        core_quota: processor time that a container gets, in cores, where it has a limit.
        instance_type: name under which a cloud sells it.
        gpus: name and driver of each GPU.
    """

    processor: Fingerprint
    cores: int = Field(ge=1)
    threads_per_core: int | None = None
    numa_nodes: int | None = None
    memory_gib: float | None = None
    core_quota: float | None = None
    instance_type: str = ""
    gpus: list[str] = Field(default_factory=list)

    @property
    def key(self) -> str:
        """One word for it: equal for two machines of a kind, and for one machine from one start to the next."""
        told = self.model_dump(mode="json", exclude={"processor"}) | {
            "processor": self.processor.key,
            "memory_gib": nominal_gib(self.memory_gib),
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:KEY_CHARACTERS]

    @property
    def short_key(self) -> str:
        """The fewest characters of the key that name the kind, as people are shown it."""
        return self.key[:LEAST_OF_A_KEY]

    @property
    def words(self) -> str:
        """ "c7i.large: Intel Xeon 8488C, 2 cores, 4 GiB"."""
        memory = nominal_gib(self.memory_gib)
        cores = f"{self.cores} core{'' if self.cores == 1 else 's'}"
        quota = f" of which {self.core_quota:g} may work at a time" if self.core_quota else ""
        parts = [self.processor.name, cores + quota, *([f"{memory:g} GiB"] if memory else []), *self.gpus]
        return f"{self.instance_type}: {', '.join(parts)}" if self.instance_type else ", ".join(parts)


class MachineIdentity(Record):
    """The machine's identity, as hashes that reveal no name; empty where the system does not give it.

    Attributes:
        machine: hash that stays the same from one start to the next.
        boot: hash that changes with each start.
    """

    machine: str = ""
    boot: str = ""


def kind_in(environment: Mapping[str, JsonValue]) -> MachineKind:
    """Return the kind of machine in a record's environment; for older records, as far as they describe it."""
    told = environment.get(KIND)
    given = told if isinstance(told, dict) else _told_by_older(environment)
    processor = fingerprint_in(environment)
    try:
        return MachineKind.model_validate({**given, "processor": processor})
    except ValidationError:  # what somebody wrote by hand: the processor is known all the same
        return MachineKind(processor=processor, cores=1)


def identity_in(environment: Mapping[str, JsonValue]) -> MachineIdentity:
    """Return the identity of a record's machine; empty in older ones."""
    try:
        return MachineIdentity.model_validate(environment.get(IDENTITY, {}))
    except ValidationError:
        return MachineIdentity()


def short_names(kinds: Iterable[MachineKind]) -> dict[str, str]:
    """By key, what each kind is called beside the others: its instance type, else its processor, cores and memory; and
    where that is not unique, the beginning of its key too.
    """
    by_key = {kind.key: kind for kind in kinds}
    names = {key: kind.instance_type or kind.words for key, kind in by_key.items()}
    shared = [name for name in names.values() if list(names.values()).count(name) > 1]
    return {key: f"{name} ({by_key[key].short_key})" if name in shared else name for key, name in names.items()}


def nominal_gib(memory_gib: float | None) -> float | None:
    """Return the memory that a machine is sold with, from the somewhat smaller one that its system shows."""
    if memory_gib is None or memory_gib <= 0:
        return None
    step = 2.0 ** math.floor(math.log2(memory_gib)) / STEPS_IN_A_DOUBLING
    return math.ceil(memory_gib / step) * step


def _told_by_older(environment: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the kind as far as an environment without one describes its machine."""
    cores, threads = environment.get("usable_cores"), environment.get("threads_per_core")
    memory, gpus = environment.get("memory_gib"), environment.get("gpus")
    return {
        "cores": cores if isinstance(cores, int) and cores > 0 else 1,
        "threads_per_core": threads if isinstance(threads, int) else None,
        "memory_gib": memory if isinstance(memory, int | float) else None,
        "gpus": [str(one) for one in gpus] if isinstance(gpus, list) else [],
    }
