"""One page on a causal language model: its speed, and the text of every runtime against float64's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from assay.bench.report.page.audit_page import render_without_script
from assay.bench.report.page.blocks import Section, Table, Tone, Value, headings
from assay.bench.report.page.values import tiny
from assay.bench.tasks.causal_lm.record import DECODER_FILE, Decoder, FollowedText, Part, TextParting, TokenPace
from assay.bench.tasks.causal_lm.speed import BOUNDARY, LEAD, table_of
from assay.bench.words.numbers import count, counted, interval, listed, scientific
from assay.store import write_atomically

PAGE_FILE = "decoder.html"
TEXT_COLUMNS = headings(
    "Runtime | Prompt by | # Largest difference | # Tolerated | # At the first step | # At the last | Text | Result"
)


def write_page(found: Decoder, folder: Path) -> Path:
    """Write the page into the folder, and return its file."""
    page = render_without_script(
        sections_of(found),
        kicker="causal language model",
        title=f"{found.model}, prompt by prompt and token by token",
        created=found.created,
        assay_version=found.assay_version,
        record=DECODER_FILE,
    )
    write_atomically(folder / PAGE_FILE, page.encode())
    return folder / PAGE_FILE


def sections_of(found: Decoder) -> list[Section]:
    """Return the sections: what is found, the speed of both parts, the texts, and where more is."""
    said = Section("found", "In short", " ".join(sentences(found)), ())
    speeds = [_speed(found, part) for part in found.parts]
    where = Section(
        "parts",
        "Both parts",
        "Each part is compared like any model: its exports, agreement, times at both boundaries and every cell are in "
        f"{listed([f'{folder}/report/report.html' for folder in found.parts.values()])}. Repeat with: {found.command}",
        (),
    )
    return [said, *filter(None, speeds), _texts(found), where]


def _speed(found: Decoder, part: Part) -> Section | None:
    paces = [one for one in found.paces if one.part == part]
    if not paces:
        return None
    return Section(f"speed-{part}", part.capitalize(), f"{LEAD[part]} {BOUNDARY}", (table_of(paces),))


def _texts(found: Decoder) -> Section:
    lead = (
        f"{counted(found.records, 'prompt')} of {counted(found.prompt, 'token')}, and "
        f"{counted(found.steps, 'token')} that {found.reference} writes after each, always the likeliest. Every "
        "runtime is given these tokens, one by one, with the cache of its own calls, so that its logits can be "
        "compared at every step. Until its first other token this is the text that it writes itself. A text that parts "
        "where the two tokens are within twice the tolerance of each other is a tie: rounding explains it."
    )
    rows = tuple(tuple(_row(one, found)) for one in found.texts)
    table = Table("texts", "Every runtime along the text of float64", TEXT_COLUMNS, rows)
    return Section("texts", "Token by token", lead, (table,))


def _row(one: FollowedText, found: Decoder) -> Iterator[Value]:
    tone: Tone = "good" if one.passed else "bad"
    yield from (Value(one.decode), Value(one.prefill))
    if one.agreement is None:
        yield from (Value(""), Value(""), Value(""), Value(""), Value(""), Value(one.reason, tone="notice"))
        return
    yield from (tiny(one.agreement.max_absolute), tiny(one.agreement.tolerance))
    yield from (tiny(one.by_step[0]), tiny(one.by_step[-1]))
    yield Value(in_words(one, found))
    yield Value("agrees" if one.passed else one.reason or "its text parts", tone=tone)


def in_words(one: FollowedText, found: Decoder) -> str:
    """Return where a text parts, "the same in 4 of 4 records"."""
    same = found.records - len(one.partings)
    if not one.partings:
        return f"the same in {same} of {counted(found.records, 'record')}"
    first = min(one.partings, key=lambda parting: parting.step)
    return f"the same in {same} of {counted(found.records, 'record')}; parts first {_parting(first)}"


def _parting(one: TextParting) -> str:
    said = f"at token {one.step + 1} of record {one.record + 1}, where the margin is {scientific(one.margin)}"
    return f"{said} (a tie)" if one.tie else said


def sentences(found: Decoder) -> list[str]:
    """Return the findings for the terminal and the top of the page."""
    said = [*_fastest(found, "prefill"), *_fastest(found, "decode")]
    followed = [one for one in found.texts if one.agreement is not None]
    good = [one for one in followed if one.passed]
    bad = [one for one in followed if not one.passed]
    if good:
        parted = sorted({f"{one.decode} {in_words(one, found)}" for one in good if one.partings})
        said.append(
            f"Along {counted(found.steps, 'token')} of {counted(found.records, 'record')}, the logits of "
            f"{listed([one.decode for one in good])} agree with {found.reference} at every step"
            + (
                f", with a tie where the texts part: {'; '.join(parted)}."
                if parted
                else ", and the texts are the same."
            )
        )
    said += [f"{one.decode}: {one.reason or in_words(one, found)}." for one in bad]
    said += [f"{one.decode} could not be followed: {one.reason}." for one in found.texts if one.agreement is None]
    return said


def _fastest(found: Decoder, part: Part) -> Iterator[str]:
    """Iterate over a sentence for each number of tokens, batch and threads."""
    paces = [one for one in found.paces if one.part == part]
    for key in dict.fromkeys((one.tokens, one.batch, one.threads) for one in paces):
        mine = [one for one in paces if (one.tokens, one.batch, one.threads) == key]
        yield _said_of(mine[0], part)


def _said_of(one: TokenPace, part: Part) -> str:
    batch = f" and batch {count(one.batch)}" if one.batch > 1 else ""
    rate = f"{interval(one.tokens_a_second, '')} tokens a second"
    if part == "prefill":
        return (
            f"From a prompt of {counted(one.tokens, 'token')}{batch}, {one.label} is first to the next token, in "
            f"{interval(one.milliseconds, ' ms')} ({rate} of the prompt)."
        )
    return f"With {counted(one.tokens, 'token')} in the cache{batch}, {one.label} writes {rate}, the most."


def refusals(found: Decoder) -> list[str]:
    """Return why the model is refused: texts that are wrong."""
    return [
        f"{one.decode}: {one.reason or in_words(one, found)}" for one in found.texts if one.agreement and not one.passed
    ]
