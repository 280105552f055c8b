# SPDX-License-Identifier: Apache-2.0
"""The code in pages of Markdown, and the one way to run it."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*(?:e[+-]?\d+)?")


@dataclasses.dataclass(frozen=True)
class Block:
    """One fenced block of a page.

    Attributes:
        page: the file.
        line: the line of its first line of content, from 1.
        language: what stands behind the opening fence; empty for output that is shown as it is printed.
        text: the content.
        follows: the block right before it, with nothing but an empty line between, or None.
    """

    page: Path
    line: int
    language: str
    text: str
    follows: Block | None = None

    def run(self, names: dict[str, Any]) -> str:
        """Executes Python with the variables ``names`` and returns what it printed; errors show the page's lines."""
        printed = io.StringIO()
        code = compile("\n" * (self.line - 1) + self.text, str(self.page), "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        return printed.getvalue()


def fenced(page: Path, language: str | None = None) -> list[Block]:
    """The blocks of a page, in order; of one language, or all."""
    text = page.read_text(encoding="utf-8")
    found: list[Block] = []
    end = 0
    for match in _FENCED.finditer(text):
        line = text.count("\n", 0, match.start()) + 2
        follows = found[-1] if found and not text[end : match.start()].strip() else None
        found.append(Block(page, line, match[1], match[2], follows))
        end = match.end()
    return [block for block in found if language is None or block.language == language]


def run(page: Path, names: dict[str, Any], *, continued: bool) -> list[tuple[Block, str]]:
    """Runs the Python blocks of a page from top to bottom, and compares what they print with what stands below them.

    A block without a language below a block of Python is its output, letter by letter. One of language ``text`` is it
    up to its numbers and the widths of its columns: what training on another processor ends with.

    Args:
        page: the file.
        names: variables that the blocks begin with.
        continued: whether a block goes on with the variables of the one before it.

    Returns:
        Each block with what it printed.
    """
    blocks = fenced(page)
    done: list[tuple[Block, str]] = []
    for block in (block for block in blocks if block.language == "python"):
        done.append((block, block.run(names if continued else dict(names))))
    printed = {block.line: text for block, text in done}
    for block in blocks:
        if block.follows is not None and block.follows.line in printed and block.language in ("", "text"):
            found, shown = printed[block.follows.line], block.text
            if block.language == "text":
                found, shown = without_numbers(found), without_numbers(shown)
            assert found == shown, f"{page}:{block.line}: this is not what the block above prints"
    return done


def without_numbers(text: str) -> str:
    """The text with every number as ``#``, and without what follows from their widths: rules and runs of spaces."""
    lines = (_NUMBER.sub("#", line) for line in text.splitlines())
    return "\n".join(" ".join(line.replace("-", " ").split()) for line in lines if line.strip())


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """The files that a page links to, and the anchors in them (empty: none)."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield (page.parent / path).resolve() if path else page, anchor


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, named as GitHub names them."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
