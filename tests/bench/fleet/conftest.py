"""A cluster of two machines for the tests of this folder, and the fleet that this process makes of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from assay.bench.fleet.on_ray import RayFleet
from tests.bench.fleet.raylets import Cluster, cluster


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    pytest.importorskip("ray", reason="the extra 'fleet' is not installed")
    with cluster(tmp_path_factory.mktemp("machines")) as found:
        found.add("one")
        found.add("two")
        yield found


@pytest.fixture
def fleet(two: Cluster) -> Iterator[RayFleet]:
    """The cluster, from this process."""
    import ray  # noqa: PLC0415

    found = RayFleet(two.address)
    try:
        yield found
    finally:
        found.close()
        ray.shutdown()
