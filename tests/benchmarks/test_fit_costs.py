# SPDX-License-Identifier: Apache-2.0
"""The script that fits the tables of the package."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from tfprune.costs.table import KINDS

Load = Callable[[str], ModuleType]


def test_the_source_names_what_was_fitted_again(load: Load) -> None:
    source_of = load("fit_costs").source_of
    assert source_of("before", KINDS, "now") == "now"
    once = source_of("before", KINDS[:1], "then")
    assert once == "before; fitted again conv_1x1: then"
    twice = source_of(once, KINDS[1:2], "later")
    assert source_of(twice, KINDS[:1], "now") == "before; fitted again conv_kxk: later; fitted again conv_1x1: now"
