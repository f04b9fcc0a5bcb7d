"""The documentation as a site's source: `make docs` writes it to `build/docs`, and zensical makes the site of it.

The pages of `docs/` are copied, the notebook becomes one, and four are written from the code: commands, the keys of a
study, the results schema and what can be named, so that no page says otherwise than the program. What a page links to
outside of `docs/` (a study file, the published report) is copied below `files/`. Anything that a declaration leaves
undocumented ends the build.
"""

from __future__ import annotations

import inspect
import json
import posixpath
import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel

from assay.bench.cli.main import app
from assay.fleet.joined import Joined
from assay.records.audit import Audit
from assay.records.choice import Choice
from assay.records.deployment import Deployment
from assay.records.load import Load
from assay.records.results import Results
from assay.records.verification import Verification
from assay.registry import ARCHITECTURES, DATASETS, EXPORTERS, FRAMEWORKS, RUNTIMES, TASKS
from assay.study import Study
from tools.notebook import page_of

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"(?P<open>!?\[[^\]]*\]\()(?P<target>[^)#\s:]+)(?P<rest>(?:#[^)]*)?\))")
ATTRIBUTE = re.compile(
    r"^ {4}(?P<names>\w+(?:, \w+)*): (?P<text>.+?)(?=^ {4}\w+(?:, \w+)*: |\Z)", re.MULTILINE | re.DOTALL
)
WORDS: Mapping[object, str] = {
    str: "text", int: "integer", float: "number", bool: "true or false", NoneType: "none", Path: "path", Any: "any"
}  # fmt: skip
Row = tuple[str, ...]


def write(folder: Path) -> None:
    """Write the source of the site into a folder, in place of what it held."""
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(ROOT / "docs", folder)
    for path in folder.rglob("*.ipynb"):
        path.with_suffix(".md").write_text(page_of(json.loads(path.read_text(encoding="utf-8"))), encoding="utf-8")
    for name, page in PAGES.items():
        (folder / "reference" / f"{name}.md").write_text(page(), encoding="utf-8")
    for path in folder.rglob("*.md"):
        here = path.parent.relative_to(folder)
        path.write_text(_links_followed(path.read_text(encoding="utf-8"), here, folder), encoding="utf-8")


def _links_followed(text: str, here: Path, folder: Path) -> str:
    """The page with each link that leads out of `docs/` pointed to a copy of what it names."""

    def followed(link: re.Match[str]) -> str:
        place = Path(posixpath.normpath(posixpath.join("docs", here.as_posix(), link["target"])))
        if place.parts[0] == "docs":
            return link[0]
        source = ROOT / place
        source = source / "README.md" if source.is_dir() else source
        copy = Path("files") / source.relative_to(ROOT)
        copy = (
            copy.with_suffix(".txt") if copy.suffix in {".md", ".toml"} else copy
        )  # to be read, not to be made a page
        (folder / copy).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / copy)
        return f"{link['open']}{posixpath.relpath(copy.as_posix(), here.as_posix())}{link['rest']}"

    return LINK.sub(followed, text)


def table(head: Row, rows: Iterable[Row]) -> str:
    """A table in Markdown; bars and line breaks within a cell are made harmless."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(_in_a_cell(cell) for cell in line)} |" for line in lines) + "\n"


def _in_a_cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "&lt;").strip()


# Commands


def commands() -> str:
    """Every command with its arguments, options and exit codes' meaning, as `--help` has them."""
    top = typer.main.get_command(app)
    context = top.context_class(top, info_name="assay")
    parts = [
        _page(
            "Every command and option",
            "`assay COMMAND --help` says the same. For all: [the command line](command-line.md).",
        )
    ]
    parts.append(_options(top))
    parts += [
        part for name, command in _commands(top, context) for part in (f"## assay {name}\n", *_command(name, command))
    ]
    return "\n".join(parts)


def _commands(group: Any, context: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        if hasattr(command, "list_commands"):
            yield from _commands(command, context, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _command(name: str, command: Any) -> Iterator[str]:
    if not command.help:
        raise ValueError(f"assay {name} has no help text")
    yield re.sub(r"\n{2,}", "\n\n", textwrap.dedent(command.help)) + "\n"
    if command.epilog:
        yield f"Example: `{command.epilog.removeprefix('Example: ')}`\n"
    yield _options(command)


def _options(command: Any) -> str:
    rows = [_option(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)]
    return table(("option", "what it does", "default"), [row for row in rows if row])


def _option(parameter: Any) -> Row:
    if parameter.param_type_name == "argument":
        name = parameter.metavar or parameter.name.upper()
    else:
        name = ", ".join((*parameter.opts, *parameter.secondary_opts))
    if not parameter.help:
        raise ValueError(f"{name} has no help text")
    default = parameter.default
    shown = "" if default in {None, False, ()} or callable(default) or "Sentinel" in repr(default) else f"`{default}`"
    return (f"`{name}`", parameter.help, shown)


# Records


def study() -> str:
    """The keys of a study file, section by section."""
    parts = [_page("Keys of a study", "A study file is TOML. Unknown keys are errors, with the nearest known one.")]
    parts.append("[studies/quick.toml](../../studies/quick.toml) is a commented example.\n")
    told = {"": Study} | {name: _record_in(field.annotation) for name, field in Study.model_fields.items()}
    for section, record in told.items():
        if record is None:
            continue
        title = "At the top" if not section else f"[[{section}]]" if section == "models" else f"[{section}]"
        parts += [
            f"## {title}\n",
            _prose(record),
            keys_of(record, but={name for name in told if name and told[name]}),
        ]
    return "\n".join(parts)


def results() -> str:
    """The schemas of `results.json` and of the other files that commands write, record by record."""
    intro = "`results.json` is one record, `Results`. Records that it holds follow in the order in which they are met."
    parts = [_page("Results", intro)]
    met: list[type[BaseModel]] = []
    for record in _records(Results):
        parts += [f"## {record.__name__}\n", _prose(record), keys_of(record)]
        met.append(record)
    for file, first in OTHER_FILES.items():
        parts.append(f"The record of `{file}`, and those that it holds beside the above, follow.\n")
        for record in _records(first):
            if record not in met:
                parts += [f"## {record.__name__}\n", _prose(record), keys_of(record)]
                met.append(record)
    return "\n".join(parts)


OTHER_FILES: dict[str, type[BaseModel]] = {
    "audit.json": Audit,
    "choice.json": Choice,
    "deployment.json": Deployment,
    "load.json": Load,
    "verify-server --json": Verification,
    "joined.json": Joined,
}


def _records(first: type[BaseModel]) -> list[type[BaseModel]]:
    met = [first]
    for record in met:
        for field in record.model_fields.values():
            met += [one for one in _records_in(field.annotation) if one not in met]
    return met


def _records_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _records_in(part)


def _record_in(annotation: object) -> type[BaseModel] | None:
    return next(_records_in(annotation), None)


def _prose(record: type[BaseModel]) -> str:
    """What a record's docstring says before it lists its attributes."""
    text = inspect.cleandoc(record.__doc__ or "").partition("Attributes:")[0]
    said = re.sub(r"^\[+\w+\]+:? ?", "", text).strip()
    return said[:1].upper() + said[1:] + "\n"


def keys_of(record: type[BaseModel], but: Iterable[str] = ()) -> str:
    """A table of a record's keys.

    Raises:
        ValueError: a key has no meaning in the docstring.
    """
    meanings = meanings_of(record)
    rows = []
    for name, field in record.model_fields.items():
        if name in but:
            continue
        if name not in meanings:
            raise ValueError(f"{record.__name__}.{name} is not in its docstring's attributes")
        given = field.get_default(call_default_factory=True, validated_data={})  # where no other key is given
        default = "" if field.is_required() else _default(given)
        rows.append((f"`{name}`", _type(field.annotation), meanings[name], default))
    return table(("key", "type", "meaning", "default"), rows)


def meanings_of(record: type[BaseModel]) -> dict[str, str]:
    """The attributes of a record by name, those of its bases among them, as their docstrings say them."""
    found: dict[str, str] = {}
    for one in reversed(record.__mro__):
        listed = inspect.cleandoc(one.__doc__ or "").partition("Attributes:\n")[2]
        for match in ATTRIBUTE.finditer(listed):
            found |= dict.fromkeys(match["names"].split(", "), match["text"])
    return found


def _type(annotation: Any) -> str:
    """A type as TOML and JSON have it: "text", "list of integer", '"cpu" or "cuda"', a record by its name."""
    kind, inner = get_origin(annotation), get_args(annotation)
    if kind is Annotated:
        return _type(inner[0])
    if kind is Literal:
        return " or ".join(json.dumps(one) for one in inner)
    if kind in {Union, UnionType}:
        return " or ".join(_type(one) for one in inner)
    if kind in {tuple, list}:
        parts = [_type(one) for one in inner if one is not Ellipsis]
        return f"list of {parts[0]}" if len(set(parts)) == 1 else f"list: {', '.join(parts)}"
    if kind is not None and issubclass(kind, Mapping):
        return f"map of {_type(inner[1])}"
    return WORDS.get(annotation) or str(getattr(annotation, "__name__", annotation))


def _default(value: object) -> str:
    if isinstance(value, BaseModel) or value in (None, ""):
        return ""
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{one}"' if isinstance(one, str) else str(one) for one in value) + "]`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


# Registries


def registry() -> str:
    """All that can be named in a study or on the command line."""
    parts = [_page("Runtimes, exporters, architectures, data sets", "Everything that a study or an option can name.")]
    rows = [
        (f"`{entry.name}`", entry.summary, entry.precision, entry.tier, entry.installed_by)
        for entry in RUNTIMES.values()
    ]
    parts += ["## Runtimes\n", table(("name", "what it is", "precision", "tier", "extra"), rows)]
    others = {
        "Exporters": EXPORTERS, "Frameworks": FRAMEWORKS, "Architectures": ARCHITECTURES,
        "Data sets": DATASETS, "Tasks": TASKS,
    }  # fmt: skip
    for title, entries in others.items():
        parts.append(f"## {title}\n")
        parts.append(table(("name", "what it is"), [(f"`{entry.name}`", entry.summary) for entry in entries.values()]))
    return "\n".join(parts)


def _page(title: str, intro: str) -> str:
    return f"# {title}\n\n{intro}\n"


PAGES = {"commands": commands, "study": study, "results": results, "registry": registry}

if __name__ == "__main__":
    write(ROOT / "build" / "docs")
