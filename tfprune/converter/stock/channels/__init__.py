# SPDX-License-Identifier: Apache-2.0
"""Channels that nothing needs are found through the whole graph and cut out of it."""

from tfprune.converter.stock.channels.cut import NAME, rewrite

__all__ = ["NAME", "rewrite"]
