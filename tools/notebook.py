"""The documentation's notebook: run anew (`make notebook`), and as a page of the site.

python -m tools.notebook    # needs the extra 'notebook'
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "docs" / "tutorials" / "notebook.ipynb"
CELL_SECONDS = 1200
Cell = dict[str, Any]


def run(path: Path, folder: Path) -> dict[str, Any]:
    """The notebook with its outputs, after running all of it in a kernel of this environment.

    Args:
        folder: that it runs in, where it leaves its artifacts.

    Raises:
        Exception: of nbclient's, where a cell raises.
    """
    import nbclient  # noqa: PLC0415 - of an extra that the site does not need
    import nbformat  # noqa: PLC0415

    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=CELL_SECONDS, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    for cell in notebook.cells:
        cell.metadata = {}
        cell.get("outputs", [])[:] = [one for one in cell.get("outputs", []) if one.get("name") != "stderr"]
    notebook.metadata.pop("language_info", None)  # the exact version of Python says nothing
    found: dict[str, Any] = json.loads(nbformat.writes(notebook))
    return found


def page_of(notebook: dict[str, Any]) -> str:
    """The notebook as Markdown: its text, its code, and what that gave."""
    return "\n".join(line for cell in notebook["cells"] for line in (*_lines(cell), ""))


def _lines(cell: Cell) -> Iterator[str]:
    text = _text(cell["source"])
    if cell["cell_type"] == "markdown":
        yield text
        return
    yield from ("```python", text, "```")
    for output in cell.get("outputs", []):
        shown = output.get("data", {"text/plain": output.get("text", "")})
        if "text/html" in shown:
            yield from ("", f'<div class="output">{_text(shown["text/html"])}</div>')
        else:
            yield from ("", "```text", _text(shown.get("text/plain", "")).rstrip(), "```")


def _text(lines: str | list[str]) -> str:
    return lines if isinstance(lines, str) else "".join(lines)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        done = run(NOTEBOOK, Path(scratch))
    NOTEBOOK.write_text(json.dumps(done, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
