# SPDX-License-Identifier: Apache-2.0
"""Runs models whose packed header holds odd numbers under a right checksum; prints how many ran and were refused.

A program of its own, so that the test sees a crash as an exit code.
"""

from __future__ import annotations

import dataclasses
import struct
import zlib

import numpy as np

from tests.runtime.tiny_models import TinyLayer, conv_layer, dense_layer
from tfprune.errors import TfpruneError
from tfprune.formats import HEADER_BYTES, Encoding, Padding
from tfprune.formats.header import FIELD_NAMES
from tfprune.runtime.interpreter import Interpreter

VALUES = (0, 1, 2**30 - 1, 2**31 - 9, 2**31 - 1, 2**31, 2**32 - 1)
# Byte offset of every field: one after the other, but for the last one behind the reserved bytes.
OFFSETS = [8 + 4 * number for number in range(len(FIELD_NAMES) - 1)] + [120]


def changed(packed: bytes, offset: int, value: int) -> bytes:
    """The packed weights with one u32 field replaced and the checksum made right."""
    data = bytearray(packed)
    struct.pack_into("<I", data, offset, value)
    struct.pack_into("<I", data, HEADER_BYTES - 4, zlib.crc32(data[: HEADER_BYTES - 4]))
    return bytes(data)


def runs(layer: TinyLayer, packed: bytes) -> bool:
    """Whether the model loads and predicts; False where tfprune or LiteRT refuses it."""
    try:
        model = layer.sparse(np.frombuffer(packed, np.uint8))
        Interpreter(model).predict(np.ones(layer.input_shape, np.float32))
    except TfpruneError:
        return False
    return True


def main() -> None:
    """Every field with every value, for convolutions and a fully-connected layer."""
    layers = [conv_layer(padding=padding, stride=stride) for padding in Padding for stride in (1, 2)]
    layers += [conv_layer(kernel=1, padding=Padding.VALID), dense_layer()]
    # A dilated one, whose header differs from the model's geometry in nothing but the number that is changed.
    layers.append(dataclasses.replace(layers[0], spec=dataclasses.replace(layers[0].spec, dilation_w=2)))
    outcomes = []
    for layer in layers:
        for encoding in Encoding:
            packed = layer.packed(encoding).tobytes()
            for offset in OFFSETS:
                outcomes += [runs(layer, changed(packed, offset, value)) for value in VALUES]
    print(outcomes.count(True), outcomes.count(False))


if __name__ == "__main__":
    main()
