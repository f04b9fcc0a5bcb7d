"""Names with hostile text, and readers that show whether any of it was executed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

SENTINEL = "ASSAY-PWNED"
"""A file of this name exists somewhere if any text was executed."""
CALL = f'__import__("pathlib").Path("{SENTINEL}").touch()'
NAMES = {
    "quotes": f"\"'`\"\"\"'''\\\"\\'\n{CALL}\n\"\"\"'''",
    "ends a docstring": f'"""\n{CALL}\n"""',
    "ends a string": f'", {CALL}, "',
    "a format": "{0}{name}{{x}}{__class__.__init__}%s%(x)s",
    "a template": f"{{{{ {CALL} }}}}{{% for x in y %}}{{# #}}${{HOME}}$HOME",
    "a shell": f"$(touch {SENTINEL})`touch {SENTINEL}`;touch {SENTINEL};&&touch {SENTINEL}\ntouch {SENTINEL}\n",
    "a formula": f"=cmd|'/C touch {SENTINEL}'!A0",
    "other formulas": "+1\t-1\r@SUM(A1)",
    "a mention": "@user #1 https://evil.example www.evil.example [a](javascript:alert(1)) ![i](//evil.example/i)",
    "a page": f"</script></style><script>document.title='{SENTINEL}';alert(1)</script><img src=x onerror=alert(1)>-->",
    "an attribute": '" onmouseover="alert(1)" x=\'',
    "a path": f"../../../{SENTINEL}/..\\..\\{SENTINEL}",
    "markup": "[red]x[/red] [link=https://evil.example]y[/link] :smile: *a* _b_ ~~c~~ | d | > # - 1. ```",
    "control": "\0\x01\x07\x08\x1b[2J\x1b]0;title\x07\x1b[31m\x7f\x85\x9b31m",
    "direction": "\u202egpj.exe\u202c\u2066\u200b\u200e\ufeff\u2028\u2029",
    "yaml": "a: b\n- c\n? d\n!!python/object/apply:os.system [x]\n%TAG\n...\n---\n&x *y",
    "protobuf": '" } instance_group { count: 9 } x { y: "',
}
EVERYTHING = "".join(NAMES.values())
LONG = "n" * 10_000
UNSEEN = ("\x1b", "\x9b", "\x07", "\x08", "\u202e", "\u2066", "\u200b", "\ufeff", "\0")
"""Characters that a terminal or a reader obeys; none may be in a text for people."""

_COMMONMARK = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough")
ALLOWED_HTML = ("<code>", "</code>", "<details>", "</details>", "<summary>", "</summary>")


def markdown_tokens(text: str) -> list[Token]:
    """The flat result of rendering a text as CommonMark with tables."""
    return [inner for token in _COMMONMARK.parse(text) for inner in (token, *(token.children or ()))]


def harm_in_markdown(text: str) -> list[str]:
    """Links, external pictures, mentions and HTML that a reader of Markdown would get."""
    found = []
    for token in markdown_tokens(text):
        if token.type == "link_open":
            found.append(f"link to {token.attrs.get('href')}")
        elif token.type == "image" and not str(token.attrs.get("src")).startswith("figures/"):
            found.append(f"picture of {token.attrs.get('src')}")
        elif token.type in ("html_inline", "html_block") and not is_harmless(token.content):
            found.append(f"html {token.content[:60]}")
        elif token.type == "text" and "@user" in token.content:
            found.append(f"mention {token.content[:60]}")
    return found


def is_harmless(html: str) -> bool:
    for tag in ALLOWED_HTML:
        html = html.replace(tag, "")
    return "<" not in html


def sentinels(*folders: Path) -> list[Path]:
    """The files that were executed text's marks, if any."""
    return [found for folder in folders for found in folder.rglob(f"*{SENTINEL}*")]


def renamed(value: object, change: Callable[[str], str]) -> object:
    """A record as plain values in which every text, keys included, was passed through `change`."""
    if isinstance(value, dict):
        return {change(str(key)): renamed(inner, change) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [renamed(inner, change) for inner in value]
    return change(value) if isinstance(value, str) else value


def ending(tokens: Iterable[str], more: str) -> Callable[[str], str]:
    """Append a hostile text to each of these words, wherever it appears: names stay the same everywhere."""
    words = sorted(tokens, key=len, reverse=True)

    def change(text: str) -> str:
        for word in words:
            if word in text:
                return text.replace(word, f"{word}{more}")
        return text

    return change
