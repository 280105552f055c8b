# SPDX-License-Identifier: Apache-2.0
"""Runs models whose packed header holds odd numbers under a right checksum; prints how many ran and were refused.

A program of its own, so that the test sees a crash as an exit code.
"""

from __future__ import annotations

import dataclasses
import struct
import zlib

import numpy as np

from tests.runtime.quantized_models import QuantizedLayer, quantized_layer, wide_layer
from tests.runtime.tiny_models import TinyLayer, conv_layer, dense_layer
from tfprune.errors import TfpruneError
from tfprune.formats import HEADER_BYTES, Encoding, Op, OpSpec, Padding, Rounding
from tfprune.formats.header import FIELD_CODES, FIELD_NAMES
from tfprune.runtime.interpreter import Interpreter

VALUES = (0, 1, 2**30 - 1, 2**31 - 9, 2**31 - 1, 2**31, 2**32 - 1)
# Total bytes, fourteen fields of a byte, two bytes that are zero, and the other fields.
OFFSETS = dict(zip(FIELD_NAMES, [8, *range(12, 26), *range(28, 108, 4)], strict=True))


def changed(packed: bytes, field: str, value: int) -> bytes:
    """The packed weights with one field replaced, of one byte by as much of the value as fits, and a right checksum."""
    data = bytearray(packed)
    if FIELD_CODES[field] == "B":
        data[OFFSETS[field]] = value % 256
    else:
        struct.pack_into("<I", data, OFFSETS[field], value)
    struct.pack_into("<I", data, HEADER_BYTES - 4, zlib.crc32(data[: HEADER_BYTES - 4]))
    return bytes(data)


def runs(layer: TinyLayer | QuantizedLayer, packed: bytes) -> bool:
    """Whether the model loads and predicts; False where tfprune or LiteRT refuses it."""
    try:
        model = layer.sparse(np.frombuffer(packed, np.uint8))
        dtype = layer.input_type if isinstance(layer, QuantizedLayer) else "float32"
        Interpreter(model).predict(np.ones(layer.input_shape, dtype))
    except TfpruneError:
        return False
    return True


def main() -> None:
    """Every field with every value, for convolutions and fully-connected layers of every type of activation."""
    layers = [conv_layer(padding=padding, stride=stride) for padding in Padding for stride in (1, 2)]
    layers += [conv_layer(kernel=1, padding=Padding.VALID), dense_layer()]
    # A dilated one, whose header differs from the model's geometry in nothing but the number that is changed.
    layers.append(dataclasses.replace(layers[0], spec=dataclasses.replace(layers[0].spec, dilation_w=2)))
    spec = OpSpec(Op.CONV_2D, 16, 8, 3, 3, padding=Padding.SAME)
    integers = [quantized_layer(spec, (1, 7, 7, 8), dynamic=dynamic) for dynamic in (False, True)]
    integers.append(quantized_layer(OpSpec(Op.FULLY_CONNECTED, 16, 24), (1, 24), dynamic=True))
    integers.append(wide_layer(spec, (1, 7, 7, 8)))
    integers.append(wide_layer(OpSpec(Op.FULLY_CONNECTED, 16, 24), (1, 24), activations="uint8", bias="int32"))
    builtin = dataclasses.replace(integers[0].quantization, rounding=Rounding.BUILTIN_CHANNELS, stock_channels=4)
    integers.append(dataclasses.replace(integers[0], quantization=builtin))
    outcomes = []
    cases = [(layer, encoding) for layer in [*layers, *integers] for encoding in Encoding]
    for layer, encoding in cases:
        packed = layer.packed(encoding).tobytes()
        for field in FIELD_NAMES:
            outcomes += [runs(layer, changed(packed, field, value)) for value in VALUES]
    print(outcomes.count(True), outcomes.count(False))


if __name__ == "__main__":
    main()
