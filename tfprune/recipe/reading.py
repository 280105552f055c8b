# SPDX-License-Identifier: Apache-2.0
"""From a document to rules; what is wrong is said with its line."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from tfprune.errors import RecipeError, TfpruneError
from tfprune.recipe.document import Node, Place
from tfprune.recipe.rule import Rule
from tfprune.sparsity import patterns, penalties, schedules

T = TypeVar("T")

_RULE_KEYS = tuple(each.name for each in dataclasses.fields(Rule) if each.name != "place")
#: Fields that are objects of a registry: the module that holds it.
REGISTRIES: dict[str, Any] = {"pattern": patterns, "schedule": schedules, "penalty": penalties}
_EXAMPLES = {
    "pattern": "{Groups: {rows: 4}}",
    "schedule": "{PolynomialDecay: {end_step: 500}}",
    "penalty": "{PriorMaskPenalty: {strength: 100}}",
}


def read_rules(document: Node) -> tuple[list[Rule], str | None]:
    """Reads a recipe.

    Args:
        document: ``{"rules": [...], "scope": ...}``.

    Returns:
        ``(rules, scope)``; None where no scope is given.

    Raises:
        RecipeError: What is wrong, and where.
    """
    check_mapping(document, "a recipe", ("rules", "scope"))
    if "rules" not in document.value:
        document.place.refuse("a recipe must have the key `rules`, a list of rules.")
    listed = document.value["rules"]
    if not isinstance(listed.value, list):
        listed.place.refuse(f"`rules` must be a list. Received: {listed.plain()!r}.")
    scope = document.value.get("scope")
    return [_rule(each) for each in listed.value], None if scope is None else scope.plain()


def written(value: Any, field: str) -> dict[str, Any]:
    """An object of a registry as it stands in a recipe: ``{"Groups": {"rows": 4}}``.

    Args:
        value: The object.
        field: The field of the rule: ``"pattern"``, ``"schedule"`` or ``"penalty"``.

    Returns:
        A dictionary of plain values.
    """
    data = REGISTRIES[field].serialize(value)
    return {data["class_name"]: _plain(data["config"])}


def _rule(node: Node) -> Rule:
    """One rule."""
    check_mapping(node, "a rule", _RULE_KEYS)
    arguments = {key: each.plain() for key, each in node.value.items()}
    for field in REGISTRIES:
        if arguments.get(field) is not None:
            arguments[field] = read_object(node.value[field], field)
    scores = arguments.get("scores")
    if "scores" in arguments and not isinstance(scores, str):
        node.value["scores"].place.refuse(f"`scores` must be a name in a file. Received: {scores!r}.")
    layers = arguments.setdefault("layers", None)
    if not _names_layers(layers):
        node.value["layers"].place.refuse(
            f"`layers` must be a name or a list of names in a file (quote what YAML reads as something else). "
            f"Received: {layers!r}."
        )
    return located(node, lambda: Rule(**arguments, place=str(node.place)))


def _names_layers(layers: Any) -> bool:
    return layers is None or all(isinstance(each, str) for each in (layers if isinstance(layers, list) else [layers]))


def read_object(node: Node, field: str) -> Any:
    """A pattern, schedule or penalty: ``Groups``, or ``{Groups: {rows: 4}}``.

    Args:
        node: Its place in the document.
        field: ``"pattern"``, ``"schedule"`` or ``"penalty"``.

    Returns:
        The object.

    Raises:
        RecipeError: What is wrong, and where.
    """
    value = node.value
    single = isinstance(value, dict) and len(value) == 1
    if not single and not isinstance(value, str):
        node.place.refuse(
            f"`{field}` must be a name, or one name with its arguments, such as {_EXAMPLES[field]}. "
            f"Received: {node.plain()!r}."
        )
    name = next(iter(value)) if single else value
    found = located(node, lambda: REGISTRIES[field].find(name))
    if not single:
        return located(node, lambda: found.from_config({}))
    config = value[name]
    if config.value is None:
        config = Node({}, config.place)
    if dataclasses.is_dataclass(found):
        check_mapping(config, f"`{name}`", [each.name for each in dataclasses.fields(found) if each.init])
    return located(config, lambda: found.from_config(config.plain()))


def check_mapping(node: Node, subject: str, allowed: Collection[str]) -> None:
    """Checks that a node is a mapping of known keys.

    Args:
        node: The node.
        subject: What messages call it.
        allowed: The keys that it may have.

    Raises:
        RecipeError: It is none, or has another key.
    """
    if not isinstance(node.value, dict):
        node.place.refuse(f"{subject} must be a mapping of {', '.join(allowed)}. Received: {node.plain()!r}.")
    for key in node.value:
        if key not in allowed:
            near = difflib.get_close_matches(str(key), allowed, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            node.keys[key].refuse(f"{subject} has no key {key!r}. Known: {', '.join(allowed)}.{hint}")


def located(node: Node, make: Callable[[], T]) -> T:
    """Runs a constructor; its complaint is moved to the place of the key that it is about.

    Args:
        node: The mapping of its arguments.
        make: Makes the object.

    Returns:
        The object.

    Raises:
        RecipeError: With the complaint, and the place.
    """
    try:
        return make()
    except TfpruneError as error:
        place, text = _place_of(error, node), str(error)
        raise RecipeError(
            f"{place}: {text}", field=getattr(error, "field", None), line=place.line, column=place.column
        ) from error


def _place_of(error: TfpruneError, node: Node) -> Place:
    """The value that an error is about: that of its field, or of the first key that it names."""
    if not isinstance(node.value, dict):
        return node.place
    field, text = getattr(error, "field", None), str(error)
    if field is not None and field in node.value:
        return _at(node, field)
    named = {text.find(f"`{key}`"): key for key in node.value if f"`{key}`" in text}
    return _at(node, named[min(named)]) if named else node.place


def _at(node: Node, key: str) -> Place:
    """Where the value of a key stands, or the key itself if the value is of several lines."""
    value: Node = node.value[key]
    return node.keys[key] if isinstance(value.value, dict | list) else value.place


def _plain(value: Any) -> Any:
    """Tuples as lists, as every file format has them."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value
