# SPDX-License-Identifier: Apache-2.0
"""Packed weights: the byte layout of ``docs/formats.md``, written and read with numpy alone.

The twin in C++ is ``tflite_ops/formats``; both are tested against the same golden bytes in ``tests/golden``.
"""

from tfprune.formats.blocks import BlockCount, Blocks, count_blocks, cut
from tfprune.formats.cover import GroupCount, count_groups
from tfprune.formats.decode import PackedWeights, decode, read
from tfprune.formats.encode import encode
from tfprune.formats.header import (
    ALIGNMENT,
    FORMAT_VERSION,
    HEADER_BYTES,
    Activation,
    Encoding,
    Op,
    OpSpec,
    PackedHeader,
    Padding,
    ValueType,
    pack_header,
    packed_size,
    unpack_header,
)
from tfprune.formats.quantization import Quantization

__all__ = [
    "ALIGNMENT",
    "FORMAT_VERSION",
    "HEADER_BYTES",
    "Activation",
    "BlockCount",
    "Blocks",
    "Encoding",
    "GroupCount",
    "Op",
    "OpSpec",
    "PackedHeader",
    "PackedWeights",
    "Padding",
    "Quantization",
    "ValueType",
    "count_blocks",
    "count_groups",
    "cut",
    "decode",
    "encode",
    "pack_header",
    "packed_size",
    "read",
    "unpack_header",
]
