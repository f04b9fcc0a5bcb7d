"""Findings about a machine that hold until it is started again: its rates, and its quality as an instrument.

It lies in this user's folder on the machine that ends with it (`assay.alone.runtime_folder`), under the machine's
fingerprint and its boot, so that every folder that results go to finds it.
"""

from __future__ import annotations

from pydantic import JsonValue

from assay.alone import runtime_folder
from assay.bench.machine.host import Host
from assay.fleet.kind import identity_in
from assay.store import Store

FOLDER = "machine"


def kept_of_machine(host: Host) -> tuple[Store, dict[str, JsonValue]] | None:
    """A store of what holds for this host until it is started again, and what its artifacts have to name among their
    inputs for that; None where there is no place for it, or nothing tells one start from the next.
    """
    folder, boot = runtime_folder(), identity_in(host.environment()).boot
    if folder is None or not boot:
        return None
    return Store(folder / FOLDER, shared=True), {"machine": host.fingerprint().key, "boot": boot}
