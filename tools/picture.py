"""The picture in README: the first screen of the published report, as Chromium shows it. `make picture` takes it."""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

REPORT = Path(__file__).parent.parent / "artifacts" / "reference" / "report"
PICTURE = REPORT / "first-screen.png"
WIDTH, HEIGHT = 1200, 860
LAST = "nav"
"""Pixels of the screen, and what stands last in the picture: it is cut below that, and through nothing."""


def take(report: Path, picture: Path) -> None:
    """Show a report in a window of that size and keep what stands there."""
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next((found for name in names if (found := shutil.which(name))), None)
    with sync_playwright() as playwright:
        window = playwright.chromium.launch(executable_path=browser)
        page = window.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto((report / "report.html").as_uri())
        page.wait_for_load_state("networkidle")
        last = page.locator(LAST).first.bounding_box()
        assert last is not None, "a report has its contents below the answer"
        below = round(last["y"] + last["height"]) + 1
        page.screenshot(path=picture, full_page=True, clip={"x": 0, "y": 0, "width": WIDTH, "height": below})
        window.close()


if __name__ == "__main__":
    take(REPORT, PICTURE)
