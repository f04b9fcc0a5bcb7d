"""Shared fixtures of the report's tests: one written report, one browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from assay.bench.report.write import write_report
from assay.records.results import Results
from tests.bench.report.sample_explanations import explained_results
from tests.bench.report.sample_results import sample_samples

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="session")
def results() -> Results:
    return explained_results()


@pytest.fixture(scope="session")
def written(results: Results, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The files of a whole report, written once."""
    return write_report(results, sample_samples(results), tmp_path_factory.mktemp("study") / "report")


@pytest.fixture(scope="session")
def report(written: list[Path]) -> Path:
    """The report's folder."""
    return written[0].parent


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real headless Chromium. Without one the tests are skipped, or fail if CI is set.

    Its event loop and processes end with a module's tests, because other modules check for either.
    """
    executable = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if executable is None:
        reason = f"no browser was found; install one of {', '.join(BROWSERS)}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield running
        running.close()
