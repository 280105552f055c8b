# SPDX-License-Identifier: Apache-2.0
"""Precisions of Keras models, and the data from which int8 activations get their ranges."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from tfprune.converter.examples import ModelInput, examples
from tfprune.errors import ConversionError

PRECISIONS = ("float32", "float16", "int8", "dynamic")


@dataclasses.dataclass(frozen=True)
class Quantizer:
    """Sets a TFLite converter up for one precision.

    Attributes:
        precision: one of :data:`PRECISIONS`.
        data: examples for ``"int8"``: an array whose first axis counts examples, an iterable (a ``tf.data.Dataset``, a
            list, a generator) of batches, examples or ``(inputs, labels)``, or a function that returns an iterable;
            several inputs are a dict by name, or a list in the model's order.
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
                "precision: 'int8' needs representative_data, from which activations get their ranges; "
                "give some hundred training examples"
            )
        if self.precision != "int8" and self.data is not None:
            raise ConversionError(
                f"representative_data: is for precision 'int8', got precision {self.precision!r}; leave it out"
            )

    def configure(self, converter: Any, tensorflow: Any, inputs: Sequence[ModelInput]) -> None:
        """Sets ``converter``, a ``tf.lite.TFLiteConverter``, up; ends of int8 models stay float32.

        Args:
            converter: the TFLite converter of a model.
            tensorflow: the module.
            inputs: what the model takes; looked at for ``"int8"`` only.
        """
        if self.precision == "float32":
            return
        converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
        if self.precision == "float16":
            converter.target_spec.supported_types = [tensorflow.float16]
        elif self.precision == "int8":
            converter.target_spec.supported_ops = [tensorflow.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.representative_dataset = lambda: examples(self.data, inputs)
