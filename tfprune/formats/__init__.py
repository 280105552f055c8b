# SPDX-License-Identifier: Apache-2.0
"""Packed weights: the byte layout of ``docs/formats.md``, written and read with numpy alone.

The twin in C++ is ``tflite_ops/formats``; both are tested against the same golden bytes in ``tests/golden``.
"""

from tfprune.formats.blocks import BlockCount, Blocks, count_blocks, cut
from tfprune.formats.count import GroupCount, count_groups
from tfprune.formats.decode import PackedWeights, decode, read
from tfprune.formats.encode import encode
from tfprune.formats.enums import Activation, ActivationType, Encoding, Op, Padding, Rounding, ValueType
from tfprune.formats.header import FORMAT_VERSION, OpSpec, PackedHeader, pack_header, unpack_header
from tfprune.formats.quantization import Quantization
from tfprune.formats.sections import ALIGNMENT, HEADER_BYTES

__all__ = [
    "ALIGNMENT",
    "FORMAT_VERSION",
    "HEADER_BYTES",
    "Activation",
    "ActivationType",
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
    "Rounding",
    "ValueType",
    "count_blocks",
    "count_groups",
    "cut",
    "decode",
    "encode",
    "pack_header",
    "read",
    "unpack_header",
]
