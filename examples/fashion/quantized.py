# SPDX-License-Identifier: Apache-2.0
"""Quantization-aware training in Keras 3: layers that round in the forward pass what int8 rounds.

``keras.quantizers.fake_quant_with_min_max_vars`` rounds, lets gradients pass, and is the operator from which TFLite's
converter reads the ranges of weights and activations.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

_ROUNDED = keras.quantizers.fake_quant_with_min_max_vars


class Range(keras.layers.Layer):  # type: ignore[misc]  # Keras has no type information.
    """Rounds a tensor to 8 bits of the range that it had in training."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Adds the range, which always holds 0."""
        above_0 = keras.initializers.Constant(1e-3)
        self.low = self.add_weight(name="low", shape=(), initializer="zeros", trainable=False)
        self.high = self.add_weight(name="high", shape=(), initializer=above_0, trainable=False)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Rounds; in training the range grows with the inputs first, as it does when a file is calibrated."""
        if training:
            self.low.assign(ops.minimum(self.low, ops.min(inputs)))
            self.high.assign(ops.maximum(self.high, ops.max(inputs)))
        return _ROUNDED(inputs, self.low, self.high)


class _ReadsInt8(keras.layers.Layer):  # type: ignore[misc]
    """A layer that rounds what it reads."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.reads = Range(name="reads")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds the layer and its range."""
        super().build(input_shape)
        self.reads.build(input_shape)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Computes with the rounded inputs."""
        return super().call(self.reads(inputs, training=training))


class QuantizedConv2D(_ReadsInt8, keras.layers.Conv2D):  # type: ignore[misc]
    """A convolution that computes as in int8; its kernel has -127 .. 127 steps in each output channel."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Convolves with the rounded kernel; the range is as wide on both sides, so that zero stays zero exactly."""
        largest = ops.maximum(ops.max(ops.abs(kernel), axis=(0, 1, 2)), 1e-9)
        return super().convolution_op(inputs, _ROUNDED(kernel, -largest, largest, narrow_range=True, axis=-1))


class QuantizedPooling(_ReadsInt8, keras.layers.GlobalAveragePooling2D):  # type: ignore[misc]
    """A mean over rounded images."""


class QuantizedDense(_ReadsInt8, keras.layers.Dense):  # type: ignore[misc]
    """A Dense layer that computes as in int8, and rounds what it writes: nothing behind it does.

    Its kernel has one scale: TFLite's converter transposes it and cannot do so with a scale for each output.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.writes = Range(name="writes")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds the layer and both ranges."""
        super().build(input_shape)
        self.writes.build((*input_shape[:-1], self.units))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Multiplies the rounded inputs by the rounded kernel."""
        largest = ops.maximum(ops.max(ops.abs(self.kernel)), 1e-9)
        kernel = _ROUNDED(self.kernel, -largest, largest, narrow_range=True)
        product = ops.matmul(self.reads(inputs, training=training), kernel) + self.bias
        return self.writes(self.activation(product), training=training)


_QUANTIZED: dict[Any, Any] = {
    keras.layers.Conv2D: QuantizedConv2D,
    keras.layers.GlobalAveragePooling2D: QuantizedPooling,
    keras.layers.Dense: QuantizedDense,
}


def quantization_aware(model: keras.Model) -> keras.Model:
    """A copy that rounds, with every ``<name>_bn`` folded into the convolution ``<name>``, as the file has it."""

    def replaced(layer: Any) -> Any:
        config = layer.get_config()
        if isinstance(layer, keras.layers.Conv2D):
            config["use_bias"] = True
        return _QUANTIZED.get(type(layer), type(layer)).from_config(config)

    def called(layer: Any, *inputs: Any, **options: Any) -> Any:
        return inputs[0] if isinstance(layer, keras.layers.BatchNormalization) else layer(*inputs, **options)

    aware = keras.models.clone_model(model, clone_function=replaced, call_function=called)
    for layer in aware.layers:
        if isinstance(layer, QuantizedConv2D):
            norm = model.get_layer(f"{layer.name}_bn")
            factor = norm.gamma / ops.sqrt(norm.moving_variance + norm.epsilon)
            layer.kernel.assign(model.get_layer(layer.name).kernel * factor)
            layer.bias.assign(norm.beta - norm.moving_mean * factor)
        elif isinstance(layer, QuantizedDense):
            layer.kernel.assign(model.get_layer(layer.name).kernel)
            layer.bias.assign(model.get_layer(layer.name).bias)
    return aware
