# SPDX-License-Identifier: Apache-2.0
"""Shapes of sparsity: which weights are kept or removed together.

Example:
    >>> from tfprune.sparsity import patterns
    >>> pattern = patterns.Groups(rows=4)
    >>> patterns.deserialize(patterns.serialize(pattern)) == pattern
    True
"""

from tfprune.sparsity.patterns.base import Pattern, deserialize, find, register, serialize
from tfprune.sparsity.patterns.block_punched import BlockPunched
from tfprune.sparsity.patterns.block_rows_columns import BlockRowsColumns
from tfprune.sparsity.patterns.channels import Channels
from tfprune.sparsity.patterns.filters import Filters
from tfprune.sparsity.patterns.groups import Groups
from tfprune.sparsity.patterns.kernel_elements import KernelElements
from tfprune.sparsity.patterns.kernel_patterns import KernelPatterns
from tfprune.sparsity.patterns.n_of_m import NofM
from tfprune.sparsity.patterns.unstructured import Unstructured

__all__ = [
    "BlockPunched",
    "BlockRowsColumns",
    "Channels",
    "Filters",
    "Groups",
    "KernelElements",
    "KernelPatterns",
    "NofM",
    "Pattern",
    "Unstructured",
    "deserialize",
    "find",
    "register",
    "serialize",
]
