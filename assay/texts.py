"""Text that others wrote, made safe for readers: one function for each place where a name may be shown.

A model's names, a result's reasons and a file's name are data. Code that writes them into a page, a table, a terminal
or a request passes them through here, or through the format's own writer (JSON, protobuf, XML, HTML), never through an
f-string alone.
"""

from __future__ import annotations

import re
import unicodedata

UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of characters that act but are not seen: control characters, those that change the direction of
writing, and surrogates, which no file in UTF-8 can hold.
"""
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Beginnings of table cells that a spreadsheet would compute when it opens them."""
FOR_YAML = '"\\'
ZERO_WIDTH = "&#8203;"


def _unseen(one: str) -> bool:
    """Check whether a character is not seen, or is none at all: XML may not hold U+FFFE and U+FFFF."""
    return unicodedata.category(one) in UNSEEN or ord(one) & 0xFFFE == 0xFFFE


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return a text in which everything is visible: a control character is shown as Python writes it, \x1b or \u202e.

    Args:
        lines: whether line ends and tabs are kept.
    """
    if text.isprintable():
        return text
    return "".join(one if (lines and one in "\n\t") or not _unseen(one) else _escaped(one) for one in text)


def _escaped(one: str) -> str:
    return one.encode("unicode_escape").decode("ascii")


def printable_json(text: str) -> str:
    """Return JSON in which everything is visible and which means the same: invisible characters can only be in its
    strings.
    """
    if text.isprintable():
        return text
    return "".join(one if one == "\n" or not _unseen(one) else _in_json(one) for one in text)


def _in_json(one: str) -> str:
    units = one.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))


def yaml_string(text: str) -> str:
    """Return a text as a string of YAML on one line, in which everything is visible and which is read as it was.

    JSON's strings are not all of YAML's: YAML reads a character beyond U+FFFF, which JSON writes as two halves, as two.
    """
    return f'"{"".join(one if one.isprintable() and one not in FOR_YAML else _in_yaml(one) for one in text)}"'


def _in_yaml(one: str) -> str:
    number = ord(one)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def markdown(text: str) -> str:
    """Return a text that Markdown shows as it is: no markup, HTML, link or mention takes effect, and no table cell ends
    in it.
    """
    text = " ".join(re.split(r"[\r\n\t]+", text)).lstrip()
    text = printable(text).replace("&", "&amp;")
    text = re.sub(r"([\\`*\[\]<>|#~!$]|(?<![^\W_])_|_(?![^\W_])|:(?=//))", r"\\\1", text)
    text = re.sub(r"\b(www)\.", r"\1\\.", text, flags=re.IGNORECASE)
    text = re.sub(r"^([-+=](?=[\s=-]|$))", r"\\\1", text)  # a list, a rule or the line below a heading
    text = re.sub(r"^(\d+)([.)](?=\s|$))", r"\1\\\2", text)
    return re.sub(r"(?<!\w)@(?=\w)", f"@{ZERO_WIDTH}", text)


def markdown_code(text: str) -> str:
    """Return a text as code in Markdown, in a table or outside; nothing in it can end the code."""
    text = printable(text)
    if not text.strip():
        return "(no name)" if not text else f"({len(text)} blanks)"
    if "|" in text:  # a table ends its cell there even inside code, and outside tables no backslash may be added
        return f"<code>{markdown(text)}</code>"
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    padding = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def markdown_fence(text: str) -> str:
    """Return the line before and after a code block in Markdown: more backticks than the text has in a row."""
    return "`" * max(4, 1 + max(map(len, re.findall("`+", text)), default=0))


def spreadsheet(text: str) -> str:
    """Return a table cell that a spreadsheet shows and does not compute: an apostrophe is put before a formula."""
    return f"'{printable(text)}" if text.startswith(FORMULA) else printable(text)
