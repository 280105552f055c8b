# SPDX-License-Identifier: Apache-2.0
"""A figure that notebooks show; loaded with matplotlib, so only when something is drawn."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


class NotebookFigure(Figure):
    """A figure that shows itself where it ends a cell.

    Notebooks show figures of matplotlib only where ``%matplotlib inline`` has been asked for, and else their name.
    """

    def _repr_png_(self) -> bytes:
        """The picture, as notebooks ask for it."""
        content = io.BytesIO()
        self.savefig(content, format="png")
        return content.getvalue()
