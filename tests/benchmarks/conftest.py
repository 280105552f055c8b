# SPDX-License-Identifier: Apache-2.0
"""Scripts of ``benchmarks`` as modules, and a way to run them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

Script = Callable[..., str]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """``load(name)``: the script as a module; they import each other as neighbours."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def script(load: Callable[[str], ModuleType]) -> Script:
    """``script(name, *arguments)``: runs it and returns what it printed; fails where it does."""

    def run(name: str, *arguments: object, code: int = 0) -> str:
        result = CliRunner().invoke(load(name).main, [str(each) for each in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        # A script says what is wrong as the exit code: SystemExit("message").
        message = str(result.exception.code) if isinstance(result.exception, SystemExit) else ""
        assert (result.exit_code != 0) == (code != 0), f"{result.output}\n{message}"
        return f"{result.output}\n{message}"

    return run
