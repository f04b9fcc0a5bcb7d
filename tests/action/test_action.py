"""The GitHub Action: its own steps and scripts run on a real repository with a base branch and a change."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.action.runner import ACTION, ROOT, Runner
from tests.onnx_files import onnx_model

HOW_TO = (ROOT / "docs" / "how-to" / "github-actions.md").read_text(encoding="utf-8")
WIDTH = 256


def model(layers: int) -> onnx.ModelProto:
    """A chain of matrix products, whose time is about proportional to the number of layers."""
    rng = np.random.default_rng(0)
    weights = [(rng.normal(size=(WIDTH, WIDTH)) / WIDTH**0.5).astype(np.float32) for _ in range(layers)]
    names = ["x", *(f"h{place}" for place in range(1, layers)), "y"]
    nodes = [helper.make_node("MatMul", [names[place], f"w{place}"], [names[place + 1]]) for place in range(layers)]
    kept = [numpy_helper.from_array(one, f"w{place}") for place, one in enumerate(weights)]
    return onnx_model(nodes, {"x": ["rows", WIDTH]}, {"y": ["rows", WIDTH]}, kept, ir_version=9)


def git(folder: Path, *words: str) -> None:
    named = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]
    subprocess.run(["git", *named, *words], cwd=folder, check=True, capture_output=True)


def checked_out(folder: Path, base: onnx.ModelProto | None, new: onnx.ModelProto | None) -> Runner:
    """A checkout of a branch that is one commit ahead of its base, as actions/checkout makes it."""
    origin = folder / "origin"
    origin.mkdir()
    git(origin, "init", "--quiet", "--initial-branch", "main")
    for branch, content in (("main", base), ("change", new)):
        if branch == "change":
            git(origin, "switch", "--quiet", "--create", "change")
        (origin / "README.md").write_text(branch)
        (origin / "nets").mkdir(exist_ok=True)
        path = origin / "nets" / "net.onnx"
        path.unlink(missing_ok=True)
        if content is not None:
            onnx.save(content, path)
        git(origin, "add", "--all")
        git(origin, "commit", "--quiet", "--message", branch)
    git(folder, "clone", "--quiet", "--depth", "1", "--branch", "change", origin.as_uri(), "checkout")
    return Runner(folder)


def test_every_input_reaches_a_script_and_every_script_gets_what_it_reads() -> None:
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    for name in ACTION["inputs"]:
        assert re.search(rf"\$\{{\{{ .*inputs\.{name}\b", text), name
    for step in ACTION["runs"]["steps"]:
        script = re.search(r"tools/action/\w+\.sh", step["run"])
        assert script, "nothing but a script, which is tested, and no input within a command"
        read = set(re.findall(r"\$\{?((?:ASSAY|GH)_[A-Z_]+)", (ROOT / script[0]).read_text(encoding="utf-8")))
        assert read <= set(step["env"]), step["name"]
    assert {f"`{name}`" for name in ACTION["inputs"]} <= set(re.findall(r"`\w+`", HOW_TO))


def test_a_model_that_is_new_is_nothing_to_compare(tmp_path: Path) -> None:
    found = checked_out(tmp_path, None, model(1)).run(model="nets/net.onnx")
    assert (found.code, found.outputs["verdict"]) == (0, "new")
    assert "The base has no `nets/net.onnx`" in found.summary
    assert found.posted.startswith("<!-- assay regress nets/net.onnx -->\n### Nothing to compare with")
    assert found.calls[-1].startswith("pr comment 7 --repo owner/models --body-file ")
    assert not (tmp_path / "checkout" / ".assay-base").exists()


@pytest.mark.slow
def test_the_action_installs_the_assay_that_it_is_of(tmp_path: Path) -> None:
    """The environment of its own comes first in the path of the later steps, and its Assay answers for an ONNX file."""
    runner = checked_out(tmp_path, model(1), model(1))
    git(tmp_path, "clone", "--quiet", "--depth", "1", ROOT.as_uri(), "action")
    runner.skipped, runner.action = (), tmp_path / "action"
    found = runner.run(model="nets/net.onnx", extras="", minutes="0.3", comment="false")
    environment = tmp_path / "temp" / "assay-environment" / "bin"
    assert (tmp_path / "temp" / "path").read_text().splitlines() == [str(environment)], found.said
    assert (environment / "assay").is_file()
    assert found.outputs["verdict"] in {"passed", "failed"}, (
        found.said
    )  # failed where no time is valid, on a busy machine
    assert "Traceback" not in found.said


def test_an_earlier_comment_is_updated(tmp_path: Path) -> None:
    runner = checked_out(tmp_path, None, model(1))
    (tmp_path / "gh").mkdir()
    (tmp_path / "gh" / "earlier").write_text("815\n4711\n")
    found = runner.run(model="nets/net.onnx")
    assert found.calls[-1].startswith("api --silent --method PATCH repos/owner/models/issues/comments/815 ")
    assert "Nothing to compare with" in found.posted


def test_a_token_that_may_only_read_costs_the_comment_and_not_the_verdict(tmp_path: Path) -> None:
    runner = checked_out(tmp_path, None, model(1))
    (tmp_path / "gh").mkdir()
    (tmp_path / "gh" / "refuses").touch()
    found = runner.run(model="nets/net.onnx")
    assert (found.code, found.outputs["verdict"]) == (0, "new")
    assert "::warning::" in found.said
    assert "Nothing to compare with" in found.summary


def test_without_a_comment_nothing_is_posted(tmp_path: Path) -> None:
    found = checked_out(tmp_path, None, model(1)).run(model="nets/net.onnx", comment="false")
    assert (found.code, found.calls) == (0, [])
    assert "Nothing to compare with" in found.summary


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"model": "nets/none.onnx"}, "There is no nets/none.onnx in this checkout"),
        ({"model": "nets/net.py:build"}, "There is no nets/net.py in this checkout"),
        ({"model": "nets/net.onnx", "base": "no-such-branch"}, "The base no-such-branch cannot be fetched"),
    ],
)
def test_what_cannot_be_compared_fails_with_the_reason(inputs: dict[str, str], message: str, tmp_path: Path) -> None:
    found = checked_out(tmp_path, model(1), model(1)).run(**inputs)
    assert (found.code, found.outputs["verdict"]) == (2, "failed")
    assert f"::error::{message}" in found.said
    assert message in found.posted


def test_without_a_base_branch_it_says_what_to_name(tmp_path: Path) -> None:
    runner = checked_out(tmp_path, model(1), model(1))
    runner.base_ref = ""
    found = runner.run(model="nets/net.onnx")
    assert found.code == 2
    assert "name one with the input 'base'" in found.posted


def test_an_error_of_the_command_is_reported_and_fails(tmp_path: Path) -> None:
    found = checked_out(tmp_path, model(1), model(1)).run(model="nets/net.onnx", arguments="--batch none")
    assert (found.code, found.outputs["verdict"]) == (2, "failed")
    assert "--batch: expected a whole number, found 'none'" in found.posted


@pytest.mark.slow
def test_a_model_that_became_slower_fails_and_is_reported(tmp_path: Path) -> None:
    runner = checked_out(tmp_path, model(2), model(8))
    options = "--runtime ort.cpu --batch 8"
    found = runner.run(model="nets/net.onnx", minutes="0.7", threshold="50", arguments=options)
    assert (found.code, found.outputs["verdict"]) == (1, "regression"), found.said
    assert "Regression: 1 cell slower by more than 50 %, of 1 cell." in found.posted
    assert "| `net/0/b8/t1/ort.cpu@given` |" in found.posted
    assert "measured in turns in one session" in found.posted
    assert found.posted.endswith(found.summary)
    (case,) = ElementTree.parse(found.outputs["junit"]).iter("testcase")
    assert case.find("failure") is not None


@pytest.mark.slow
def test_a_model_that_stayed_as_it_was_passes(tmp_path: Path) -> None:
    found = checked_out(tmp_path, model(4), model(4)).run(
        model="nets/net.onnx", minutes="0.7", threshold="50", arguments="--runtime ort.cpu --batch 8"
    )
    assert (found.code, found.outputs["verdict"]) == (0, "passed"), found.said
    assert "No regression: none of 1 cell" in found.posted
    assert "The two give the same outputs for the same inputs." in found.posted


def test_scripts_are_bash_that_can_be_read() -> None:
    bash = shutil.which("bash")
    assert bash
    for script in sorted((ROOT / "tools" / "action").glob("*.sh")):
        assert subprocess.run([bash, "-n", str(script)], check=False).returncode == 0, script
