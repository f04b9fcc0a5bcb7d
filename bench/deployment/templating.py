"""The templates of a deployment's texts, and the texts that may be filled into them. Filled-in text is data: in
Markdown it is escaped, and everywhere else it has to be a plain word, unless a filter has written it in the required
format. The first rendering did neither; files rendered in its form are compared with a deployment that has it, and
never written.
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
    """Text that is already written in the required format."""

    __slots__ = ()


def render_template(name: str, words: dict[str, object], rendering: int = RENDERING) -> str:
    """Return one template with its words filled in; three blank lines or more become one.

    Raises:
        ArtifactError: a word of the record may not be in such a file.
    """
    environment = _environment(rendering, is_markdown=name.endswith(".md"))
    text = environment.from_string(template(name, rendering)).render(words)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


@functools.cache
def template(name: str, rendering: int = RENDERING) -> str:
    """Return the text of a template, or of a file that is the same in every deployment."""
    folder = resources.files("assay.bench.deployment") / "templates"
    if rendering != RENDERING:
        folder = folder / f"rendering-{rendering}"
    return (folder / name).read_text(encoding="utf-8")


@functools.cache
def _environment(rendering: int, *, is_markdown: bool) -> jinja2.Environment:
    """Return the environment for templates of plain text; an unknown word is an error."""
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
    """Quote a text for YAML and for a Dockerfile's command, both of which read JSON's strings."""
    return Written(json.dumps(text))


def _requirement(text: str) -> Written:
    """Write a pinned distribution.

    Raises:
        ArtifactError: the text is not a pinned distribution.
    """
    name, equals, version = text.partition("==")
    if not equals:
        raise ArtifactError("A deployment's record has a package without a version", found=ascii(text[:100]))
    return Written(f"{_plain(name)}=={_plain(version)}")


def _plain(value: object) -> object:
    """
    Raises:
        ArtifactError: the text contains something that a shell, YAML or a Dockerfile could interpret.
    """
    if isinstance(value, Written) or not isinstance(value, str) or PLAIN_WORD.fullmatch(value):
        return Written(value) if isinstance(value, str) else value
    raise ArtifactError(
        "A deployment's record has a word that is not allowed in its files",
        expected="letters, digits and ._:/-",
        found=ascii(value[:100]),
    )
