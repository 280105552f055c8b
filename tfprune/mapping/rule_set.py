# SPDX-License-Identifier: Apache-2.0
"""The rules of rule-based mapping, read from a file that anyone can change."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from tfprune.errors import MappingError
from tfprune.mapping.candidates import listed_patterns
from tfprune.mapping.documents import Document, mapping_errors, open_document
from tfprune.mapping.network import KINDS, NetworkLayer
from tfprune.recipe.document import Node, Place
from tfprune.recipe.reading import check_mapping
from tfprune.sparsity.configured import as_float, as_whole
from tfprune.sparsity.patterns import Pattern

TASKS = ("easy", "hard")
_SUBJECT = "file of rules"


@dataclasses.dataclass(frozen=True)
class MappingRule:
    """What layers may become.

    Attributes:
        kinds: of the layers, of :data:`~tfprune.mapping.network.KINDS`; none: all.
        because: why, in words.
        layers: patterns of their names; none: all.
        task: ``"easy"`` or ``"hard"``; ``""``: both.
        patterns: from fine to coarse; none: the layers stay dense.
        alternatives: what may take their place, from fine to coarse.
        places: where each of `layers` stands.
    """

    kinds: tuple[str, ...]
    because: str
    layers: tuple[str, ...] = ()
    task: str = ""
    patterns: tuple[Pattern, ...] = ()
    alternatives: tuple[Pattern, ...] = ()
    places: tuple[Place, ...] = dataclasses.field(default=(), compare=False)

    def matches(self, layer: NetworkLayer, task: str) -> bool:
        """Whether the rule is for a layer."""
        return self.task in ("", task) and _is_among(layer, self.kinds, self.layers)


@dataclasses.dataclass(frozen=True)
class RateLimit:
    """The most zeros that layers may have.

    Attributes:
        most_rate: share of zeros in [0, 1); 0: the layers stay dense.
        because: why, in words.
        kinds: of the layers; none: all.
        layers: patterns of their names; none: all.
        first: whether it is for the first layer of the model only.
        fewer_weights: it is for layers with fewer weights only; None: for all.
        places: where each of `layers` stands.
    """

    most_rate: float
    because: str
    kinds: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    first: bool = False
    fewer_weights: int | None = None
    places: tuple[Place, ...] = dataclasses.field(default=(), compare=False)

    def matches(self, layer: NetworkLayer, *, first: bool) -> bool:
        """Whether the limit is for a layer; ``first``: whether it is the first one of its model."""
        small = self.fewer_weights is None or layer.weights.size < self.fewer_weights
        return small and (first or not self.first) and _is_among(layer, self.kinds, self.layers)


@dataclasses.dataclass(frozen=True)
class RuleSet:
    """Rules and limits, in order.

    Attributes:
        rules: of which the first that matches a layer counts.
        limits: of which the least of those that match counts.
    """

    rules: tuple[MappingRule, ...]
    limits: tuple[RateLimit, ...]

    def check_layers(self, layers: Iterable[NetworkLayer]) -> None:
        """Refuses a name of layers that a model has none for: it would do nothing, and nobody would know.

        Args:
            layers: all layers of the model.

        Raises:
            MappingError: with the place of the name.
        """
        known = [layer.name for layer in layers]
        parts: tuple[MappingRule | RateLimit, ...] = (*self.rules, *self.limits)
        for part in parts:
            for name, place in zip(part.layers, part.places, strict=True):
                if not any(fnmatchcase(each, name) for each in known):
                    with mapping_errors():
                        place.refuse(
                            f"`layers` must match a layer of the model. Received: {name!r}; the model has "
                            f"{', '.join(known)}."
                        )

    def rule(self, layer: NetworkLayer, task: str) -> MappingRule | None:
        """The rule of a layer; None: there is none for it."""
        return next((rule for rule in self.rules if rule.matches(layer, task)), None)

    def limit(self, layer: NetworkLayer, *, first: bool) -> RateLimit:
        """The limit of a layer."""
        matching = [limit for limit in self.limits if limit.matches(layer, first=first)]
        return min(matching, key=lambda limit: limit.most_rate, default=_NO_LIMIT)


#: Where a file sets no limit: a layer keeps something.
_NO_LIMIT = RateLimit(0.99, "something must be left of every layer")


def read_rule_set(source: Document | None = None) -> RuleSet:
    """Reads rules.

    Args:
        source: YAML or JSON file, or dictionary; None (default): ``rules.yaml`` of tfprune.

    Raises:
        MappingError: what is wrong, and where.
    """
    with mapping_errors():
        document = open_document(source, "rules.yaml", _SUBJECT)
        check_mapping(document, f"a {_SUBJECT}", ("rules", "limits"))
        if "rules" not in document.value:
            document.place.refuse(f"a {_SUBJECT} must have the key `rules`, a list of rules.")
        rules = tuple(_rule(node) for node in _listed(document.value["rules"], "rules"))
        limits = tuple(_limit(node) for node in _listed(document.value.get("limits"), "limits"))
        return RuleSet(rules, limits)


def checked_task(task: Any) -> str:
    """Refuses what is no task.

    Raises:
        MappingError: neither ``"easy"`` nor ``"hard"``.
    """
    if task not in TASKS:
        raise MappingError(f"task must be one of {', '.join(TASKS)}, got {task!r}")
    return str(task)


def _is_among(layer: NetworkLayer, kinds: tuple[str, ...], names: tuple[str, ...]) -> bool:
    named = not names or any(fnmatchcase(layer.name, name) for name in names)
    return named and (not kinds or layer.kind in kinds)


def _rule(node: Node) -> MappingRule:
    check_mapping(node, "a rule", ("kinds", "layers", "task", "dense", "patterns", "alternatives", "because"))
    task, dense = _plain(node, "task"), _flag(node, "dense")
    if task is not None and task not in TASKS:
        node.value["task"].place.refuse(f"`task` must be one of {', '.join(TASKS)}. Received: {task!r}.")
    if dense == ("patterns" in node.value):
        node.place.refuse("a rule must have either `patterns` or `dense: true`.")
    if dense and "alternatives" in node.value:
        node.keys["alternatives"].refuse("a rule with `dense: true` must have no `alternatives`.")
    return MappingRule(
        kinds=_kinds(node),
        because=_because(node),
        layers=_names(node, "layers"),
        task=task or "",
        patterns=_patterns(node, "patterns"),
        alternatives=_patterns(node, "alternatives"),
        places=_places(node, "layers"),
    )


def _limit(node: Node) -> RateLimit:
    check_mapping(node, "a limit", ("kinds", "layers", "first", "fewer_weights", "most_rate", "because"))
    most, first, fewer = _plain(node, "most_rate"), _flag(node, "first"), _plain(node, "fewer_weights")
    if not 0 <= as_float(most) < 1:
        place = node.value["most_rate"].place if "most_rate" in node.value else node.place
        place.refuse(f"`most_rate` must be a number in [0, 1). Received: {most!r}.")
    if fewer is not None and (as_whole(fewer) or 0) < 1:
        node.value["fewer_weights"].place.refuse(
            f"`fewer_weights` must be a whole number of at least 1. Received: {fewer!r}."
        )
    names, places = _names(node, "layers"), _places(node, "layers")
    return RateLimit(float(most), _because(node), _kinds(node), names, first, fewer, places)


def _listed(node: Node | None, key: str) -> list[Node]:
    if node is None:
        return []
    if not isinstance(node.value, list):
        node.place.refuse(f"`{key}` must be a list. Received: {node.plain()!r}.")
    return list(node.value)


def _plain(node: Node, key: str) -> Any:
    return node.value[key].plain() if key in node.value else None


def _flag(node: Node, key: str) -> bool:
    found = _plain(node, key)
    if found is not None and not isinstance(found, bool):
        node.value[key].place.refuse(f"`{key}` must be true or false. Received: {found!r}.")
    return bool(found)


def _because(node: Node) -> str:
    text = _plain(node, "because")
    if not isinstance(text, str) or not text.strip():
        place = node.value["because"].place if "because" in node.value else node.place
        place.refuse(f"`because` must say why, in words. Received: {text!r}.")
    return str(text).strip()


def _names(node: Node, key: str) -> tuple[str, ...]:
    found = _plain(node, key)
    if found is None:
        return ()
    if not isinstance(found, list) or not found or not all(isinstance(each, str) for each in found):
        node.value[key].place.refuse(f"`{key}` must be a list of names. Received: {found!r}.")
    return tuple(found)


def _places(node: Node, key: str) -> tuple[Place, ...]:
    return tuple(each.place for each in node.value[key].value) if key in node.value else ()


def _kinds(node: Node) -> tuple[str, ...]:
    found = _names(node, "kinds")
    for place, kind in enumerate(found):
        if kind not in KINDS:
            node.value["kinds"].value[place].place.refuse(f"`kinds` must be of {', '.join(KINDS)}. Received: {kind!r}.")
    return found


def _patterns(node: Node, key: str) -> tuple[Pattern, ...]:
    return listed_patterns(node.value[key], key) if key in node.value else ()
