# SPDX-License-Identifier: Apache-2.0
"""From a dense model whose weights hold zeros to a ``.tflite`` file with sparse ops."""

from tfprune.converter.api import convert, inspect
from tfprune.converter.converted import Converted
from tfprune.converter.report import ConversionReport, LayerReport

__all__ = ["ConversionReport", "Converted", "LayerReport", "convert", "inspect"]
