# SPDX-License-Identifier: Apache-2.0
"""The data files of mapping: those that come with tfprune, a user's own, or dictionaries."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from tfprune.errors import MappingError, RecipeError
from tfprune.recipe.document import Node, from_plain, parse_yaml, read_document

#: A file, or what it would hold.
Document = str | os.PathLike[str] | Mapping[str, Any]


@contextlib.contextmanager
def mapping_errors() -> Iterator[None]:
    """What is wrong in a document, with its line, as a :class:`~tfprune.errors.MappingError`."""
    try:
        yield
    except RecipeError as error:
        raise MappingError(str(error)) from error


def open_document(source: Document | None, packaged: str, subject: str) -> Node:
    """Reads a data file.

    Args:
        source: YAML or JSON file, or a dictionary; None: the file that comes with tfprune.
        packaged: name of that file.
        subject: what messages call it.

    Raises:
        RecipeError: it cannot be read; to be caught by :func:`mapping_errors`.
    """
    if source is None:
        return parse_yaml((resources.files("tfprune.mapping") / packaged).read_text("utf-8"), packaged)
    if isinstance(source, Mapping):
        return from_plain(source, subject)
    return read_document(source, subject)
