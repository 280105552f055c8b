# SPDX-License-Identifier: Apache-2.0
"""One-shot pruning of Keras models: what the layers read, and new statistics for BatchNormalization."""
