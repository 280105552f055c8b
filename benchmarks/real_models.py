# SPDX-License-Identifier: Apache-2.0
"""Files of real networks: Keras applications, zeros put into their constants, other precisions."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import tfprune as tp
from tfprune.converter.capability import Layer, examine
from tfprune.converter.graph import Graph

#: Every convolutional network of keras.applications.
APPLICATIONS = (
    "ConvNeXtTiny",
    "ConvNeXtSmall",
    "ConvNeXtBase",
    "ConvNeXtLarge",
    "ConvNeXtXLarge",
    "DenseNet121",
    "DenseNet169",
    "DenseNet201",
    "EfficientNetB0",
    "EfficientNetB1",
    "EfficientNetB2",
    "EfficientNetB3",
    "EfficientNetB4",
    "EfficientNetB5",
    "EfficientNetB6",
    "EfficientNetB7",
    "EfficientNetV2B0",
    "EfficientNetV2B1",
    "EfficientNetV2B2",
    "EfficientNetV2B3",
    "EfficientNetV2S",
    "EfficientNetV2M",
    "EfficientNetV2L",
    "InceptionResNetV2",
    "InceptionV3",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Small",
    "MobileNetV3Large",
    "NASNetMobile",
    "NASNetLarge",
    "ResNet50",
    "ResNet101",
    "ResNet152",
    "ResNet50V2",
    "ResNet101V2",
    "ResNet152V2",
    "VGG16",
    "VGG19",
    "Xception",
)
PRECISIONS = ("float32", "float16", "int8")
#: Output channels of a group that is kept or zero.
ROWS = 4
SEED = 0
# Written by a process of its own, whose memory goes with it.
_WRITE = """
import sys, keras, tensorflow
keras.utils.set_random_seed(0)
# Logits: a softmax over random ones would hide most of a difference.
model = getattr(keras.applications, sys.argv[1])(weights=None, classifier_activation=None)
# MobileNetV3 leaves height and width open.
inputs = keras.Input(batch_shape=(1, *(size or 224 for size in model.input_shape[1:])))
keras.Model(inputs, model(inputs)).export(sys.argv[2], format="tf_saved_model", verbose=False)
data = tensorflow.lite.TFLiteConverter.from_saved_model(sys.argv[2]).convert()
open(sys.argv[3], "wb").write(data)
"""


def application_file(name: str, cache: Path) -> Path:
    """The float32 ``.tflite`` file of an application with random weights, batch 1, made once."""
    path = cache / f"{name}.tflite"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part")
        command = [sys.executable, "-c", _WRITE, name, str(cache / f"{name}.saved_model"), str(temporary)]
        subprocess.run(command, check=True, capture_output=True)
        temporary.rename(path)
    return path


def with_zeros(data: bytes, sparsity: float) -> bytes:
    """The file with zeros in the weights of all its layers, as their precision stores a zero.

    Groups of :data:`ROWS` neighbours along the first axis, which are output channels but for constant matrix products,
    are zero or not. Constants with a single slice there, such as depthwise kernels, stay.
    """
    graph = Graph(data)
    done = set()
    for subgraph, index, op in graph.operators():
        layer = examine(graph, subgraph, index, op)
        if not isinstance(layer, Layer):
            continue
        tensor = graph.tensor(subgraph, layer.numbers.source)
        weights = layer.weights(graph)
        # TFLite's own sparse encoding lists its zeros already.
        if tensor.buffer in done or weights.ndim < 2 or len(weights) == 1 or tensor.sparsity is not None:
            continue
        done.add(tensor.buffer)
        buffer = graph.model.buffers[tensor.buffer]
        buffer.data = _pruned(weights, layer.zero_point, sparsity).reshape(-1).view(np.uint8)
    return graph.to_bytes()


def _pruned(weights: Any, zero: int, sparsity: float) -> Any:
    flat = weights.reshape(len(weights), -1)
    groups = tp.patterns.Groups(min(ROWS, len(flat)), 1, aligned=True)
    mask = tp.select((flat.astype(np.float32) - zero).T, groups, sparsity, layout="dense").T
    return np.where(mask, flat, np.asarray(zero, flat.dtype))


def quantized_file(pruned: Path, precision: str) -> Path:
    """A float32 file in half precision or int8, by the AI Edge Quantizer; int8 has float32 ends."""
    quantizer: Any = importlib.import_module("ai_edge_quantizer.quantizer")
    maker = quantizer.Quantizer(str(pruned))
    if precision == "float16":
        _ask_for_halves(maker)
        result = maker.quantize()
    else:
        maker.load_quantization_recipe(importlib.import_module("ai_edge_quantizer.recipe").static_wi8_ai8())
        result = maker.quantize(maker.calibrate(_examples(pruned)))
    path = pruned.with_name(f"{precision}.tflite")
    path.write_bytes(result.quantized_model)
    return path


def _ask_for_halves(maker: Any) -> None:
    types: Any = importlib.import_module("ai_edge_quantizer.qtyping")
    weights = types.TensorQuantizationConfig(num_bits=16, dtype=types.TensorDataType.FLOAT)
    config = types.OpQuantizationConfig(weight_tensor_config=weights, compute_precision=types.ComputePrecision.FLOAT)
    maker.update_quantization_recipe(
        regex=".*",
        operation_name=types.TFLOperationName.ALL_SUPPORTED,
        op_config=config,
        algorithm_key="float_casting",
    )


def _examples(path: Path) -> dict[str, list[dict[str, Any]]]:
    """One random image for each signature."""
    interpreter_module: Any = importlib.import_module("ai_edge_litert.interpreter")
    interpreter = interpreter_module.Interpreter(str(path))
    random = np.random.default_rng(SEED)
    examples = {}
    for key in interpreter.get_signature_list():
        details = interpreter.get_signature_runner(key).get_input_details()
        feed = {name: random.standard_normal(each["shape"]).astype(np.float32) for name, each in details.items()}
        examples[key] = [feed]
    return examples
