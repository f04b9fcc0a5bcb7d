"""The changes that another version of a package makes: the same samples by the same route, judged with both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from packaging.version import Version

from assay.bench.atlas.record import DEFECTS, Atlas, Finding, Verdict
from assay.bench.atlas.summary import WORST_FIRST

Kind = Literal["right in both", "wrong in both", "mended", "broke", "gained", "lost", "other"]
KINDS: Mapping[Kind, str] = {
    "right in both": "right with both",
    "wrong in both": "wrong with both",
    "mended": "wrong with the older version, and right with the newer one",
    "broke": "right with the older version, and wrong with the newer one",
    "gained": "refused or not run with the older version, and right with the newer one",
    "lost": "right with the older version, and refused or not run with the newer one",
    "other": "the rest, most of which is refused, not run or without comparison with both",
}
"""The kinds of changes, with their meanings."""
REFUSED: tuple[Verdict, ...] = ("not exported", "not run", "fixed batch")


@dataclass(frozen=True)
class OperatorChange:
    """One operator by one route, with a package in two versions.

    Attributes:
        other_versions: the packages in other versions than the atlas', in words.
        samples: number of samples that were judged with both.
        older, newer: the worst verdict of these samples with the older version, and with the newer one.
        is_older: whether the other version is the older one.
    """

    other_versions: str
    suite: str
    operator: str
    route: str
    samples: int
    older: Verdict
    newer: Verdict
    is_older: bool

    @property
    def there(self) -> Verdict:
        """The verdict with the other version."""
        return self.older if self.is_older else self.newer

    @property
    def kind(self) -> Kind:
        return KIND_OF.get((_outcome(self.older), _outcome(self.newer)), "other")


KIND_OF: Mapping[tuple[str, str], Kind] = {
    ("right", "right"): "right in both",
    ("wrong", "wrong"): "wrong in both",
    ("wrong", "right"): "mended",
    ("right", "wrong"): "broke",
    ("refused", "right"): "gained",
    ("right", "refused"): "lost",
}


def _outcome(verdict: Verdict) -> str:
    return "wrong" if verdict in DEFECTS else "refused" if verdict in REFUSED else verdict


def changes_of(atlas: Atlas) -> list[OperatorChange]:
    """Return what is different with other versions, for each operator and route that has samples judged with both: the
    same place among those of the suite, with the same inputs. Another version of the suite may have others.
    """
    here = _by_square(one for one in atlas.findings if not one.other_versions)
    found = []
    for words in dict.fromkeys(one.other_versions for one in atlas.findings if one.other_versions):
        is_older = _is_older(words, atlas.versions)
        for key, there in _by_square(one for one in atlas.findings if one.other_versions == words).items():
            mine = here.get(key, {})
            shared = [name for name in there if name in mine]
            if not shared:
                continue
            verdicts = _worst(there[name] for name in shared), _worst(mine[name] for name in shared)
            older, newer = verdicts if is_older else verdicts[::-1]
            found.append(OperatorChange(words, *key, len(shared), older, newer, is_older))
    return found


def _by_square(findings: Iterable[Finding]) -> dict[tuple[str, str, str], dict[tuple[object, ...], Verdict]]:
    """Return the verdicts of samples, by suite, operator and route; without what says nothing."""
    found: dict[tuple[str, str, str], dict[tuple[object, ...], Verdict]] = {}
    for one in findings:
        if one.route and one.verdict != "not judged":
            sample = one.dtype, one.sample, one.numbers, one.inputs
            found.setdefault((one.suite, one.operator, one.route), {})[sample] = one.verdict
    return found


def _worst(verdicts: Iterable[Verdict]) -> Verdict:
    return min(verdicts, key=WORST_FIRST.index)


def _is_older(words: str, versions: Mapping[str, str]) -> bool:
    """Return whether the first package in words is older than the atlas' own."""
    name, version = words.partition(", ")[0].rsplit(" ", 1)
    return name not in versions or Version(version) < Version(versions[name])
