# SPDX-License-Identifier: Apache-2.0
"""Tiny dense ``.tflite`` files, written through the schema without TensorFlow."""

from tests.models.builder import ModelBuilder, conv_model, fully_connected_model, pruned

__all__ = ["ModelBuilder", "conv_model", "fully_connected_model", "pruned"]
