# SPDX-License-Identifier: Apache-2.0
"""Every code block of ``docs/from_tfmot.md`` runs."""

from __future__ import annotations

from tests.docs.pages import DOCS, run


def test_blocks() -> None:
    assert run(DOCS / "from_tfmot.md", {"__name__": "docs"}, continued=False)
