"""The files that a process reads and writes follow from the types of its request, and every job has its process."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from assay.jobs.files import Written, mapped, written_by
from assay.records.base import Record
from tests.test_imports import ROOT, modules


@dataclass(frozen=True)
class Wanted:
    weights: Path
    count: int = 1


class Inner(Record):
    out: Written


class Asked(Record):
    wanted: Wanted
    inner: Inner
    files: tuple[Path, ...]
    named: dict[str, Path]
    inputs: Path | None
    folder: Written
    may_be: Written | None
    text: str = "/not/a/path"


ASKED = Asked(
    wanted=Wanted(Path("/a/weights")),
    inner=Inner(out=Path("/a/inner")),
    files=(Path("/a/1"), Path("/a/2")),
    named={"x": Path("/a/x")},
    inputs=None,
    folder=Path("/a/folder"),
    may_be=Path("/a/may-be"),
)


def test_every_path_of_a_request_is_changed_wherever_it_is_and_nothing_else() -> None:
    told: dict[str, bool] = {}

    def there(path: Path, written: bool) -> Path:
        told[path.name] = written
        return Path("/b") / path.name

    found = mapped(ASKED, there)
    assert told == {"weights": False, "inner": True, "1": False, "2": False, "x": False, "folder": True, "may-be": True}
    assert found == Asked(
        wanted=Wanted(Path("/b/weights")),
        inner=Inner(out=Path("/b/inner")),
        files=(Path("/b/1"), Path("/b/2")),
        named={"x": Path("/b/x")},
        inputs=None,
        folder=Path("/b/folder"),
        may_be=Path("/b/may-be"),
    )


def test_written_files_are_fetched() -> None:
    assert set(written_by(ASKED)) == {Path("/a/inner"), Path("/a/folder"), Path("/a/may-be")}


def test_every_job_is_done_by_the_module_that_it_names() -> None:
    """The name is a text: it starts a process, which has to serve the job of that name."""
    jobs: list[tuple[str, str]] = []
    for path in modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in tree.body:
            if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
                continue
            if ast.unparse(node.value.func) in {"Job", "TellingJob"}:
                module = node.value.args[0]
                name = module.value if isinstance(module, ast.Constant) else texts[ast.unparse(module)]
                jobs.append((ast.unparse(node.targets[0]), str(name)))
    assert len(jobs) > 30
    for job, module_name in jobs:
        served = (ROOT / f"{module_name.replace('.', '/')}.py").read_text(encoding="utf-8")
        assert f"{job}.done_by(" in served or f"{job}.told_by(" in served, job
