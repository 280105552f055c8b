# SPDX-License-Identifier: Apache-2.0
"""Precisions of Keras models, and the data from which int8 activations get their ranges."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import ConversionError

PRECISIONS = ("float32", "float16", "int8", "dynamic")
Feed = dict[str, npt.NDArray[Any]] | list[npt.NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class Quantizer:
    """Sets a TFLite converter up for one precision.

    Attributes:
        precision: one of :data:`PRECISIONS`.
        data: examples for ``"int8"``: an array whose first axis counts examples, or an iterable (a ``tf.data.Dataset``,
            a list, a generator) of inputs or ``(inputs, labels)``; inputs are an array, or for several a dict by name.
    """

    precision: str = "float32"
    data: Any = None

    def check(self) -> None:
        """Applies the rule between both.

        Raises:
            ConversionError: int8 without data, or data that no other precision uses.
        """
        if self.precision == "int8" and self.data is None:
            raise ConversionError(
                "convert: precision 'int8' needs representative_data, from which activations get their ranges; "
                "give some hundred training examples"
            )
        if self.precision != "int8" and self.data is not None:
            raise ConversionError(
                f"convert: representative_data is for precision 'int8', got precision {self.precision!r}; leave it out"
            )

    def configure(self, converter: Any, tensorflow: Any, names: tuple[str, ...] = ()) -> None:
        """Sets ``converter``, a ``tf.lite.TFLiteConverter``, up; ends of int8 models stay float32.

        Args:
            converter: the TFLite converter of a model.
            tensorflow: the module.
            names: names of the model's inputs in their order, where they are known.
        """
        if self.precision == "float32":
            return
        converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
        if self.precision == "float16":
            converter.target_spec.supported_types = [tensorflow.float16]
        elif self.precision == "int8":
            converter.target_spec.supported_ops = [tensorflow.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.representative_dataset = self._feeds(names)

    def _feeds(self, names: tuple[str, ...]) -> Callable[[], Iterator[Feed]]:
        def feeds() -> Iterator[Feed]:
            for inputs in _inputs(self.data):
                yield from _examples(inputs, names)

        return feeds


def _inputs(data: Any) -> Iterable[Any]:
    """Inputs one after the other, without labels."""
    if isinstance(data, np.ndarray) or not isinstance(data, Iterable):
        array = np.asarray(data)
        if array.ndim < 1 or not len(array):
            raise ConversionError(
                f"representative_data: must hold at least one example, got an array of shape {array.shape}"
            )
        return iter([array])
    if isinstance(data, Mapping):
        return iter([data])
    return (item[0] if isinstance(item, tuple) and len(item) in (2, 3) else item for item in data)


def _examples(inputs: Any, names: tuple[str, ...]) -> Iterator[Feed]:
    """Single examples as TFLite's calibrator takes them: each with a batch of one, several inputs by name."""
    if isinstance(inputs, Mapping):
        keys, arrays = [str(name) for name in inputs], [np.asarray(value) for value in inputs.values()]
    else:
        arrays = [np.asarray(value) for value in (inputs if isinstance(inputs, (list, tuple)) else [inputs])]
        keys = list(names) if len(names) == len(arrays) > 1 else []
    if (names and len(arrays) != len(names)) or (keys and names and set(keys) != set(names)):
        raise ConversionError(
            f"representative_data: the model's inputs are {', '.join(map(repr, names))}, "
            f"got {', '.join(map(repr, keys)) if keys else f'{len(arrays)} array(s)'}; give an array, or a dict by name"
        )
    sizes = {len(array) if array.ndim else 0 for array in arrays}
    if len(sizes) != 1 or 0 in sizes:
        raise ConversionError(
            "representative_data: every input must hold the same number of examples along its first axis, at least "
            f"one, got shapes {', '.join(str(array.shape) for array in arrays)}"
        )
    for place in range(sizes.pop()):
        example = [array[place : place + 1] for array in arrays]
        yield dict(zip(keys, example, strict=True)) if keys else example
