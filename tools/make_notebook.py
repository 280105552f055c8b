# SPDX-License-Identifier: Apache-2.0
"""Makes ``docs/training.ipynb`` of ``docs/training.md``: ``make notebook``.

The page is the one source. Its text becomes cells of Markdown and its blocks of Python cells of code; the output that
the page shows below a block, marked ``text``, is left out there and renewed from what the notebook printed. The
notebook holds a digest of the code that ran, which tells outputs of an older page: where it is that of the page, they
stay and only the text is taken over. ``--run`` runs the code in any case, as after a change of the library. What
TensorFlow logs is not kept; a Python warning stops the run.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import click
import nbformat
from nbclient import NotebookClient

PAGE = Path(__file__).resolve().parents[1] / "docs" / "training.md"
NOTEBOOK = PAGE.with_suffix(".ipynb")
_SECONDS_A_CELL = 1200
_CODE = re.compile(r"^```python\n(.*?)^```\n(\n```text\n.*?^```\n)?", re.MULTILINE | re.DOTALL)


def cells(page: str) -> list[tuple[str, str]]:
    """The cells of a page, in order: ``"markdown"`` or ``"code"``, and the content."""
    found = []
    end = 0
    for match in _CODE.finditer(page):
        found += [("markdown", page[end : match.start()].strip()), ("code", match[1].strip())]
        end = match.end()
    found.append(("markdown", page[end:].strip()))
    return [cell for cell in found if cell[1]]


def renewed(page: str, printed: list[str]) -> str:
    """The page with the output that it shows replaced by what each of its blocks printed."""
    left = iter(printed)

    def block(match: re.Match[str]) -> str:
        text = next(left)
        return f"```python\n{match[1]}```\n" + (f"\n```text\n{text}```\n" if match[2] else "")

    return _CODE.sub(block, page)


def digest(found: list[tuple[str, str]]) -> str:
    """SHA-256 of the code."""
    return hashlib.sha256(json.dumps([text for kind, text in found if kind == "code"]).encode()).hexdigest()


def notebook_of(found: list[tuple[str, str]], outputs: list[list[Any]] | None = None) -> nbformat.NotebookNode:
    """The notebook of some cells, with the outputs of each cell of code, or none yet."""
    notebook = nbformat.v4.new_notebook(
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
            "tfprune": {"source": PAGE.name, "sha256": digest(found)},
        }
    )
    left = iter(enumerate(outputs or [], start=1))
    for place, (kind, text) in enumerate(found):
        if kind == "markdown":
            cell = nbformat.v4.new_markdown_cell(text, id=f"cell-{place}")
        else:
            count, shown = next(left, (None, []))
            cell = nbformat.v4.new_code_cell(text, id=f"cell-{place}", execution_count=count, outputs=shown)
        notebook.cells.append(cell)
    return notebook


def outputs_of(notebook: nbformat.NotebookNode) -> list[list[Any]]:
    """What each cell of code put out."""
    return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]


def printed(outputs: list[Any]) -> str:
    """The text that a cell printed."""
    return "".join(each.text for each in outputs if each.output_type == "stream")


def run(notebook: nbformat.NotebookNode, folder: Path) -> list[list[Any]]:
    """Runs the notebook in ``folder``, in a kernel of its own, and returns what each cell of code put out.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised an error.
        RuntimeError: a cell warned.
    """
    options = {"timeout": _SECONDS_A_CELL, "record_timing": False, "coalesce_streams": True}
    client = NotebookClient(notebook, **options, resources={"metadata": {"path": str(folder)}})
    client.execute(env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    return [[each for each in shown if not _is_log(each)] for shown in outputs_of(notebook)]


def _is_log(output: Any) -> bool:
    if output.get("name") != "stderr":
        return False
    if "Warning: " in output.text:
        raise RuntimeError(f"A cell of the notebook must not warn. Received: {output.text} Mend what it warns of.")
    return True


@click.command()
@click.option("--run", "anew", is_flag=True, help="Run the code also where it is that of the notebook.")
def main(anew: bool) -> None:
    """Take the page over into the notebook, and run it where its code has changed."""
    page = PAGE.read_text(encoding="utf-8")
    found = cells(page)
    before = nbformat.read(NOTEBOOK, as_version=4) if NOTEBOOK.exists() else None
    if before is not None and not anew and before.metadata["tfprune"]["sha256"] == digest(found):
        outputs = outputs_of(before)
    else:
        outputs = run(notebook_of(found), PAGE.parent)
    notebook = notebook_of(found, outputs)
    nbformat.validate(notebook)
    NOTEBOOK.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    PAGE.write_text(renewed(page, [printed(shown) for shown in outputs]), encoding="utf-8")
    click.echo(f"{NOTEBOOK}: {NOTEBOOK.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
