# SPDX-License-Identifier: Apache-2.0
"""Independent copies of models with other layers in the place of some."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

import keras

from tfprune.errors import PruningError
from tfprune.keras.backends import value_of
from tfprune.keras.channels.builder import graph_of
from tfprune.keras.layers import walk_layers


@dataclass(frozen=True)
class Replacement:
    """What takes the place of a layer.

    Args:
        layer: The new layer.
        source: The layer of the first model whose weights are copied.
        target: The layer that gets them.
    """

    layer: Any
    source: Any
    target: Any


Replace = Callable[[Any], Replacement | None]
"""From a layer to what takes its place; None: a plain copy."""


class ModelCopier:
    """Copies functional and sequential models: graph, names and weights, without what `compile` set.

    A layer that is used several times is copied once, also where the uses are in different nested models.

    Args:
        replace: Chooses what takes the place of a layer of a graph.
        advice: What messages advise where a model cannot be copied.
    """

    def __init__(self, replace: Replace, advice: str) -> None:
        """Begins with no copies."""
        self._replace = replace
        self._advice = advice
        # By id of the layer, which is kept so that the id stays its own.
        self._copies: dict[int, tuple[Any, Replacement]] = {}

    def copy(self, model: Any) -> Any:
        """Copies a model.

        Args:
            model: Built model with a graph.

        Returns:
            A model that shares nothing with the first.

        Raises:
            PruningError: Code of the model's own says what it computes, a layer or the model's class cannot be made
                anew from its configuration, or layers share weights in a way that a copy would lose.
        """
        copied = self._copy_model(model)
        self._check_sharing(model)
        # Models come behind what is in them, and what they say of it holds until it says something else itself.
        _copy_state(model, copied)
        for _, each in reversed(self._copies.values()):
            _copy_state(each.source, each.target)
        return copied

    def _copy_model(self, model: Any) -> Any:
        """A model with a graph, without its weights."""
        function = graph_of(model)
        if function is None:
            self._refuse(model, f"{type(model).__name__}, a class whose own code says what it computes")
        inputs = [_new_input(tensor) for tensor in function.inputs]
        if isinstance(model, keras.Sequential):
            return self._construct(model, [inputs[0], *(self._copy_layer(layer) for layer in model.layers)])
        # A model of the same graph that is not compiled, so that clone_model does not compile the copy anew.
        bare = keras.Model(model.input, model.output, name=model.name)
        cloned = keras.models.clone_model(
            bare, input_tensors=keras.tree.pack_sequence_as(model.input, inputs), clone_function=self._copy_layer
        )
        return cloned if type(model) is type(cloned) else self._construct(model, cloned.input, cloned.output)

    def _construct(self, model: Any, *parts: Any) -> Any:
        """A model of the same class, which may have a training step of its own."""
        kind = type(model)
        own = inspect.getfullargspec(kind.__init__)
        if not kind.__init__.__module__.startswith("keras.") and None in (own.varargs, own.varkw):
            self._refuse(model, f"{kind.__name__}, a class whose own __init__ makes the graph")
        return kind(*parts, name=model.name)

    def _copy_layer(self, layer: Any) -> Any:
        """A layer, op or nested model of a graph."""
        if id(layer) not in self._copies:
            self._copies[id(layer)] = (layer, self._replacement(layer))
        return self._copies[id(layer)][1].layer

    def _replacement(self, layer: Any) -> Replacement:
        if isinstance(layer, keras.Model) and graph_of(layer) is not None:
            copied = self._copy_model(layer)
            return Replacement(copied, layer, copied)
        replaced = self._replace(layer) if isinstance(layer, keras.layers.Layer) else None
        if replaced is None:
            copied = copy_layer(layer, self._advice)
            return Replacement(copied, layer, copied)
        return replaced

    def _check_sharing(self, model: Any) -> None:
        """Every weight of the model has one copy."""
        leaves = [each for _, each in self._copies.values() if graph_of(each.source) is None]
        if len(_weight_ids(each.source for each in leaves)) != len(_weight_ids(each.target for each in leaves)):
            self._refuse(model, "layers of which parts share weights, which a copy would part")
        if not _weight_ids([model]) <= _weight_ids([layer for layer, _ in self._copies.values()]):
            self._refuse(model, "weights that do not belong to a layer of its graph")

    def _refuse(self, model: Any, received: str) -> NoReturn:
        raise PruningError(
            f"The model {model.name!r} must be functional or sequential, so that its layers can be replaced. "
            f"Received: {received}. {self._advice}"
        )


def copy_layer(layer: Any, advice: str) -> Any:
    """A layer or op of the same configuration.

    Args:
        layer: The layer.
        advice: What to do where that is impossible.

    Returns:
        Another layer, not built.

    Raises:
        PruningError: Its configuration does not make one.
    """
    try:
        config = layer.get_config()
        if isinstance(layer, keras.layers.Lambda):
            # Its functions as they are: as data they would lose what they refer to, and Keras takes them for a danger.
            config |= {"function": layer.function, "mask": layer.mask, "output_shape": layer._output_shape}
            return type(layer)(**config)
        return type(layer).from_config(config)
    # Layers of users raise whatever they like.
    except Exception as error:
        raise PruningError(
            f"Layer {layer.name!r} must be copied, by get_config and from_config of its class. Received: "
            f"{type(layer).__name__}, which raises {type(error).__name__}: {error}. {advice}"
        ) from error


def _weight_ids(layers: Iterable[Any]) -> set[int]:
    """Ids of all weights of layers; ops have none."""
    return {id(weight) for layer in layers for weight in getattr(layer, "weights", ())}


def _new_input(tensor: Any) -> Any:
    """An input of the same name, shape and type."""
    # Keras has no public way to ask where a symbolic tensor comes from.
    layer = tensor._keras_history.operation
    return type(layer).from_config(layer.get_config()).output


def _copy_state(original: Any, same: Any) -> None:
    """Copies what training changes: whether layers train, and all weights, as files keep them."""
    if not isinstance(original, keras.layers.Layer):
        return
    pairs = [(original, same)]
    if graph_of(original) is None:
        pairs += zip(walk_layers(original), walk_layers(same), strict=True)
    for old, new in pairs:
        if new.trainable != old.trainable:
            new.trainable = old.trainable
        store: dict[str, Any] = {}
        old.save_own_variables(store)
        # Arrays of their own: training donates those of a JAX model, and what shares them would lose them.
        new.load_own_variables({key: value_of(value) for key, value in store.items()})
        if hasattr(old, "save_assets"):  # such as a vocabulary
            with tempfile.TemporaryDirectory() as folder:
                old.save_assets(folder)
                new.load_assets(folder)
