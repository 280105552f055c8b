# SPDX-License-Identifier: Apache-2.0
"""How good a mapping is: one-shot pruning, new statistics or a short training, and a metric on validation data."""
