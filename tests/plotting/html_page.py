# SPDX-License-Identifier: Apache-2.0
"""HTML pages as tests look at them."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser


class Page(HTMLParser):
    """Tags in order, and whether all that open are closed."""

    VOID = frozenset({"meta", "img", "input", "br", "link"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def outside(self) -> list[str]:
        """Addresses of what the page does not hold itself."""
        return [
            value
            for _, attrs in self.tags
            for name, value in attrs.items()
            if name in ("src", "href", "data", "action") and value and not value.startswith(("data:", "#"))
        ]

    def pictures(self) -> list[bytes]:
        """The PNG files of the page."""
        sources = [attrs["src"] or "" for tag, attrs in self.tags if tag == "img"]
        assert all(source.startswith("data:image/png;base64,") for source in sources)
        return [base64.b64decode(source.split(",")[1]) for source in sources]


def loads_something(text: str) -> bool:
    """Whether styles or frames of a page name anything outside of it."""
    return re.search(r"url\(|@import|<link|<iframe|\bsrc=\"http", text) is not None
