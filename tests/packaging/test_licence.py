# SPDX-License-Identifier: Apache-2.0
"""Every source file names its licence near its top."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = {
    ".S",
    ".bzl",
    ".c",
    ".cc",
    ".cfg",
    ".cl",
    ".h",
    ".inc",
    ".j2",
    ".java",
    ".lds",
    ".pro",
    ".py",
    ".sh",
    ".toml",
    ".xml",
}
NAMES = {"BUILD", "MODULE.bazel", "Makefile", "WORKSPACE", ".bazelrc", ".clang-format", "run"}
# Made by the build or by tools, never committed.
SKIPPED = {".cache", ".git", ".venv", "build", "dist", "shared"}


def _sources() -> list[Path]:
    found: list[Path] = []
    for top in REPOSITORY.iterdir():
        if top.name in SKIPPED or top.name.startswith("bazel-"):
            continue
        files = [top] if top.is_file() else [path for path in top.rglob("*") if path.is_file()]
        found += [path for path in files if path.suffix in SOURCES | {".BUILD"} or path.name in NAMES]
    return found


def test_every_source_has_its_spdx_line() -> None:
    sources = _sources()
    assert {"setup.py", "pyproject.toml", "Makefile", "delegate.cc", "run"} <= {path.name for path in sources}
    missing = [
        str(path.relative_to(REPOSITORY))
        for path in sources
        if "SPDX-License-Identifier: Apache-2.0" not in path.read_text(encoding="utf-8")[:200]
    ]
    assert missing == []
