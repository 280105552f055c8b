# SPDX-License-Identifier: Apache-2.0
"""Search for the mapping with the best accuracy under a budget, on the user's own data."""

from tfprune.mapping.searching.api import search
from tfprune.mapping.searching.result import SearchResult, Trial

__all__ = ["SearchResult", "Trial", "search"]
