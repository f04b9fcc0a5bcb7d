"""Everything about a task is in its file: no other file names a task or uses its vocabulary."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.bench.tasks.task import Task, task, task_of_images
from assay.errors import InputError
from assay.registry import TASKS
from tests.test_runtimes_say_it_themselves import texts

ROOT = Path(__file__).parents[3]
PLACE = ROOT / "bench" / "tasks"
WORDS = re.compile(r"Classes changed|changed class\b|[Pp]ixels changed|pixel accuracy|mean IoU|no predicted class")
"""Words that belong to a task, wherever they are shown."""


def modules() -> list[Path]:
    tops = ("assay", "train", "export", "infer", "bench")
    found = [path for top in tops for path in sorted((ROOT / top).rglob("*.py"))]
    return [path for path in found if PLACE not in path.parents]


def test_no_other_module_names_a_task() -> None:
    """A study's architectures and plain models get their task from `assay.registry`."""
    named = {
        (str(path.relative_to(ROOT)), node.value) for path in modules() for node in texts(path) if node.value in TASKS
    }
    wires = {(place, name) for place, name in named if place.startswith("infer/server/front/")}
    assert {name for _, name in wires} == {"classification"}, "a parameter of the Open Inference Protocol"
    assert named - wires == {("assay/registry.py", name) for name in TASKS}, "ask the task on record instead"


def test_no_other_module_has_a_tasks_words() -> None:
    assert [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.value!r}"
        for path in modules()
        for node in texts(path)
        if WORDS.search(node.value) and path != ROOT / "assay" / "registry.py"
    ] == []


def test_no_module_asks_which_task_it_is() -> None:
    """No comparison with a task's name and no `isinstance` of a task: code asks the task."""
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare)
        and any(isinstance(side, ast.Name | ast.Attribute) and "TASK" in ast.unparse(side) for side in node.comparators)
        and not isinstance(node.ops[0], ast.In | ast.NotIn)
    ]
    assert [one for one in wrong if not one.startswith("bench/cli/user.py")] == [], "the command shows what was given"


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_one_entry_that_answers(name: str) -> None:
    found = task(name)
    assert isinstance(found, Task)
    assert found.name == name
    assert found.changed_heading
    assert found.chart_note


def test_a_study_s_images_have_no_class_for_each_pixel() -> None:
    assert task_of_images("numerical").name == "numerical"
    with pytest.raises(InputError, match=r'segmentation.*task = "classification" or "numerical"'):
        task_of_images("segmentation")


TASK_S_OWN = (PLACE, ROOT / "assay" / "numerics" / "classification", ROOT / "export" / "classification")
WORDS_IN_NAMES = re.compile(
    r"(^|_)(flip|flips|flipped|top1|accuracy|accuracies|calibration|recall|confusion)(_|$)", re.I
)
CALIBRATES = "ranges of integers are calibrated, which is another word"
ARGUED = {
    "assay/fingerprint.py": "a clock is calibrated",
    "assay/numerics/judgement.py": "a decision that is another one is a flip, of every task that decides",
    "assay/records/audit.py": "a record holds what its task gives it to hold, and the names of version 3",
    "assay/records/stale.py": "likewise, where a part of it is out of date",
    "assay/records/localisation.py": CALIBRATES,
    "assay/records/results.py": CALIBRATES,
    "assay/records/trainings.py": "our architectures are trained to classify",
    "assay/study.py": CALIBRATES,
    "bench/auditing/record.py": "fills the record with what the task gives",
    "bench/brought/exports.py": CALIBRATES,
    "bench/brought/work.py": CALIBRATES,
    "bench/course.py": CALIBRATES,
    "bench/fleet/differences.py": "our architectures are trained to classify",
    "bench/history/series.py": "our architectures are trained to classify",
    "bench/report/quality.py": "our architectures are trained to classify",
    "bench/report/sections/models/agreement.py": "reads a judgement",
    "bench/report/sections/reasons/knee.py": "our architectures are trained to classify",
    "bench/run.py": CALIBRATES,
    "bench/stages/audit.py": "fills the record with what the task gives",
    "bench/stages/groups.py": CALIBRATES,
    "bench/stages/exports.py": CALIBRATES,
    "bench/stages/time.py": CALIBRATES,
    "bench/stages/train.py": "our architectures are trained to classify",
    "bench/words/progress.py": "our architectures are trained to classify",
}
"""Modules outside of classification that may have names with such words, and why."""
ROOMS = {
    "train": "our architectures are trained to classify",
    "export/programs": CALIBRATES,
    "export/variants": CALIBRATES,
}


def names_in(path: Path) -> Iterator[str]:
    """Every name that a module defines, imports or takes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        found = [getattr(node, field, None) for field in ("id", "attr", "arg", "name")]
        yield from (one for one in found if isinstance(one, str))


def test_names_of_classification_appear_nowhere_else() -> None:
    speaking = {
        str(path.relative_to(ROOT))
        for path in modules()
        if not any(place in path.parents for place in TASK_S_OWN)
        and any(WORDS_IN_NAMES.search(name) for name in names_in(path))
    }
    elsewhere = {one for one in speaking if not one.startswith(tuple(f"{room}/" for room in ROOMS))}
    assert elsewhere - set(ARGUED) == set(), "a task's own: move it there, or argue here why not"
    assert set(ARGUED) - elsewhere == set(), "nothing to argue about any more"


def test_modules_of_one_task_are_used_by_it_alone() -> None:
    """Folders of classification below `bench/tasks`, and modules that pass on images or numbers for a task."""
    rooms = ("assay.bench.tasks.classification", "assay.export.classification")
    importing = {
        str(path.relative_to(ROOT))
        for path in modules()
        if not any(place in path.parents for place in TASK_S_OWN)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(rooms)
    }
    assert importing == set(), "ask the task on record"
