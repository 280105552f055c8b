# SPDX-License-Identifier: Apache-2.0
"""The source's whole pipeline: a mapping trained with a reweighted penalty, rates that emerge, a cut and retraining."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.api import is_keras_model
from tfprune.costs import CostTable
from tfprune.errors import MappingError, PatternError
from tfprune.mapping.budget import used_text
from tfprune.mapping.choice import DENSE, Choice
from tfprune.mapping.inputs import latency_model, whole_number
from tfprune.mapping.latency import LatencyModel
from tfprune.mapping.mapping import Mapping
from tfprune.mapping.recipe_rules import exactly, paths_first
from tfprune.recipe import Recipe, Rule
from tfprune.sparsity.configured import as_float
from tfprune.sparsity.penalties import ReweightedGroupPenalty
from tfprune.sparsity.schedules import ConstantSparsity, StrengthRamp
from tfprune.sparsity.select import select_global

if TYPE_CHECKING:
    from tfprune.keras.report import PruningReport

#: Halvings of the interval of the global threshold.
_HALVINGS = 12
#: Neither all layers together nor one of them loses more.
_MOST_SPARSE, _MOST_SPARSE_LAYER = 0.97, 0.985
Arrays = dict[str, npt.NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class TrainedMapping:
    """What :func:`train` did.

    Attributes:
        mapping: the patterns of the mapping that was given, with the rates that emerged.
        report: what pruning did to each layer.
        penalty_history: logs of the penalty phase, by metric, one number an epoch.
        retraining_history: the same of the retraining.
    """

    mapping: Mapping
    report: PruningReport
    penalty_history: dict[str, list[float]]
    retraining_history: dict[str, list[float]]

    def __str__(self) -> str:
        """The mapping that emerged, and what pruning did."""
        return f"{self.mapping}\n\n{self.report}"

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "mapping": self.mapping.to_dict(),
            "report": self.report.to_dict(),
            "penalty_history": self.penalty_history,
            "retraining_history": self.retraining_history,
        }


def train(
    model: Any,
    mapping: Mapping,
    profile: CostTable | str | os.PathLike[str],
    x: Any,
    y: Any = None,
    *,
    penalty_epochs: int,
    retraining_epochs: int,
    strength: float = 0.01,
    refreshes: int = 4,
    representative_data: Any = None,
    force: bool = False,
    prepare: Callable[[Any, str], None] | None = None,
    **fit: Any,
) -> TrainedMapping:
    """Trains a mapping: a penalty phase, a cut that shares one threshold, and retraining with the masks held.

    1. **Penalty**: ``strength * sum_g |W_g| / (|W_g|_old + eps)`` over the groups of each layer's mapped pattern, the
       denominators refreshed `refreshes` times: small groups die out, large ones are hardly touched. Nothing is cut.
    2. **Rates emerge**: one threshold on the norms of the groups of all layers, just high enough that the model is
       predicted to meet the mapping's budget. A layer that would not gain stays dense. Patterns that cannot share a
       threshold (see :func:`tfprune.select_global`) keep the rate of the mapping.
    3. **Retraining** with these masks.

    Args:
        model: the compiled Keras model that the mapping is for; it is changed.
        mapping: patterns by layer, and the budget.
        profile: the device's cost table that the mapping was made with: its name, its file, or one that is loaded.
        x: as for ``model.fit``.
        y: as for ``model.fit``.
        penalty_epochs: epochs of the first phase, at least 1.
        retraining_epochs: epochs of the last phase, at least 1.
        strength: of the penalty in the end, at least 0; it rises over the first half of the phase. A group of norm
            ``n`` that nothing holds loses the share ``learning rate * strength / n ** 2`` a step.
        refreshes: how often the denominators are looked at anew, at least 1.
        representative_data: as for :func:`tfprune.convert`; needed where the mapping is for int8.
        force: whether a profile of another device or library version is used all the same.
        prepare: called with the model and ``"penalty"`` or ``"retraining"`` before each phase, such as to compile it
            with a learning rate of that phase. None (default): the model stays compiled as it is.
        **fit: further arguments of both calls of ``model.fit``, but for ``epochs``.

    Returns:
        The mapping that emerged and what became of each layer.

    Raises:
        MappingError: the mapping leaves every layer dense, does not meet its budget or is for another model, an
            argument outside its range, or data that do not say how many steps an epoch has.
        ProfileError: a profile of another device or library version.
        PruningError: the model cannot be pruned, or an epoch has fewer steps than the data said.

    Example:
        >>> mapping = tfprune.mapping.rules(model, "phone.json", latency_ms=12)
        >>> trained = tfprune.mapping.train(
        ...     model, mapping, "phone.json", images, labels, penalty_epochs=4, retraining_epochs=6
        ... )
        >>> tfprune.convert(model, device="phone.json").save("pruned.tflite")
    """
    from tfprune.keras.callback import PruningCallback
    from tfprune.keras.kernel_snapshot import KernelSnapshot

    _check(penalty_epochs, retraining_epochs, strength, refreshes, prepare, fit)
    _check_model(model, mapping, compiled_later=prepare is not None)
    callbacks = _as_list(fit.pop("callbacks", None))
    steps = penalty_epochs * _steps_per_epoch(x, fit)
    latency = latency_model(
        model,
        profile,
        min_speedup=mapping.min_speedup,
        precision=mapping.precision,
        representative_data=representative_data,
        force=force,
    )
    sparse = _sparse_choices(mapping, latency)
    penalty = ReweightedGroupPenalty(
        StrengthRamp(strength, end_step=max(1, steps // 2)), refresh=max(1, steps // (refreshes + 1))
    )
    # The cut of this phase comes with its last step; what it leaves is put aside for the threshold.
    cut = ConstantSparsity(begin_step=steps - 1, frequency=1)
    rules = _rules(mapping, sparse, schedule=cut, penalty=penalty)
    before_cut = KernelSnapshot(rules, steps - 1)
    if prepare is not None:
        prepare(model, "penalty")
    if int(model.steps_per_execution) != 1:
        raise MappingError(
            f"model must be compiled with steps_per_execution=1, got {int(model.steps_per_execution)}: the kernels are "
            "looked at before the last step of the penalty phase"
        )
    first = model.fit(
        x, y, epochs=penalty_epochs, callbacks=[before_cut, PruningCallback(recipe=rules), *callbacks], **fit
    )
    before_cut.restore()
    emerged = _emerged(mapping, latency, sparse, before_cut.kernels)
    if prepare is not None:
        prepare(model, "retraining")
    kept = {name: choice for name, choice in emerged.choices.items() if not choice.dense}
    pruning = PruningCallback(recipe=_rules(emerged, kept, schedule=ConstantSparsity(end_step=0), scores="l2"))
    second = model.fit(x, y, epochs=retraining_epochs, callbacks=[pruning, *callbacks], **fit)
    return TrainedMapping(emerged, pruning.report, first.history, second.history)


def _rules(mapping: Mapping, choices: dict[str, Choice], **options: Any) -> Recipe:
    """A rule for each layer, which carries its name as the place that messages give."""
    rules = [
        Rule(exactly(name), choice.pattern, choice.sparsity, min_weights=0, place=name, **options)
        for name, choice in choices.items()
    ]
    rules += [Rule(exactly(name), skip=True, place=name) for name in mapping.choices if name not in choices]
    return Recipe(sorted(rules, key=lambda rule: paths_first(rule.place)))


def _emerged(mapping: Mapping, latency: LatencyModel, sparse: dict[str, Choice], kernels: Arrays) -> Mapping:
    """The mapping whose rates one threshold makes, the lowest that meets the budget."""
    shared = {name: choice for name, choice in sparse.items() if _shares(kernels[name], choice, latency, name)}
    held = {name: choice for name, choice in sparse.items() if name not in shared}
    if not shared:
        return mapping
    choices = {**held, **_within(mapping, latency, held, shared, kernels)}
    # What gains nothing stays dense, and the others make up for it.
    lost = {name for name, each in latency.predict(choices).layers.items() if name in shared and not each.sparse}
    if lost and lost != set(shared):
        shared = {name: choice for name, choice in shared.items() if name not in lost}
        choices = {**held, **_within(mapping, latency, held, shared, kernels)}
    predicted = latency.predict(choices).layers
    choices = {name: choice if predicted[name].sparse else DENSE for name, choice in choices.items()}
    reasons = {
        name: (
            f"{choice.sparsity:.1%} of the weights lie below the threshold on group norms that all layers share"
            if name in shared
            else "its pattern cannot share a threshold with other layers: the rate is that of the mapping"
        )
        for name, choice in choices.items()
        if not choice.dense
    }
    known = latency.predict(choices).share(mapping.budget, latency.dense)
    note = f"no threshold meets the budget: with {_MOST_SPARSE:.0%} zeros in all, {known:.3g} times the budget is used"
    return Mapping.of(
        latency,
        choices,
        budget=mapping.budget,
        method=f"{mapping.method}, rates by the reweighted penalty",
        reasons={**mapping.reasons, **reasons},
        notes=[note] if known > 1 else [],
    )


def _within(
    mapping: Mapping, latency: LatencyModel, held: dict[str, Choice], shared: dict[str, Choice], kernels: Arrays
) -> dict[str, Choice]:
    """The rates of the lowest threshold that meets the budget; of the highest where none does."""
    low, high = 0.0, _MOST_SPARSE
    found = _at(high, shared, kernels, latency)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        tried = _at(middle, shared, kernels, latency)
        if latency.predict({**held, **tried}).share(mapping.budget, latency.dense) <= 1:
            high, found = middle, tried
        else:
            low = middle
    return found


def _at(sparsity: float, shared: dict[str, Choice], kernels: Arrays, latency: LatencyModel) -> dict[str, Choice]:
    """Each layer's share of zeros where one threshold makes so many in all."""
    layers = {name: latency.network.layer(name) for name in shared}
    patterns = {name: choice.pattern for name, choice in shared.items() if choice.pattern is not None}
    least = {name: patterns[name].min_sparsity(kernels[name].shape, layers[name].layout) for name in shared}
    masks = select_global(
        {name: kernels[name] for name in shared},
        patterns,
        max(sparsity, _mean(least, kernels)),
        layouts={name: layer.layout for name, layer in layers.items()},
        scores="l2",
        min_sparsity=least,
        max_sparsity={name: max(_MOST_SPARSE_LAYER, least[name]) for name in shared},
    )
    return {name: Choice(patterns[name], 1 - np.count_nonzero(mask) / mask.size) for name, mask in masks.items()}


def _mean(sparsity: dict[str, float], kernels: Arrays) -> float:
    """Of all kernels together, rounded up a little."""
    weights = sum(kernel.size for name, kernel in kernels.items() if name in sparsity)
    zeros = sum(sparsity[name] * kernels[name].size for name in sparsity)
    return min(_MOST_SPARSE, zeros / weights + 1e-3 * (zeros > 0))


def _shares(kernel: npt.NDArray[Any], choice: Choice, latency: LatencyModel, name: str) -> bool:
    """Whether cells of a pattern compete freely with those of other layers."""
    assert choice.pattern is not None
    layer = latency.network.layer(name)
    least = choice.pattern.min_sparsity(kernel.shape, layer.layout)
    try:
        select_global(
            {name: kernel},
            choice.pattern,
            max(0.5, least),
            layouts={name: layer.layout},
            scores="l2",
            min_sparsity=least,
        )
    except PatternError:
        return False
    return True


def _steps_per_epoch(x: Any, fit: dict[str, Any]) -> int:
    """Steps of one epoch, as ``model.fit`` will make them."""
    given = fit.get("steps_per_epoch")
    if given is not None:
        return whole_number(given, "steps_per_epoch", 1)
    first = x
    while isinstance(first, (dict, list, tuple)) and first:
        first = next(iter(first.values())) if isinstance(first, dict) else first[0]
    if hasattr(first, "shape"):
        examples = math.floor(len(first) * (1 - float(fit.get("validation_split") or 0)))
        if examples < 1:
            raise MappingError("`x` must hold at least one example to train on, got none")
        return math.ceil(examples / whole_number(fit.get("batch_size") or 32, "batch_size", 1))
    steps = int(x.cardinality()) if hasattr(x, "cardinality") else len(x) if hasattr(x, "__len__") else -1
    if steps < 1:
        raise MappingError("`x` does not say how many batches it has; give steps_per_epoch")
    return steps


def _check(
    penalty_epochs: int, retraining_epochs: int, strength: float, refreshes: int, prepare: Any, fit: dict[str, Any]
) -> None:
    whole_number(penalty_epochs, "penalty_epochs", 1)
    whole_number(retraining_epochs, "retraining_epochs", 1)
    whole_number(refreshes, "refreshes", 1)
    if not 0 <= as_float(strength) < math.inf:
        raise MappingError(f"strength must be a finite number of at least 0, got {strength!r}")
    if prepare is not None and not callable(prepare):
        raise MappingError(f"prepare must be a function of the model and the phase, got {prepare!r}")
    for name in ("epochs", "initial_epoch"):
        if name in fit:
            raise MappingError(f"{name}: give penalty_epochs and retraining_epochs instead")


def _check_model(model: Any, mapping: Any, *, compiled_later: bool) -> None:
    """Before anything is changed: a Keras model that can train, and a mapping."""
    if not is_keras_model(model):
        raise MappingError(f"model must be a compiled Keras model, got {type(model).__name__}; load the file first")
    if not isinstance(mapping, Mapping):
        raise MappingError(f"mapping must be a Mapping, such as one of rules or search, got {type(mapping).__name__}")
    if not compiled_later and not model.compiled:
        raise MappingError(f"model {model.name!r} must be compiled; call model.compile, or do it in `prepare`")


def _sparse_choices(mapping: Mapping, latency: LatencyModel) -> dict[str, Choice]:
    """What the mapping makes sparse, where it is for this model and this profile and meets its budget."""
    names = {layer.name for layer in latency.network.layers}
    if names != set(mapping.choices):
        others = ", ".join(sorted(names ^ set(mapping.choices)))
        raise MappingError(f"mapping: must be for model {latency.network.name!r}, but only one of both has {others}")
    latency.dense.share(mapping.budget, latency.dense)  # milliseconds of a profile that counts something else
    sparse = {name: choice for name, choice in mapping.choices.items() if not choice.dense}
    if not sparse:
        raise MappingError("mapping: must choose a pattern for at least one layer, but every layer stays dense")
    if not mapping.met:
        raise MappingError(
            f"mapping: must meet its budget of {mapping.budget.kind} {mapping.budget.limit:g}, but "
            f"{used_text(mapping.used)}; map with a larger budget, or give its recipe to PruningCallback"
        )
    return sparse


def _as_list(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
