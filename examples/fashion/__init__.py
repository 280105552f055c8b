# SPDX-License-Identifier: Apache-2.0
"""The parts of ``examples/fashion_mnist.py``."""
