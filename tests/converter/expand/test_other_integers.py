# SPDX-License-Identifier: Apache-2.0
"""uint8 and int16 operators over expanded matrices: bit-equal, or kept where stock LiteRT rounds otherwise."""

from __future__ import annotations

import dataclasses

import pytest

from tests.converter.expand.operators import RELU, TANH, Dense, Maker
from tests.converter.expand.test_expanded_ops import check
from tests.converter.helpers import STEADY_COSTS
from tests.runtime.quantized_models import wide_layer
from tfprune.converter.analysis import analyse
from tfprune.converter.capability import Refused
from tfprune.converter.graph import Graph
from tfprune.costs import load_table
from tfprune.formats import Op, OpSpec


def refusal(data: bytes) -> str:
    """Why the file's operator is no layer of ours; empty where it may be one."""
    (finding,) = analyse(Graph(data), load_table(STEADY_COSTS), 1e-6)
    outcome = finding.outcome
    return outcome.code if isinstance(outcome, Refused) and outcome.code != "not_smaller" else ""


@pytest.mark.parametrize("precision", ["uint8", "int16"])
def test_grouped_and_transposed(precision: str) -> None:
    maker = Maker(precision, 3)
    check(maker.conv_2d((2, 17, 18, 16), 24, (3, 2), 4, activation=RELU), ["TfpruneConv2D"])
    check(maker.transpose_conv((2, 14, 15, 8), 6, (3, 3), (1, 1)), ["TfpruneConv2D"])


def test_transposed_uint8_with_strides() -> None:
    check(Maker("uint8", 3).transpose_conv((2, 14, 15, 8), 6, (3, 3), (2, 2), more=1))


@pytest.mark.parametrize("precision", ["uint8", "int16"])
@pytest.mark.parametrize(("multiplier", "stride"), [(1, 1), (1, 2), (2, 1)])
def test_depthwise(precision: str, multiplier: int, stride: int) -> None:
    dense = Maker(precision, 3).depthwise((2, 17, 18, 16), multiplier, (3, 3), stride=(stride, stride))
    check(dense, ["TfpruneConv2D"])


@pytest.mark.parametrize(
    ("dense", "code"),
    [
        # Kernels of their own on some processors.
        (Maker("uint8").depthwise((2, 9, 8, 12), 1, (3, 3), activation=TANH), "rounding"),
        # LiteRT has no DEPTH_TO_SPACE for them.
        (Maker("int16").transpose_conv((1, 4, 5, 8), 6, (3, 3), (2, 2), more=1), "precision"),
    ],
)
def test_what_rounds_otherwise_stays(dense: Dense, code: str) -> None:
    assert refusal(dense.data) == code


def test_equal_scales_of_channels_are_not_one_scale() -> None:
    layer = wide_layer(OpSpec(Op.FULLY_CONNECTED, 32, 64), (200, 64), bias=None)
    scales = layer.quantization.scales.copy()
    scales[:] = 0.0123
    quantization = dataclasses.replace(layer.quantization, scales=scales, input_scale=0.000321)
    equal = dataclasses.replace(layer, quantization=quantization)
    assert refusal(layer.dense()) == ""
    assert refusal(equal.dense()) == "rounding"
    bias = wide_layer(layer.spec, layer.input_shape, bias="int64").bias
    assert refusal(dataclasses.replace(equal, bias=bias).dense()) == ""
