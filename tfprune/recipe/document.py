# SPDX-License-Identifier: Apache-2.0
"""Recipes as text: YAML and JSON read into values that know their line and column."""

from __future__ import annotations

import json
import os
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from tfprune.errors import RecipeError

#: Lists and mappings in each other; a ramp of a penalty of a rule is the deepest, at 7.
_DEEPEST = 32
_TOO_DEEP = f"lists and mappings must not lie in each other more than {_DEEPEST} deep. Received: a deeper nesting."
_COLLECTIONS = ("tag:yaml.org,2002:seq", "tag:yaml.org,2002:map")


class _Loader(yaml.SafeLoader):
    """PyYAML's YAML 1.1, and the numbers that only YAML 1.2 and JSON have, such as ``5e-1``."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


@dataclass(frozen=True)
class Place:
    """Where something stands.

    Args:
        source: Name of the file, or ``"recipe"``.
        line: From 1; None: not from text.
        column: From 1.
    """

    source: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        """``"recipe.yaml, line 3, column 5"``."""
        return self.source if self.line is None else f"{self.source}, line {self.line}, column {self.column}"

    def refuse(self, text: str) -> NoReturn:
        """Raises the error that names this place.

        Args:
            text: What is wrong.

        Raises:
            RecipeError: Always.
        """
        raise RecipeError(f"{self}: {text}", line=self.line, column=self.column)


@dataclass
class Node:
    """A value of a document.

    Args:
        value: Dictionary or list of nodes, or a plain value.
        place: Where it begins.
        keys: For a dictionary, where its keys stand.
    """

    value: Any
    place: Place
    keys: dict[str, Place] = field(default_factory=dict)

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def read_document(path: str | os.PathLike[str], subject: str) -> Node:
    """Reads a file: ``.json`` as JSON, ``.yaml`` and ``.yml`` as YAML, in letters of any case.

    Args:
        path: The file, in UTF-8.
        subject: What messages call it, such as ``"recipe"``.

    Raises:
        RecipeError: No such file, another suffix, or what is wrong in it, with its line.
    """
    readers = {".json": parse_json, ".yaml": parse_yaml, ".yml": parse_yaml}
    suffix = Path(path).suffix.lower() if isinstance(path, (str, os.PathLike)) else None
    if suffix not in readers:
        raise RecipeError(f"A {subject} is a file that ends in {', '.join(readers)}. Received: {path!r}.")
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"The {subject} {str(path)!r} cannot be read: {error}.") from error
    return readers[suffix](text, path.name)


def from_plain(value: Any, source: str, depth: int = 0) -> Node:
    """A document without lines.

    Args:
        value: Dictionaries, lists and plain values.
        source: What messages call it.
        depth: How many dictionaries and lists it lies in.

    Raises:
        RecipeError: More of them than a recipe has.
    """
    place = Place(source)
    if depth > _DEEPEST:
        place.refuse(_TOO_DEEP)
    if isinstance(value, Mapping):
        keys = {key: place for key in value}
        return Node({key: from_plain(each, source, depth + 1) for key, each in value.items()}, place, keys)
    if isinstance(value, (list, tuple)):
        return Node([from_plain(each, source, depth + 1) for each in value], place)
    return Node(value, place)


def parse_yaml(text: str, source: str) -> Node:
    """Reads YAML.

    Args:
        text: The document.
        source: What messages call it.

    Raises:
        RecipeError: It is no YAML, empty, nested too deeply, or holds tags or more than one document.
    """
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                raise RecipeError(f"{source} is empty. Write the mapping that it must hold.")
            return _Reader(loader, source).read(root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(source) if mark is None else _place(mark, source)
        text = f"{error.context} {error.problem}"
        hint = " Patterns with `*` or `?` must be quoted: '*_conv'." if "alias" in text or "'?'" in text else ""
        place.refuse(f"not valid YAML: {error.problem or error.context}.{hint}")
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        column = len(before) - before.rfind("\n")
        character = f"the character {chr(error.character)!a} is not allowed"
        Place(source, before.count("\n") + 1, column).refuse(
            f"not valid YAML: {character}. Leave it out, or write it as an escape in double quotes."
        )
    except RecursionError:
        Place(source).refuse(_TOO_DEEP)


def parse_json(text: str, source: str) -> Node:
    """Reads JSON.

    Args:
        text: The document.
        source: What messages call it.

    Raises:
        RecipeError: It is no JSON, or nested too deeply.
    """
    text = text.removeprefix("\ufeff")
    try:
        value = json.loads(text, parse_int=_whole)
    except json.JSONDecodeError as error:
        Place(source, error.lineno, error.colno).refuse(f"not valid JSON: {error.msg}.")
    except RecursionError:
        Place(source).refuse(_TOO_DEEP)
    # YAML finds the places. It refuses tabs between values and some characters in them: values are those of JSON.
    places = parse_yaml(yaml.reader.Reader.NON_PRINTABLE.sub("?", text.replace("\t", " ")), source)
    return _with_values(places, value)


def _whole(digits: str) -> int | float:
    """A whole number of JSON; one with more digits than Python reads is infinite until YAML's reader refuses it."""
    try:
        return int(digits)
    except ValueError:
        return float(digits)


def _with_values(node: Node, value: Any) -> Node:
    """The same places with other plain values."""
    if isinstance(value, dict):
        # What YAML takes for a merge key, or spells otherwise, has the place of what is round it.
        inner = node.value if isinstance(node.value, dict) else {}
        parts = {key: _with_values(inner.get(key, node), each) for key, each in value.items()}
        return Node(parts, node.place, {key: node.keys.get(key, node.place) for key in value})
    if isinstance(value, list):
        listed = node.value if isinstance(node.value, list) else [node] * len(value)
        return Node([_with_values(part, each) for part, each in zip(listed, value, strict=True)], node.place)
    return Node(value, node.place)


def _place(mark: yaml.Mark, source: str) -> Place:
    return Place(source, mark.line + 1, mark.column + 1)


class _Reader:
    """Turns YAML's nodes into those of a document; a node that aliases repeat is read once."""

    def __init__(self, loader: _Loader, source: str) -> None:
        self._loader = loader
        self._source = source
        self._done: dict[int, Node] = {}
        self._open: set[int] = set()

    def read(self, node: yaml.Node) -> Node:
        """The node with everything in it."""
        place = _place(node.start_mark, self._source)
        if id(node) in self._open:
            place.refuse("an alias must not stand inside of what it repeats.")
        if id(node) not in self._done:
            self._open.add(id(node))
            self._done[id(node)] = self._read(node, place)
            self._open.remove(id(node))
        return self._done[id(node)]

    def _read(self, node: yaml.Node, place: Place) -> Node:
        if len(self._open) - 1 > _DEEPEST:  # it is open itself
            place.refuse(_TOO_DEEP)
        if isinstance(node, yaml.CollectionNode) and node.tag not in _COLLECTIONS:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            place.refuse(f"lists and mappings must not have tags. Received: {tag}. Leave it out.")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return Node([self.read(each) for each in node.value], place)
        try:
            return Node(self._loader.construct_object(node), place)
        except ValueError:  # more digits than Python reads, a date that is none
            place.refuse(
                "what looks like a number or a date must be one that can be read. Received: "
                f"{reprlib.repr(node.value)}. Write another, or quote it if it is a name."
            )

    def _mapping(self, node: yaml.MappingNode, place: Place) -> Node:
        own: dict[str, Place] = {}
        for key, _ in node.value:
            at = _place(key.start_mark, self._source)
            if not isinstance(key, yaml.ScalarNode):
                at.refuse("a key must be a name.")
            if key.value in own:
                at.refuse(f"the key {key.value!r} stands twice. Keep one of them.")
            own[key.value] = at
        # Replaces the merge key `<<` by what it refers to, in front of the mapping's own keys.
        self._loader.flatten_mapping(node)
        keys = {key.value: _place(key.start_mark, self._source) for key, _ in node.value}
        return Node({key.value: self.read(value) for key, value in node.value}, place, keys)
