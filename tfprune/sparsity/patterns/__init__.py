# SPDX-License-Identifier: Apache-2.0
"""Shapes of sparsity: which weights are kept or removed together.

Example:
    >>> from tfprune.sparsity import patterns
    >>> pattern = patterns.Groups(rows=4)
    >>> patterns.deserialize(patterns.serialize(pattern)) == pattern
    True
"""

from tfprune.sparsity.patterns.base import Pattern, deserialize, register, serialize
from tfprune.sparsity.patterns.groups import Groups
from tfprune.sparsity.patterns.unstructured import Unstructured

__all__ = ["Groups", "Pattern", "Unstructured", "deserialize", "register", "serialize"]
