# SPDX-License-Identifier: Apache-2.0
"""What people have from TFMOT: schedules, and models in `PruneLowMagnitude` wrappers.

TFMOT itself is not imported: its objects are known by their classes' names.
"""

from __future__ import annotations

from typing import Any

import tf_keras

from tfprune.errors import PruningError, ScheduleError
from tfprune.sparsity.schedules import ConstantSparsity, PolynomialDecay, Schedule

_SCHEDULES: dict[str, type[Schedule]] = {"ConstantSparsity": ConstantSparsity, "PolynomialDecay": PolynomialDecay}
_WRAPPER = "PruneLowMagnitude"


def schedule(value: Any) -> Schedule:
    """A schedule of tfprune with the values of one of TFMOT.

    Args:
        value: `ConstantSparsity` or `PolynomialDecay` of TFMOT.

    Returns:
        The schedule of the same name. `PolynomialDecay` of tfprune chooses masks at `end_step` as well, where that is
        not a multiple of `frequency`.

    Raises:
        ScheduleError: Another class, or a `PolynomialDecay` that ends where it begins.
    """
    name = type(value).__name__
    if not type(value).__module__.startswith("tensorflow_model_optimization.") or name not in _SCHEDULES:
        raise ScheduleError(
            f"`value` must be a schedule of TFMOT, one of {sorted(_SCHEDULES)}. Received: {value!r}. Write one of your "
            "own as a class derived from tfprune.schedules.Schedule."
        )
    return _SCHEDULES[name].from_config(value.get_config()["config"])


def is_wrapped(layer: Any) -> bool:
    """Whether a layer is in TFMOT's wrapper.

    Args:
        layer: Layer of tf_keras.
    """
    return any(each.__name__ == _WRAPPER for each in type(layer).__mro__)


def strip(model: Any) -> Any:
    """Copies a model of tf_keras without TFMOT's wrappers; `tfprune.strip` calls it.

    Unlike TFMOT's `strip_pruning`, the masks are applied: what training left in removed weights is zero in the copy,
    and the copy shares nothing with the model.

    Args:
        model: Functional or sequential model of tf_keras, built.

    Returns:
        A plain model of tf_keras, not compiled.

    Raises:
        PruningError: A model that cannot be rewritten: a subclassed one, or one that is not built.
    """
    if not model.built:
        raise PruningError(f"The model {model.name!r} must be built. Received: no weights yet. Call it on a batch.")
    copies: dict[int, tuple[Any, Any]] = {}

    def copied(layer: Any) -> Any:
        if id(layer) not in copies:
            source = layer.layer if is_wrapped(layer) else layer
            nested = isinstance(layer, tf_keras.Model)
            new = _cloned(layer, copied) if nested else type(source).from_config(source.get_config())
            copies[id(layer)] = (layer, new)
        return copies[id(layer)][1]

    plain = _cloned(model, copied)
    for layer, new in copies.values():
        if not isinstance(layer, tf_keras.Model):
            new.set_weights(_masked_values(layer))
    return plain


def _cloned(model: Any, clone: Any) -> Any:
    """A functional or sequential model of other layers."""
    try:
        return tf_keras.models.clone_model(model, clone_function=clone)
    except ValueError as error:
        raise PruningError(
            f"The model {model.name!r} must be functional or sequential, so that its layers can be replaced. Received: "
            f"{type(model).__name__}: {error}"
        ) from error


def _masked_values(layer: Any) -> list[Any]:
    """The weights of a layer, without what a wrapper masks."""
    if not is_wrapped(layer):
        values: list[Any] = layer.get_weights()
        return values
    masks = {id(weight): mask.numpy() for weight, mask, _ in layer.pruning_vars}
    return [
        value * masks[id(weight)] if id(weight) in masks else value
        for weight, value in zip(layer.layer.weights, layer.layer.get_weights(), strict=True)
    ]
