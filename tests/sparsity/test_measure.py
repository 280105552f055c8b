# SPDX-License-Identifier: Apache-2.0
"""Measures."""

from __future__ import annotations

import numpy as np
import pytest

from tfprune.errors import PatternError
from tfprune.sparsity.measure import Density, density, kept_score, sparsity, total_density


def test_sparsity_counts_both_zeros() -> None:
    assert sparsity(np.array([0.0, -0.0, 1e-30, np.nan])) == 0.5
    assert density(np.array([[True, False]])) == Density(1, 2)
    assert total_density([Density(1, 4), Density(3, 4)]).sparsity == 0.5
    with pytest.raises(PatternError, match="no weights"):
        sparsity([])


def test_kept_score() -> None:
    weights, mask = np.array([[3.0, -1.0]]), np.array([[True, False]])
    assert kept_score(weights, mask) == 0.75
    assert kept_score(weights, mask, "squared") == 0.9
    assert kept_score(np.zeros((1, 2)), mask) == 1.0
    with pytest.raises(PatternError, match="shape"):
        kept_score(weights, mask.T)
