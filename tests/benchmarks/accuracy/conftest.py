# SPDX-License-Identifier: Apache-2.0
"""The studies' modules, whichever of them is loaded first."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

from tests.benchmarks.conftest import BENCHMARKS


@pytest.fixture
def load(load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """As for other scripts; the package adds the examples to the path once only, and each test takes that back."""
    monkeypatch.syspath_prepend(str(BENCHMARKS.parent / "examples"))
    return load
