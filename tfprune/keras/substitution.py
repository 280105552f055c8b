# SPDX-License-Identifier: Apache-2.0
"""Kernels below a layer by name, and other values in their place while the layer runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tfprune.errors import PruningError
from tfprune.keras.layers import kernels_of


@dataclass(frozen=True)
class KernelPlace:
    """Where a kernel is.

    Args:
        name: Attributes that lead from a layer to the kernel: ``"kernel"``, ``"forward_layer.cell.kernel"``.
        owner: The layer that has it.
        variable: The Keras variable.
    """

    name: str
    owner: Any
    variable: Any


def kernels_below(layer: Any) -> list[KernelPlace]:
    """The kernels of a layer and of all layers in it, each once.

    The names come from attributes and not from the names of layers, because Keras numbers the latter anew in each
    process.

    Args:
        layer: Built Keras layer.

    Returns:
        The kernels that can be pruned, in definition order.
    """
    found: dict[int, KernelPlace] = {}
    seen = {id(layer)}

    def collect(owner: Any, prefix: str) -> None:
        for kernel, _ in kernels_of(owner):
            found.setdefault(id(kernel), KernelPlace(prefix + kernel.name, owner, kernel))
        # Keras has no public way to reach layers held by a layer that is not a model.
        for index, child in enumerate(owner._flatten_layers(include_self=False, recursive=False)):
            if id(child) not in seen:
                seen.add(id(child))
                collect(child, f"{prefix}{_attribute(owner, child) or f'layers[{index}]'}.")

    collect(layer, "")
    return list(found.values())


def _attribute(owner: Any, value: Any) -> str | None:
    """The first attribute in alphabetical order that is this very object."""
    return min((name for name, each in vars(owner).items() if each is value), default=None)


class Substitution:
    """Puts tensors in the place of kernels while a layer runs.

    A layer reads its kernels as attributes of itself, so whatever the layer computes with them, it computes with the
    tensors. Outside of `replaced` nothing is changed: the layer has, trains and saves its own variables.

    Args:
        places: The kernels.
    """

    def __init__(self, places: Sequence[KernelPlace]) -> None:
        """Finds the attributes."""
        self.places = tuple(places)
        self._attributes = [
            [name for name, value in vars(each.owner).items() if value is each.variable] for each in self.places
        ]
        # A second thread must neither see the tensors of the first, nor kernels where the first still wants tensors.
        self._lock = threading.RLock()

    @contextmanager
    def replaced(self, value_of: Callable[[int], Any]) -> Iterator[None]:
        """A context in which the layer's attributes are tensors.

        Args:
            value_of: Gives the tensor of a kernel by its position.

        Raises:
            PruningError: A kernel is not where it was, such as after quantization.
        """
        with self._lock:
            for each, names in zip(self.places, self._attributes, strict=True):
                if not names or any(vars(each.owner).get(name) is not each.variable for name in names):
                    raise PruningError(
                        f"Layer {each.owner.name!r}: the kernel {each.variable.name!r} of a wrapped layer must stay "
                        "where it was when the wrapper was built. Received: a layer that computes with another one, "
                        "such as a quantized layer. Take the wrappers off first: tfprune.strip(model)."
                    )
            tensors = [value_of(index) for index in range(len(self.places))]
            try:
                # Past Keras' tracking of attributes, which a tensor is none of.
                for each, names, tensor in zip(self.places, self._attributes, tensors, strict=True):
                    vars(each.owner).update(dict.fromkeys(names, tensor))
                yield
            finally:
                for each, names in zip(self.places, self._attributes, strict=True):
                    vars(each.owner).update(dict.fromkeys(names, each.variable))
