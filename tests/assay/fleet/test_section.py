"""The section of a study file on its machines: its three forms, and one problem for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.errors import StudyError
from assay.study import Study, load_study
from tests.small_study import small_study

FORMS = '"each kind", a list of names, or a number for each kind'


def read(folder: Path, fleet: str) -> Study:
    (folder / "study.toml").write_text(f"{small_study()}[fleet]\n{fleet}\n")
    return load_study(folder / "study.toml", ())


@pytest.mark.parametrize(
    ("text", "machines"),
    [
        ('address = "auto"', "each kind"),
        ('machines = "each kind"', "each kind"),
        ('machines = ["lab-7", "lab-9"]', ("lab-7", "lab-9")),
        ('machines = {"c7i.large" = 3, icelake = 1}', {"c7i.large": 3, "icelake": 1}),
    ],
)
def test_machines_are_asked_for_in_three_forms(text: str, machines: object, tmp_path: Path) -> None:
    study = read(tmp_path, text)
    assert study.fleet.machines == machines
    assert Study.model_validate_json(study.model_dump_json()).fleet == study.fleet, "as it is sent to machines"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("machines = 3", f"fleet.machines: expected {FORMS}"),
        ('machines = "each"', f"fleet.machines: expected {FORMS}"),
        ("machines = []", "machines names none: give"),
        ("machines = {}", "machines names none: give"),
        ('machines = ["lab-7", "lab-7"]', "machines names one twice"),
        ("machines = [7]", "fleet.machines.names.0: expected text, found 7"),
        ("machines = {small = 0}", "fleet.machines.kinds.small: expected 1 or more, found 0"),
        ("machines = {small = 1.5}", "fleet.machines.kinds.small: expected a whole number, found 1.5"),
        ("machines = {small = 1001}", "fleet.machines.kinds.small: expected 1000 or less, found 1001"),
        ("wait_minutes = 0", "fleet.wait_minutes: expected more than 0"),
        ("selfcheck_minutes = -1", "fleet.selfcheck_minutes: expected 0"),
        ('machine = ["lab-7"]', "fleet.machine: unknown key (did you mean 'machines'?)"),
    ],
)
def test_a_mistake_is_one_problem_that_names_its_key(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError) as caught:
        read(tmp_path, text)
    assert " has 1 problem(s): " in str(caught.value)
    assert said in str(caught.value)
