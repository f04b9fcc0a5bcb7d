"""A user's model compared along a dimension: probed at every size, and every export, which leaves the dimension open,
checked at the sizes that it was not made at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from assay.bench.brought.exports import Brought, bring, checked, files_of, with_reference
from assay.bench.brought.work import Wanted, Work
from assay.bench.words.names import in_words
from assay.errors import AssayError, DiskError, InputError
from assay.export.checking.fixed_sizes import FIXED_SIZES, FixedSizesRequest
from assay.numerics.agreement import without_numbers
from assay.records.results import Agreement, Export
from assay.steps import MOST_SECONDS, Limit


def read_sizes(texts: Sequence[str]) -> tuple[dict[str, int], dict[str, tuple[int, ...]]]:
    """Read "tokens=64" as a size, and "tokens=16,64,128" as sizes along which a model is compared.

    Returns:
        The one size of each dimension that has one, and the ascending sizes of the others.

    Raises:
        InputError: a text is not of this form, sizes are not ascending, or dimensions have other numbers of sizes.
    """
    one: dict[str, int] = {}
    several: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, _, said = text.rpartition("=")
        parts = [part.strip() for part in said.split(",")]
        if not name or not all(part.isdecimal() and int(part) > 0 for part in parts):
            raise InputError(
                "--dimension does not give a size", expected="NAME=64 or NAME=16,64,128, 1 or more", found=f"'{text}'"
            )
        sizes = tuple(map(int, parts))
        if len(sizes) == 1:
            one[name] = sizes[0]
            continue
        if list(sizes) != sorted(set(sizes)):
            raise InputError(f"--dimension {name} has sizes that do not ascend", found=said)
        several[name] = sizes
    if len({len(sizes) for sizes in several.values()}) > 1:
        raise InputError(
            "--dimension has other numbers of sizes for one dimension than for another",
            expected="as many for each, the first of which belong together: height=224,384 and width=224,384",
            found=", ".join(f"{name}: {len(sizes)}" for name, sizes in several.items()),
        )
    return one, several


def check_sizes(wanted: Wanted) -> None:
    """
    Raises:
        InputError: inputs are given, which have sizes of their own.
    """
    if wanted.sizes and wanted.inputs is not None:
        raise InputError(
            "--dimension with several sizes draws the inputs of each, and --inputs has its own",
            remedy="Leave out --inputs, or give one size",
        )


def at_sizes(work: Work, brought: Brought, exports: Sequence[Export]) -> tuple[list[Brought], list[Export]]:
    """Return the model at every size, the first one included, and the exports with their checks at all of them.

    Args:
        brought: the model at the first size, at which exports were made.

    Raises:
        AssayError: the model does not run at one of the sizes.
    """
    points = work.wanted.points
    if not work.wanted.sizes:
        return [brought], list(exports)
    found, records = [_at(brought, brought, points[0])], list(exports)
    for point in points[1:]:
        at = in_words(point)
        work.narrator.tell(f"inspecting the model at {at}")
        try:
            one = _at(with_reference(work, bring(work, point), files_of(work, records)), brought, point)
        except InputError as error:
            raise InputError(f"At {at} {error}") from error
        found.append(one)
        files = files_of(work, records)
        for place, record in enumerate(records):
            if record.exporter in files:
                made = checked(work, one, record, files[record.exporter], f", at {at}")
                fixed = [] if made.status == "ok" else _fixed(work, record, points[0], point)
                records[place] = joined(record, made, at, in_words(points[0]), fixed)
                if records[place].status != "ok":
                    work.narrator.exported(records[place])
    return found, records


def exports_to_follow(wanted: Wanted, brought: Brought, exports: Sequence[Export]) -> list[Export]:
    """Return the exports that may be followed to a wrong node at this size: those right so far, and those that gave
    numbers here which differ.
    """
    ends = [f", {in_words(point)}" for point in wanted.points[1:]]
    size = brought.model.axis_size
    mine = next((end for end, point in zip(ends, wanted.points[1:], strict=True) if size in point.values()), "")

    def differs(one: Agreement) -> bool:
        here = one.subject.endswith(mine) if mine else not one.subject.endswith(tuple(ends))
        return here and not one.passed and one.max_absolute >= 0

    return [one for one in exports if not size or one.status == "ok" or any(map(differs, one.agreement))]


def _at(one: Brought, first: Brought, point: dict[str, int]) -> Brought:
    """Return the model at a point, by the name and key of the model at the first one."""
    inputs = tuple(each.model_copy(update={"open": ()}) for each in one.model.inputs)
    size = next(iter(point.values()))
    known = {"inputs": inputs, "axis_size": size, "fingerprint": first.model.fingerprint}
    return replace(one, model=one.model.model_copy(update=known))


def _fixed(work: Work, record: Export, made: dict[str, int], point: dict[str, int]) -> list[str]:
    """Return the nodes of a file in which a size is fixed that should have been open, in words."""
    changed = [(name, made[name]) for name in point if made[name] != point[name]]
    file = files_of(work, [record])[record.exporter]
    request = FixedSizesRequest(file=file, sizes=dict(changed))
    log = work.folder / "logs" / f"fixed-sizes-{record.exporter}.log"
    try:
        return work.ask(FIXED_SIZES, request, log, Limit(MOST_SECONDS, "The search for fixed sizes")).nodes
    except DiskError:
        raise
    except AssayError as error:
        work.narrator.note(
            f"which node of the export by {record.exporter} has a fixed size could not be found: {error}"
        )
        return []


def joined(before: Export, after: Export, at: str, made: str, fixed: Sequence[str]) -> Export:
    """Return the record of a file with its checks at one more size."""

    def named(one: Agreement) -> Agreement:
        return one.model_copy(update={"subject": f"{one.subject}, {at}"})

    update: dict[str, object] = {"agreement": [*before.agreement, *map(named, after.agreement)]}
    if after.status != "ok":
        if all(one.passed for one in after.agreement):
            nothing = without_numbers(f"{before.exporter}, {at}", 0, after.reason)
            update["agreement"] = [*before.agreement, *map(named, after.agreement), nothing]
        told = f"; made at {made}, it has that size fixed in {', '.join(fixed)}" if fixed else ""
        update |= {"status": after.status, "reason": f"at {at}: {after.reason}{told}"}
        update |= {name: getattr(after, name) for name in ("file_is_right", "undecided", "wrong_in", "right_in")}
    return before.model_copy(update=update)
