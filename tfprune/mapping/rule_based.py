# SPDX-License-Identifier: Apache-2.0
"""Rule-based mapping: without training, from predicted latency and rules that anyone can change."""

from __future__ import annotations

import math
import os
from collections import abc
from collections.abc import Callable
from typing import Any

from tfprune.costs import CostTable
from tfprune.errors import MappingError
from tfprune.mapping.budget import Budget, used_text
from tfprune.mapping.choice import Choice
from tfprune.mapping.documents import Document
from tfprune.mapping.inputs import latency_model
from tfprune.mapping.latency import LatencyModel
from tfprune.mapping.mapping import Mapping
from tfprune.mapping.network import NetworkLayer
from tfprune.mapping.reasons import reason
from tfprune.mapping.rule_plan import Decision, OpenLayer, RulePlan
from tfprune.mapping.rule_set import RuleSet, checked_task, read_rule_set
from tfprune.sparsity.configured import as_float

METHOD = "rules"


def rules(
    model: Any,
    profile: CostTable | str | os.PathLike[str],
    *,
    latency_ms: float | None = None,
    latency_ratio: float | None = None,
    size_bytes: float | None = None,
    mac_ratio: float | None = None,
    task: str = "easy",
    tolerance: float = 0.2,
    rules: Document | None = None,
    min_speedup: float = 1.05,
    precision: str = "float32",
    representative_data: Any = None,
    custom_objects: abc.Mapping[str, Any] | None = None,
    force: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Mapping:
    """Maps a model by rules, without training.

    A rule says which patterns a layer of a kind may have. Of them it takes the finest whose predicted latency is within
    `tolerance` of that of coarse structured pruning at the same rate. One common rate, cut by limits a layer, is found
    so that the budget is just met. Where unaligned groups keep more of a layer's magnitude in the same predicted time,
    they take the place of the rule's pattern. Every choice comes with its reason. After Gong et al. 2021
    (arXiv:2111.11581).

    Args:
        model: a built and trained Keras model, or a ``.keras`` file.
        profile: the device's cost table: ``"arm64"``, ``"host"``, a ``.json`` file, or one that is loaded.
        latency_ms: budget: milliseconds a run, for profiles in units of time.
        latency_ratio: budget: share of the dense model's predicted latency, in (0, 1].
        size_bytes: budget: bytes of the layers' kernels as they are stored.
        mac_ratio: budget: share of the dense layers' multiply-adds, in (0, 1]. Give exactly one of the four.
        task: ``"easy"`` (default; few classes and small images, as CIFAR) or ``"hard"`` (as ImageNet).
        tolerance: how much slower than coarse structured pruning a pattern may be, as a share of its time.
        rules: YAML or JSON file, or dictionary, of rules and limits. None (default): ``rules.yaml`` of tfprune.
        min_speedup: as for :func:`tfprune.convert`, which must be given the same.
        precision: as for :func:`tfprune.convert`.
        representative_data: as for :func:`tfprune.convert`.
        custom_objects: as for :func:`tfprune.convert`.
        force: whether a profile of another device or library version is used all the same.
        progress: called with what is done next; None (default): nothing.

    Returns:
        The mapping. Where no mapping meets the budget, the closest one, with ``met`` False and a note that says why.

    Raises:
        MappingError: a model, budget, task, tolerance or rule that is wrong.
        ProfileError: a profile of another device or library version.
        ConversionError: a model that cannot be converted, or a cost table that breaks a rule.

    Example:
        >>> mapping = tfprune.mapping.rules("classifier.keras", "arm64", latency_ratio=0.5)
        >>> print(mapping)
        >>> mapping.save_recipe("recipe.yaml")
    """
    budget = Budget.of(latency_ms=latency_ms, latency_ratio=latency_ratio, size_bytes=size_bytes, mac_ratio=mac_ratio)
    known, checked = read_rule_set(rules), checked_task(task)
    _check_tolerance(tolerance)
    advance = progress or (lambda _: None)
    advance("Reading the model")
    latency = latency_model(
        model,
        profile,
        min_speedup=min_speedup,
        precision=precision,
        representative_data=representative_data,
        custom_objects=custom_objects,
        force=force,
    )
    return map_by_rules(latency, budget, known, task=checked, tolerance=tolerance, progress=advance)


def map_by_rules(
    latency: LatencyModel,
    budget: Budget,
    known: RuleSet,
    *,
    task: str = "easy",
    tolerance: float = 0.2,
    progress: Callable[[str], None] = lambda _: None,
) -> Mapping:
    """:func:`rules` on a model that was read.

    Args:
        latency: predicts the model.
        budget: what must be met.
        known: the rules.
        task: as for :func:`rules`.
        tolerance: as for :func:`rules`.
        progress: called with what is done next.

    Raises:
        MappingError: milliseconds of a profile that counts something else, or a rule for layers that there are not.
    """
    known.check_layers(latency.network.layers)
    reasons: dict[str, str] = {}
    opened: dict[str, OpenLayer] = {}
    for place, layer in enumerate(latency.network.layers):
        found = _opened(layer, known, task, first=place == 0)
        if isinstance(found, OpenLayer):
            opened[layer.name] = found
        else:
            reasons[layer.name] = f"stays dense: {found}"
    decisions: dict[str, Decision] = {}
    if latency.dense.share(budget, latency.dense) <= 1:
        reasons |= dict.fromkeys(opened, "stays dense: the dense model meets the budget")
    elif opened:
        plan = RulePlan(latency, budget, opened, tolerance, progress)
        decisions = plan.decide()
        for name, decision in decisions.items():
            verdict = plan.curves.verdict(name, decision.pattern)
            reasons[name] = reason(
                opened[name], decision, unit=latency.table.unit, tolerance=tolerance, verdict=verdict
            )
    return _mapping(latency, budget, decisions, reasons)


def _opened(layer: NetworkLayer, known: RuleSet, task: str, *, first: bool) -> OpenLayer | str:
    """The layer with its rule, or why it stays dense."""
    rule = known.rule(layer, task)
    if layer.obstacle:
        return layer.obstacle
    if rule is None:
        return f"no rule is for layers of kind {layer.kind}"
    if not rule.patterns:
        return rule.because
    # A rule that names layers means them.
    if layer.spared and not rule.layers:
        return f"{layer.spared} (name it in `layers` of a rule to prune it)"
    limit = known.limit(layer, first=first)
    if not limit.most_rate:
        return limit.because
    found = OpenLayer.of(layer, rule, limit)
    if not found.patterns:
        shape = "x".join(map(str, layer.weights.shape))
        return f"no pattern of its rule fits {shape} with at most {limit.most_rate:.0%} zeros"
    return found


def _mapping(latency: LatencyModel, budget: Budget, decisions: dict[str, Decision], reasons: dict[str, str]) -> Mapping:
    choices = {name: decision.choice for name, decision in decisions.items()}
    found = latency.predict(choices)
    # The lines between predicted rates may say that a layer gains where the prediction of its very rate does not.
    for name, choice in choices.items():
        if not choice.dense and not found.layers[name].sparse:
            choices[name] = Choice()
            reasons[name] = f"stays dense: {found.layers[name].reason}"
    notes = []
    used = latency.predict(choices).share(budget, latency.dense)
    if used > 1:
        sparse = sum(not choice.dense for choice in choices.values())
        notes.append(
            f"no mapping by these rules meets the budget: with the most zeros that the limits allow in {sparse} of "
            f"{len(latency.network.layers)} layers, {used_text(used)}; this is the closest one"
        )
    return Mapping.of(latency, choices, budget=budget, method=METHOD, reasons=reasons, notes=notes)


def _check_tolerance(tolerance: Any) -> None:
    if not 0 <= as_float(tolerance) < math.inf:
        raise MappingError(f"tolerance must be a finite number of at least 0, got {tolerance!r}")
