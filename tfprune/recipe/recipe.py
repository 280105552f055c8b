# SPDX-License-Identifier: Apache-2.0
"""A recipe: rules in order, of which the first that matches a layer wins."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from tfprune.errors import RecipeError
from tfprune.recipe.document import Node, from_plain, parse_json, parse_yaml, read_document
from tfprune.recipe.matching import LayerInfo, matches_kernel, matches_layer, spelled
from tfprune.recipe.reading import REGISTRIES, located, read_rules, written
from tfprune.recipe.rule import Rule
from tfprune.sparsity.schedules import Schedule

RecipeLike: TypeAlias = "Recipe | Rule | Sequence[Rule] | Mapping[str, Any] | str | Path"

SCOPES = ("layer", "global")


@dataclass(frozen=True)
class Match:
    """Which rule a kernel gets.

    Args:
        layer: Place of its layer in the list of layers.
        kernel: Its name.
        rule: Place of the rule; None: no rule is for it.
        named: Whether the rule names it, rather than everything that is pruned by default.
        later: Places of further rules that name it, which do nothing here.
    """

    layer: int
    kernel: str
    rule: int | None
    named: bool
    later: tuple[int, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """Which layers get what.

    Args:
        rules: The rules, at least one; of those that match a layer the first wins.
        scope: ``"layer"`` (default): each layer ends at its rule's sparsity. ``"global"``: layers whose rules ask for
            the same sparsity at the same step share one budget, so that what is worth least goes wherever it is.

    Raises:
        RecipeError: No rules, or something else than rules; an unknown scope.

    Example:
        >>> recipe = Recipe.from_yaml('''
        ... rules:
        ...   - layers: stem
        ...     skip: true
        ...   - layers: ["block*", Dense]
        ...     pattern: {Groups: {rows: 4}}
        ...     sparsity: 0.8
        ... ''')
        >>> recipe == Recipe.from_dict(recipe.to_dict())
        True
        >>> layers = [LayerInfo("stem"), LayerInfo("block1"), LayerInfo("head", class_names=("Dense",))]
        >>> [match.rule for match in recipe.match(layers)]
        [0, 1, 1]
    """

    rules: tuple[Rule, ...]
    scope: str = "layer"

    def __init__(self, rules: Sequence[Rule] | Rule, scope: str = "layer") -> None:
        """Checks the arguments."""
        listed = tuple(rules) if isinstance(rules, Iterable) else (rules,)
        wrong = [each for each in listed if not isinstance(each, Rule)]
        if wrong or not listed:
            received = repr(wrong[0]) if wrong else "none"
            raise RecipeError(f"`rules` of a `Recipe` must be at least one `Rule`. Received: {received}.")
        if scope not in SCOPES:
            raise RecipeError(f"`scope` must be one of {list(SCOPES)}. Received: scope={scope!r}.", field="scope")
        object.__setattr__(self, "rules", listed)
        object.__setattr__(self, "scope", scope)

    @classmethod
    def of(cls, value: RecipeLike) -> Recipe:
        """Takes what can stand for a recipe.

        Args:
            value: A recipe, a rule or several, a dictionary, or the path of a file.

        Returns:
            The recipe.

        Raises:
            RecipeError: Something else, or what is wrong in it.
        """
        if isinstance(value, Recipe):
            return value
        if isinstance(value, Mapping):
            return cls.from_dict(value)
        if isinstance(value, (str, Path)):
            return cls.load(value)
        if isinstance(value, (Rule, list, tuple)):
            return cls(value)
        raise RecipeError(
            "A recipe must be a `Recipe`, a `Rule`, a list of rules, a dictionary, or the path of a YAML or JSON file. "
            f"Received: {value!r}."
        )

    @classmethod
    def load(cls, path: str | Path) -> Recipe:
        """Reads a file: ``.json`` as JSON, ``.yaml`` and ``.yml`` as YAML, in letters of any case.

        Args:
            path: The file, in UTF-8.

        Returns:
            The recipe.

        Raises:
            RecipeError: No such file, another suffix, or what is wrong in it, with its line.
        """
        return cls._from_document(read_document(path, "recipe"))

    @classmethod
    def from_yaml(cls, text: str) -> Recipe:
        """Reads YAML.

        Args:
            text: The document, not its path; see `load`.

        Returns:
            The recipe.

        Raises:
            RecipeError: What is wrong, with its line.
        """
        return cls._from_document(parse_yaml(text, "recipe"))

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Reads JSON.

        Args:
            text: The document, not its path; see `load`.

        Returns:
            The recipe.

        Raises:
            RecipeError: What is wrong, with its line.
        """
        return cls._from_document(parse_json(text, "recipe"))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """Undoes `to_dict`.

        Args:
            data: ``{"rules": [{"layers": ..., "pattern": {name: arguments}, ...}, ...], "scope": ...}``.

        Returns:
            The recipe.

        Raises:
            RecipeError: What is wrong.
        """
        return cls._from_document(from_plain(data, "recipe"))

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain values, for ``json.dumps`` and ``yaml.safe_dump``.

        Returns:
            What `from_dict` takes.

        Raises:
            RecipeError: Classes, functions or objects of unregistered classes in a rule.
        """
        rules = [_rule_to_dict(rule, place) for place, rule in enumerate(self.rules)]
        return {"rules": rules} if self.scope == "layer" else {"rules": rules, "scope": self.scope}

    def name_of(self, rule: int) -> str:
        """A rule in words.

        Args:
            rule: Its place.

        Returns:
            Such as ``"rule 2 (recipe.yaml, line 7, column 5)"``, counted from 1.
        """
        place = self.rules[rule].place
        return f"rule {rule + 1} ({place})" if place else f"rule {rule + 1}"

    def with_schedule(self, schedule: Schedule) -> Recipe:
        """The same recipe with a schedule for the rules that have none, such as those of a mapping.

        Args:
            schedule: How fast the layers get their rule's sparsity; its own final sparsity counts for rules that have
                none.

        Returns:
            A new recipe.

        Example:
            >>> from tfprune.sparsity.patterns import Groups
            >>> from tfprune.sparsity.schedules import PolynomialDecay
            >>> recipe = Recipe(Rule("conv", Groups(rows=4), 0.8)).with_schedule(PolynomialDecay(end_step=500))
            >>> recipe.rules[0].training_schedule().sparsity(500)
            0.8
        """
        rules = (
            each if each.skip or each.schedule is not None else dataclasses.replace(each, schedule=schedule)
            for each in self.rules
        )
        return Recipe(tuple(rules), self.scope)

    def match(self, layers: Sequence[LayerInfo]) -> list[Match]:
        """Finds the rule of every kernel.

        Args:
            layers: The layers of a model.

        Returns:
            One entry a kernel, in order.

        Raises:
            RecipeError: A part of a rule's `layers` that matches no layer, or none that can be pruned.
        """
        for index, rule in enumerate(self.rules):
            self._check_parts(index, rule, layers)
        return [self._match(place, info, kernel) for place, info in enumerate(layers) for kernel in info.kernels]

    def _match(self, place: int, info: LayerInfo, kernel: str) -> Match:
        found = [index for index, rule in enumerate(self.rules) if rule.matches(info, kernel)]
        if not found:
            return Match(place, kernel, None, named=False)
        named = tuple(index for index in found[1:] if self.rules[index].layers is not None)
        return Match(place, kernel, found[0], self.rules[found[0]].layers is not None, named)

    def _check_parts(self, index: int, rule: Rule, layers: Sequence[LayerInfo]) -> None:
        """Every part of `layers` must match something that the rule can be for."""
        for part in rule.parts:
            found = [
                info
                for info in layers
                if matches_layer(part, info) or any(matches_kernel(part, info, kernel) for kernel in info.kernels)
            ]
            if not found:
                raise RecipeError(
                    f"Every part of `layers` (`filters` of a callback) must match a layer. Received: {spelled(part)} "
                    f"in {self.name_of(index)}, which matches none of {[info.name for info in layers]}.",
                    field="layers",
                )
            if not rule.skip and not any(info.kernels for info in found):
                listed = "; ".join(
                    f"{info.name} ({next(iter(info.class_names), 'unknown class')}): "
                    f"{info.obstacle or 'without a kernel of a supported kind'}"
                    for info in found
                )
                raise RecipeError(
                    "Every part of `layers` (`filters` of a callback) must match a layer that can be pruned. Received: "
                    f"{spelled(part)} in {self.name_of(index)}, which matches only {listed}. "
                    "Kernels of layers inside others are named by path, such as 'lstm/*'.",
                    field="layers",
                )

    @classmethod
    def _from_document(cls, document: Node) -> Recipe:
        rules, scope = read_rules(document)
        return located(document, lambda: cls(rules, "layer" if scope is None else scope))


def _rule_to_dict(rule: Rule, place: int) -> dict[str, Any]:
    """The fields of a rule that are not the default."""
    data: dict[str, Any] = {}
    for each in dataclasses.fields(rule):
        value = getattr(rule, each.name)
        if not each.compare or value == each.default:
            continue
        if each.name in REGISTRIES:
            data[each.name] = written(value, each.name)
        elif each.name == "layers":
            data["layers"] = None if value is None else list(rule.parts)
        else:
            data[each.name] = value
    unwritten = [part for part in (*rule.parts, rule.scores) if not isinstance(part, str)]
    if unwritten:
        raise RecipeError(
            f"Classes and functions cannot be written into a recipe. Received: {spelled(unwritten[0])} in rule "
            f"{place + 1}. Name the layers or scores instead."
        )
    return data
