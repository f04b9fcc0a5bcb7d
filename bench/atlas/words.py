"""The atlas in sentences, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from assay.bench.atlas.record import DEFECTS, MEANINGS, Atlas
from assay.bench.atlas.summary import counted_by_route, squares
from assay.bench.atlas.versions.section import spoken_versions
from assay.bench.words.numbers import counted

MOST_NAMED = 12


def spoken(atlas: Atlas) -> Iterator[str]:
    """Say, by route, how many operators have each verdict, and name those that may not be used as they are; and what is
    different with other versions.
    """
    found = squares(atlas)
    for route, some in counted_by_route(found).items():
        told = ", ".join(f"{some[one]} {one}" for one in MEANINGS if some[one])
        yield f"{route}: {counted(sum(some.values()), 'operator')}: {told}."
        bad = [one.operator for one in found if one.route == route and one.verdict in DEFECTS]
        if bad:
            more = f" and {len(bad) - MOST_NAMED} more" if len(bad) > MOST_NAMED else ""
            yield f"  Not to be trusted: {', '.join(bad[:MOST_NAMED])}{more}."
    yield from spoken_versions(atlas)
