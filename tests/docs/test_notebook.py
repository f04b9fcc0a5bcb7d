"""The tutorial's notebook runs, with live models of three frameworks, and is a page of the site."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.notebook import NOTEBOOK, page_of, run

FRAMEWORKS = {"torch.eager": "torch", "tf.function": "keras", "jax.jit": "jax"}


def test_the_page_has_the_text_the_code_and_what_it_gave() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    page = page_of(notebook)
    assert page.startswith("# In a notebook")
    for native, package in FRAMEWORKS.items():
        assert f"import {package}\n" in page
        assert f"<td style='text-align:left;padding:2px 12px 2px 0;vertical-align:top'>{native}</td>" in page
    assert "def classify(features):" in page.partition("artifacts/live/classify.py")[2], "the file that was written"
    assert notebook["cells"][-1]["outputs"], "run by `make notebook`"
    assert "Traceback" not in page


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path) -> None:
    pytest.importorskip("nbclient")
    done = run(NOTEBOOK, tmp_path)
    page = page_of(done)
    for native in FRAMEWORKS:
        assert f">{native}</td>" in page
    (found,) = [
        cell for cell in done["cells"] if "of_jax)" in str(cell["source"]) and "one.audit" in str(cell["source"])
    ]
    text = "".join(found["outputs"][0]["data"]["text/plain"])
    assert text.count("True") == len(FRAMEWORKS), "every audit passed"
