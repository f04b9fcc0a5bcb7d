"""Tables in README and docs that are written from the published records, each between two marks in its page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.findings import ROOT, claims, reference

STUDY, CLAIMS, README = "docs/findings/reference-study.md", "docs/findings/claims.md", "README.md"


@dataclass(frozen=True)
class PageTable:
    """A table in a page.

    Attributes:
        page: the page, from the root of the project.
        name: its name in the marks around it.
        head: its first two lines.
        rows: its rows, made from the published records.
    """

    page: str
    name: str
    head: str
    rows: Callable[[], Iterable[str]]

    @property
    def begin(self) -> str:
        return f"<!-- table {self.name}, written by `make findings`: begin -->"

    @property
    def end(self) -> str:
        return f"<!-- table {self.name}: end -->"

    def put(self, page: str) -> str:
        """Return the page with the table as the records have it.

        Raises:
            ValueError: the page has no place for it.
        """
        between = re.compile(f"{re.escape(self.begin)}.*?{re.escape(self.end)}", re.DOTALL)
        text = "\n".join([self.begin, self.head, *self.rows(), self.end])
        page, places = between.subn(lambda _: text, page)
        if places != 1:
            raise ValueError(f"{self.page}: expected one place between {self.begin} and {self.end}, found {places}")
        return page


TABLES = (
    PageTable(STUDY, "native and ONNX in fp32", reference.WITH_INT8, reference.compared),
    PageTable(STUDY, "accuracy", reference.TRAINED, reference.trained),
    PageTable(STUDY, "the quick study", reference.COMPARED, reference.compared_quickly),
    PageTable(STUDY, "load", reference.LOADED, reference.loaded),
    PageTable(CLAIMS, "JAX and PyTorch", claims.JAX_AND_TORCH, claims.jax_against_torch),
    PageTable(CLAIMS, "defaults", claims.DEFAULT, claims.default_rows),
    PageTable(CLAIMS, "scaling", claims.SCALING, claims.scaling),
    PageTable(CLAIMS, "knees", claims.KNEES, claims.knee_rows),
    PageTable(README, "part of the reference study", reference.COMPARED, reference.compared_in_readme),
)


def filled() -> Iterator[tuple[Path, str]]:
    """Return each page that has tables with all of them written anew."""
    for page in dict.fromkeys(table.page for table in TABLES):
        text = (ROOT / page).read_text(encoding="utf-8")
        for table in (table for table in TABLES if table.page == page):
            text = table.put(text)
        yield ROOT / page, text


def fill() -> None:
    """Write all tables into their pages."""
    for page, text in filled():
        page.write_text(text, encoding="utf-8")
