# SPDX-License-Identifier: Apache-2.0
"""``docs/training.md`` runs and prints what it shows, and its notebook is of this page and of this library."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.docs.pages import DOCS, ROOT, fenced, run, without_numbers

PAGE = DOCS / "training.md"
NOTEBOOK = DOCS / "training.ipynb"
TOOL = runpy.run_path(str(ROOT / "tools" / "make_notebook.py"))
SOME_PAGE = """# Title

Text.

```python
print(1)
```

```text
1
```

More.

```python
x = 2
```
```yaml
not: code
```
"""


@pytest.fixture(scope="module")
def notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def _code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_a_page_becomes_cells() -> None:
    assert TOOL["cells"](SOME_PAGE) == [
        ("markdown", "# Title\n\nText."),
        ("code", "print(1)"),
        ("markdown", "More."),
        ("code", "x = 2"),
        ("markdown", "```yaml\nnot: code\n```"),
    ]


def test_the_page_is_renewed() -> None:
    assert TOOL["renewed"](SOME_PAGE, ["1\n", ""]) == SOME_PAGE
    assert TOOL["renewed"](SOME_PAGE, ["2\n", "unseen"]) == SOME_PAGE.replace("\n1\n", "\n2\n")


def test_the_digest_is_that_of_the_code() -> None:
    cells = TOOL["cells"](SOME_PAGE)
    other_text = [("markdown", "Other."), *cells[1:]]
    other_code = [cells[0], ("code", "print(2)"), *cells[2:]]
    assert TOOL["digest"](cells) == TOOL["digest"](other_text) != TOOL["digest"](other_code)


def test_cells_run_in_a_kernel(tmp_path: Path) -> None:
    cells = [("code", "import os; x = 1; print(os.getcwd())"), ("markdown", "Text."), ("code", "x + 1")]
    first, second = TOOL["run"](TOOL["notebook_of"](cells), tmp_path)
    assert first[0].text.strip() == str(tmp_path)
    assert second[0].data["text/plain"] == "2"
    with pytest.raises(RuntimeError, match="must not warn"):
        TOOL["run"](TOOL["notebook_of"]([("code", "import warnings; warnings.warn('no')")]), tmp_path)


def test_the_notebook_is_this_page(notebook: Any) -> None:
    found = TOOL["cells"](PAGE.read_text(encoding="utf-8"))
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == found, "run `make notebook`"
    assert notebook.metadata["tfprune"]["sha256"] == TOOL["digest"](found), "run `make notebook`"


def test_the_notebook_was_run_from_top_to_bottom(notebook: Any) -> None:
    code = _code(notebook)
    assert [cell.execution_count for cell in code] == [*range(1, len(code) + 1)]
    shown = {output.output_type for cell in code for output in cell.outputs}
    assert shown <= {"stream", "display_data", "execute_result"}
    assert sum("image/png" in output.get("data", {}) for cell in code for output in cell.outputs) == 1


def test_the_notebook_is_small_and_names_no_machine(notebook: Any) -> None:
    assert NOTEBOOK.stat().st_size < 300_000
    printed = "\n".join(TOOL["printed"](cell.outputs) for cell in _code(notebook))
    assert not re.search(r"/(?:tmp|usr|home|root|work)\b|\bms\b|0x[0-9a-f]{6}", printed)


def test_the_page_shows_what_the_notebook_printed(notebook: Any) -> None:
    shown = {block.follows.line: block.text for block in fenced(PAGE, "text") if block.follows}
    blocks = fenced(PAGE, "python")
    assert len(shown) > 8
    for block, cell in zip(blocks, _code(notebook), strict=True):
        assert shown.get(block.line, "") == TOOL["printed"](cell.outputs), f"{PAGE}:{block.line}"


@pytest.mark.slow
def test_the_page_runs(notebook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DOCS)
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    done = run(PAGE, {"__name__": "docs"}, continued=True)
    for (_, printed), cell in zip(done, _code(notebook), strict=True):
        assert without_numbers(printed) == without_numbers(TOOL["printed"](cell.outputs))
