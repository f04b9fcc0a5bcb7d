"""The templates of a deployment's texts, and what may be filled into them.

What is filled in is data: in Markdown it is escaped, and everywhere else a text has to be a plain word, unless a filter
has written it as the format wants it. The first rendering did neither; what is rendered in its form is compared with a
deployment that has it, and never written.
"""

from __future__ import annotations

import functools
import json
import re
from importlib import resources

import jinja2

from assay.errors import ArtifactError
from assay.records.deployment import RENDERING
from assay.texts import markdown, markdown_code

PLAIN_WORD = re.compile(r"[A-Za-z0-9._:/-]*")


class Written(str):
    """Text that is already written as its format wants it."""

    __slots__ = ()


def render_template(name: str, words: dict[str, object], rendering: int = RENDERING) -> str:
    """One template with its words filled in; three blank lines or more become one.

    Raises:
        ArtifactError: a word of the record is none that may stand in such a file.
    """
    environment = _environment(rendering, is_markdown=name.endswith(".md"))
    text = environment.from_string(template(name, rendering)).render(words)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


@functools.cache
def template(name: str, rendering: int = RENDERING) -> str:
    """The text of a template, or of a file that is the same in every deployment."""
    folder = resources.files("assay.bench.deployment") / "templates"
    if rendering != RENDERING:
        folder = folder / f"rendering-{rendering}"
    return (folder / name).read_text(encoding="utf-8")


@functools.cache
def _environment(rendering: int, *, is_markdown: bool) -> jinja2.Environment:
    """For templates of plain text; an unknown word is an error."""
    finalize = _in_markdown if is_markdown else _plain
    made = jinja2.Environment(  # noqa: S701  not a page: Markdown, YAML and scripts, each with its own rule
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        finalize=None if rendering == 1 else finalize,
    )
    made.filters |= {"code": _as_code, "plain": _plain, "quoted": _quoted, "requirement": _requirement}
    return made


def _in_markdown(value: object) -> object:
    return value if isinstance(value, Written) or not isinstance(value, str) else Written(markdown(value))


def _as_code(text: str) -> Written:
    return Written(markdown_code(text))


def _quoted(text: str) -> Written:
    """A text in YAML and in a Dockerfile's command, which read JSON's strings."""
    return Written(json.dumps(text))


def _requirement(text: str) -> Written:
    """A pinned distribution.

    Raises:
        ArtifactError: it is none.
    """
    name, equals, version = text.partition("==")
    if not equals:
        raise ArtifactError("A deployment's record has a package without a version", found=ascii(text[:100]))
    return Written(f"{_plain(name)}=={_plain(version)}")


def _plain(value: object) -> object:
    """
    Raises:
        ArtifactError: it is a text with anything in it that a shell, YAML or a Dockerfile could take for its own.
    """
    if isinstance(value, Written) or not isinstance(value, str) or PLAIN_WORD.fullmatch(value):
        return Written(value) if isinstance(value, str) else value
    raise ArtifactError(
        "A deployment's record has a word that may not stand in its files",
        expected="letters, digits and ._:/-",
        found=ascii(value[:100]),
    )
