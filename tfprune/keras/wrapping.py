# SPDX-License-Identifier: Apache-2.0
"""`wrap` and `strip`: models with `Pruned` wrappers, and back to plain ones."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import keras

from tfprune.errors import PruningError
from tfprune.keras.arguments import true_or_false
from tfprune.keras.copying import ModelCopier, Replacement, copy_layer
from tfprune.keras.layers import wrappers_in
from tfprune.keras.legacy import is_legacy_model
from tfprune.keras.progress import choose_weights
from tfprune.keras.pruned import Pruned, without_removed
from tfprune.keras.substitution import kernels_below
from tfprune.recipe import Recipe, RecipeLike

_USE_CALLBACK = (
    "Use PruningCallback, which changes no layer. A model with code of its own can also become a layer of a functional "
    "one: wrap keras.Model(inputs, model(inputs))."
)
_BY_HAND = "Make the model anew without the wrappers and assign kernel * mask, see Pruned.masked_kernels."


def wrap(model: Any, recipe: RecipeLike, *, straight_through: bool = False) -> Any:
    """Copies a model with `Pruned` wrappers round the layers that a recipe chooses.

    The copy has the names and weights of the model; it is not compiled, and its masks keep everything until a
    `PruningCallback` or `Pruner` with the recipe, or `Pruned.masks`, change them. Layers that are shared stay shared,
    also between nested models. A layer that holds other layers (`Bidirectional`, `TimeDistributed`,
    `MultiHeadAttention`, a subclassed model) gets one wrapper round it, with a mask for each chosen kernel.

    Args:
        model: Built functional or sequential Keras model.
        recipe: A `Recipe`, rules, a dictionary, or the path of a file.
        straight_through: Whether removed weights get gradients, see `Pruned`. Default False.

    Returns:
        The copy. `strip` makes a plain model of it.

    Raises:
        PruningError: A model that cannot be rewritten, such as a subclassed one; a layer that cannot be copied; no
            layer to prune; wrappers in the model already; a `straight_through` that is no boolean.
        RecipeError: A recipe that does not fit the model.

    Example:
        >>> import keras
        >>> from tfprune.keras.wrapping import strip, wrap
        >>> from tfprune.recipe import Rule
        >>> from tfprune.sparsity.patterns import Groups
        >>> model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64, name="hidden"), keras.layers.Dense(1)])
        >>> wrapped = wrap(model, Rule(None, Groups(rows=4), 0.5))
        >>> [type(layer).__name__ for layer in wrapped.layers], wrapped.layers[0].name
        (['Pruned', 'Dense'], 'hidden')
        >>> [type(layer).__name__ for layer in strip(wrapped).layers]
        ['Dense', 'Dense']
    """
    check_model(model)
    true_or_false("straight_through", straight_through)
    wrapped = [layer.name for layer in wrappers_in(model)]
    if wrapped:
        raise PruningError(
            f"The model {model.name!r} must be a plain one. Received: a model with wrapped layers: {wrapped}. Take the "
            "wrappers off first, with tfprune.strip(model)."
        )
    weights, _ = choose_weights(model, Recipe.of(recipe))
    chosen = {id(weight.variable) for weight in weights}
    return ModelCopier(lambda layer: _wrapped(layer, chosen, straight_through), _USE_CALLBACK).copy(model)


def strip(model: Any) -> Any:
    """Copies a model without wrappers: the weights that the masks remove are zeros in it.

    Args:
        model: Functional or sequential Keras model, from `wrap` or with `Pruned` layers of your own, or one of tf_keras
            with TFMOT's `PruneLowMagnitude`. One without wrappers is copied as it is.

    Returns:
        A plain Keras model with equal outputs, which loads where tfprune is not installed. It is not compiled.

    Raises:
        PruningError: A model that cannot be rewritten, such as a subclassed one; a layer that cannot be copied, or
            that makes wrappers of its own.
    """
    if is_legacy_model(model):
        from tfprune.bridge import tfmot

        return tfmot.strip(model)
    check_model(model)
    stripped: list[tuple[Any, Any]] = []

    def replace(layer: Any) -> Replacement | None:
        if not isinstance(layer, Pruned):
            return None
        copied = copy_layer(layer.layer, _BY_HAND)
        stripped.append((layer, copied))
        return Replacement(copied, layer.layer, copied)

    plain = ModelCopier(replace, _BY_HAND).copy(model)
    for wrapper, copied in stripped:
        kernels = {each.name: each.variable for each in kernels_below(copied)}
        for name, mask in wrapper.masks.items():
            kernels[name].assign(without_removed(kernels[name], mask))
    _check_plain(plain)
    return plain


def check_model(model: Any) -> None:
    """Checks that something is a Keras model and built.

    Args:
        model: What a caller passed as one.

    Raises:
        PruningError: It is none.
    """
    if not isinstance(model, keras.Model):
        raise PruningError(f"`model` must be a Keras model. Received: {type(model).__name__}.")
    if not model.built:
        raise PruningError(
            f"The model {model.name!r} must be built, so that its layers have weights. Received: a model without "
            "weights yet. Call the model once on a batch, or begin it with keras.Input."
        )


def _wrapped(layer: Any, chosen: Collection[int], straight_through: bool) -> Replacement | None:
    """A layer in a wrapper that masks the chosen kernels, given by id; None if it has none of them."""
    names = [each.name for each in kernels_below(layer) if id(each.variable) in chosen]
    if not names:
        return None
    copied = copy_layer(layer, _USE_CALLBACK)
    config = layer.get_build_config()
    if config and not copied.built:
        copied.build_from_config(config)
    return Replacement(Pruned(copied, kernels=names, straight_through=straight_through), layer, copied)


def _check_plain(model: Any) -> None:
    """Nothing of tfprune is left."""
    left = [layer.name for layer in wrappers_in(model)]
    if left:
        raise PruningError(
            f"Wrappers must be layers of the model itself or of a functional model in it, so that they can be taken "
            f"off. Received: wrappers {left} that another layer makes. {_BY_HAND}"
        )
