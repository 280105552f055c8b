# SPDX-License-Identifier: Apache-2.0
"""`Pruned`: a layer around a layer that computes with masked kernels."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import keras
from keras import ops

from tfprune.errors import PruningError
from tfprune.keras.arguments import true_or_false
from tfprune.keras.substitution import KernelPlace, Substitution, kernels_below


@keras.saving.register_keras_serializable(package="tfprune")
class Pruned(keras.layers.Wrapper):  # type: ignore[misc]  # Keras has no type information
    """Runs a layer with kernels of which a mask has removed weights.

    The layer computes with ``where(mask, kernel, 0)``. Its own kernels stay dense: removed weights keep their values,
    so that a later mask can bring them back. Masks are weights of the wrapper that do not train, of type bool, and are
    saved with the model. They begin with everything kept; `Pruner` and `PruningCallback` choose them by a recipe.

    Kernels of layers inside of the layer are masked as well: recurrent cells, the layer of a `TimeDistributed`, both
    layers of a `Bidirectional`, the projections of a `MultiHeadAttention`, a model.

    Args:
        layer: The layer. If it takes several tensors, it must be built.
        kernels: Which kernels get a mask: attributes that lead to them, such as ``"kernel"``, ``"pointwise_kernel"``
            or ``"cell.recurrent_kernel"``. None (default): all that can be pruned.
        straight_through: Gradient of removed weights. False (default): none, they keep their values but for weight
            decay and momentum. True: the one of the masked kernel there, as if nothing had been removed, so that
            weights that have become useful grow.
        **options: As for every Keras layer. `name` is that of the layer unless given.

    Raises:
        PruningError: No layer, or a `straight_through` that is no boolean; when it is built: `kernels` names none of
            the layer's, or nothing of the layer can be pruned.

    Example:
        >>> import keras, numpy as np
        >>> from tfprune.keras.pruned import Pruned
        >>> layer = Pruned(keras.layers.Dense(1, kernel_initializer="ones"))
        >>> layer.build((None, 4))
        >>> layer.masks["kernel"].assign(np.array([[True], [False], [False], [True]]))
        >>> float(layer(np.ones((1, 4)))[0, 0])
        2.0
    """

    def __init__(
        self, layer: Any, *, kernels: Sequence[str] | None = None, straight_through: bool = False, **options: Any
    ) -> None:
        """Takes the signature of the layer's `call`."""
        if not isinstance(layer, keras.layers.Layer):
            raise PruningError(
                f"`layer` of `Pruned` must be a Keras layer, such as keras.layers.Dense(8). Received: layer={layer!r}."
            )

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._call_masked(*args, **kwargs)

        # Keras asks it for the tensors, `mask` and `training` that it should pass.
        call.__signature__ = inspect.signature(layer.call)  # type: ignore[attr-defined]
        object.__setattr__(self, "call", call)
        super().__init__(layer, **{"name": layer.name, "dtype": layer.dtype_policy, **options})
        self.kernels = None if kernels is None else tuple(kernels)
        self.straight_through = true_or_false("straight_through", straight_through)
        self.supports_masking = layer.supports_masking
        self._substitution: Substitution | None = None
        self._masks: list[Any] = []

    def build(self, input_shape: Any = None) -> None:
        """Builds the layer, if it is not built, and adds the masks.

        Args:
            input_shape: Shape of the layer's first tensor.
        """
        if not self.layer.built:
            self._build_layer(input_shape)
        places = self._places()
        self._masks = [
            self.add_weight(
                name=re.sub(r"\W+", "_", f"{each.name}_mask"),
                shape=each.variable.shape,
                initializer="ones",
                dtype="bool",
                trainable=False,
            )
            for each in places
        ]
        self._substitution = Substitution(places)

    @property
    def masks(self) -> Mapping[str, Any]:
        """The masks, Keras variables of type bool, True where a weight stays, by the name of their kernel."""
        return MappingProxyType({each.name: mask for each, (_, mask) in self._pairs()})

    @property
    def masked_kernels(self) -> list[tuple[Any, Any]]:
        """The kernels, each with its mask, as Keras variables."""
        return [pair for _, pair in self._pairs()]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Passes masks of time steps on as the layer does.

        Args:
            inputs: What the layer was called with.
            mask: Mask of the inputs.

        Returns:
            What the layer makes of it.
        """
        return self.layer.compute_mask(inputs, mask)

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the wrapper, with the layer.

        Returns:
            A dictionary of plain values.
        """
        names = None if self.kernels is None else list(self.kernels)
        return {**super().get_config(), "kernels": names, "straight_through": self.straight_through}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Pruned:
        """Undoes `get_config`.

        Args:
            config: Arguments.
            custom_objects: Classes that the layer needs, by name.

        Returns:
            The wrapper.
        """
        options = dict(config)
        layer = keras.saving.deserialize_keras_object(options.pop("layer"), custom_objects=custom_objects)
        return cls(layer, **options)

    def _call_masked(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the layer with masked kernels."""
        assert self._substitution is not None  # build sets it
        with self._substitution.replaced(self._masked):
            return self.layer(*args, **kwargs)

    def _masked(self, index: int) -> Any:
        """One kernel without what its mask removes, in the type that the layer computes with."""
        assert self._substitution is not None
        kernel = ops.convert_to_tensor(self._substitution.places[index].variable)
        masked = without_removed(kernel, self._masks[index])
        if not self.straight_through:
            return masked
        # Exact: a number less itself is 0, and added to 0 is itself.
        return kernel + ops.stop_gradient(masked - kernel)

    def _pairs(self) -> list[tuple[KernelPlace, tuple[Any, Any]]]:
        places = () if self._substitution is None else self._substitution.places
        return [(each, (each.variable, mask)) for each, mask in zip(places, self._masks, strict=True)]

    def _places(self) -> list[KernelPlace]:
        """The kernels that `kernels` names."""
        found = {each.name: each for each in kernels_below(self.layer)}
        names = tuple(found) if self.kernels is None else self.kernels
        if not names or not set(names) <= set(found):
            raise PruningError(
                f"`kernels` of `Pruned` must name kernels of the layer {self.layer.name!r}, a "
                f"{type(self.layer).__name__} with {sorted(found) or 'none that can be pruned'}. "
                f"Received: kernels={self.kernels}."
            )
        return [found[name] for name in names]

    def _build_layer(self, input_shape: Any) -> None:
        """Builds the layer as Keras does: by its `build`, or by a call where it has none."""
        if type(self.layer).build is not keras.layers.Layer.build:
            self.layer.build(input_shape)
        else:
            self.layer(keras.KerasTensor(input_shape, dtype=self.compute_dtype))


def without_removed(kernel: Any, mask: Any) -> Any:
    """A kernel with zeros where its mask removes weights.

    Args:
        kernel: The kernel, a tensor or variable.
        mask: Variable of type bool.

    Returns:
        A tensor.
    """
    kernel = ops.convert_to_tensor(kernel)
    return ops.where(ops.convert_to_tensor(mask), kernel, ops.zeros_like(kernel))
