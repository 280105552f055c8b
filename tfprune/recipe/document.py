# SPDX-License-Identifier: Apache-2.0
"""Recipes as text: YAML and JSON read into values that know their line and column."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from tfprune.errors import RecipeError


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


def from_plain(value: Any, source: str) -> Node:
    """A document without lines.

    Args:
        value: Dictionaries, lists and plain values.
        source: What messages call it.
    """
    place = Place(source)
    if isinstance(value, Mapping):
        keys = {key: place for key in value}
        return Node({key: from_plain(each, source) for key, each in value.items()}, place, keys)
    if isinstance(value, (list, tuple)):
        return Node([from_plain(each, source) for each in value], place)
    return Node(value, place)


def parse_yaml(text: str, source: str) -> Node:
    """Reads YAML.

    Args:
        text: The document.
        source: What messages call it.

    Raises:
        RecipeError: It is no YAML, empty, or holds more than one document.
    """
    try:
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                raise RecipeError(f"{source} is empty. Write at least one rule under `rules`.")
            return _Reader(loader, source).read(root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(source) if mark is None else _place(mark, source)
        text = f"{error.context} {error.problem}"
        hint = " Patterns with `*` or `?` must be quoted: '*_conv'." if "alias" in text or "'?'" in text else ""
        place.refuse(f"not valid YAML: {error.problem or error.context}.{hint}")
    except yaml.YAMLError as error:
        raise RecipeError(f"{source}: not valid YAML: {error}.") from error


def parse_json(text: str, source: str) -> Node:
    """Reads JSON.

    Args:
        text: The document.
        source: What messages call it.

    Raises:
        RecipeError: It is no JSON.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        Place(source, error.lineno, error.colno).refuse(f"not valid JSON: {error.msg}.")
    # YAML finds the places. It refuses tabs between values, and reads 1e-3 as text: values are those of JSON.
    return _with_values(parse_yaml(text.replace("\t", " "), source), value)


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

    def __init__(self, loader: yaml.SafeLoader, source: str) -> None:
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
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return Node([self.read(each) for each in node.value], place)
        return Node(self._loader.construct_object(node), place)

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
