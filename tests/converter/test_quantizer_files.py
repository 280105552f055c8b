# SPDX-License-Identifier: Apache-2.0
"""Files of the AI Edge Quantizer: every recipe's weights are packed as they are, and outputs stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfprune
from tests.models import ModelBuilder, pruned
from tests.models.builder import RELU

quantizer = pytest.importorskip("ai_edge_quantizer.quantizer")
recipe = pytest.importorskip("ai_edge_quantizer.recipe")
types = pytest.importorskip("ai_edge_quantizer.qtyping")

# What the quantizer's own calibration says about itself.
pytestmark = pytest.mark.filterwarnings("ignore:Warning. Enabling .experimental_preserve_all_tensors:UserWarning")

IMAGES = np.random.default_rng(0).standard_normal((2, 8, 8, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def float_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 8, 8, 32])
    y = builder.conv_2d(x, pruned((64, 3, 3, 32)), np.full(64, 0.1, np.float32), activation=RELU, name="first")
    y = builder.conv_2d(y, pruned((128, 1, 1, 64), seed=1), np.zeros(128, np.float32), name="second")
    builder.io([x], [y])
    builder.signature("serving_default", {"x": x}, {"y": y})
    path: Path = tmp_path_factory.mktemp("quantizer") / "float.tflite"
    path.write_bytes(builder.build())
    return path


def halves() -> Callable[[Any], None]:
    weights = types.TensorQuantizationConfig(num_bits=16, dtype=types.TensorDataType.FLOAT)
    config = types.OpQuantizationConfig(weight_tensor_config=weights, compute_precision=types.ComputePrecision.FLOAT)

    def ask(maker: Any) -> None:
        maker.update_quantization_recipe(
            regex=".*",
            operation_name=types.TFLOperationName.ALL_SUPPORTED,
            op_config=config,
            algorithm_key="float_casting",
        )

    return ask


def quantized(path: Path, ask: Callable[[Any], None]) -> bytes:
    maker = quantizer.Quantizer(str(path))
    ask(maker)
    if not maker.need_calibration:
        return bytes(maker.quantize().quantized_model)
    examples = {"serving_default": [{"x": image[None]} for image in IMAGES]}
    return bytes(maker.quantize(maker.calibrate(examples)).quantized_model)


def loaded(name: str) -> Callable[[Any], None]:
    return lambda maker: maker.load_quantization_recipe(getattr(recipe, name)())


@pytest.mark.parametrize(
    ("precision", "ask"),
    [
        ("float16", halves()),
        ("dynamic", loaded("dynamic_wi8_afp32")),
        ("int8", loaded("static_wi8_ai8")),
        ("weight_only", loaded("weight_only_wi8_afp32")),
        ("int16", loaded("static_wi8_ai16")),
    ],
    ids=["float16", "dynamic", "int8", "weight_only", "int16"],
)
def test_every_recipe_is_packed_and_equal(float_file: Path, precision: str, ask: Callable[[Any], None]) -> None:
    data = quantized(float_file, ask)
    converted = tfprune.convert(data, device="host", min_speedup=0.01)
    assert [(layer.precision, layer.verdict) for layer in converted.report.layers] == [(precision, "sparse")] * 2
    # Weights alone in int8 are packed as the float32 numbers that they stand for.
    assert len(converted.tflite) < (0.9 if precision == "weight_only" else 0.7) * len(data)
    exact = precision in ("int8", "int16")
    report = tfprune.verify(data, converted.tflite, rtol=0.0 if exact else 1e-5)
    assert report.ok, report
    assert report.outputs[0].largest > 0
