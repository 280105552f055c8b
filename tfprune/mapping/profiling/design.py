# SPDX-License-Identifier: Apache-2.0
"""Which layers to measure next: those that the fit knows least about.

A fit is linear in counts of work, so how uncertain its prediction of a case is follows from the counts of what was
measured before anything is timed: the leverage ``x (X' X)^-1 x'`` of the case's counts ``x``, each by the predicted
time, among those measured, ``X``. Cases of largest leverage times the squared error of their kind so far are measured
next, those of the model's own layers before others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from tfprune.costs import CostTable, PackedShape, predict_sparse
from tfprune.costs.predict import sparse_work
from tfprune.costs.table import KINDS
from tfprune.mapping.profiling.fitting import Array, sparse_features
from tfprune.mapping.profiling.layer_sizes import LayerSizes
from tfprune.mapping.profiling.samples import SPARSITIES, Case, cases, step_rows

#: How much a case of a layer that the model does not have counts beside its own.
OTHERS = 0.1
_RIDGE = 1e-6
_BLOCK_COLUMNS = 32


def candidates(own: Sequence[LayerSizes], others: Sequence[LayerSizes], precision: str) -> list[tuple[Case, float]]:
    """What could be measured, and how much it counts: each layer with every step, the model's own at every sparsity."""
    every = [(case, OTHERS if own else 1.0) for case in cases(list(others), precision)]
    first = len(every)
    for place, (case, sparsity) in enumerate(product(cases(list(own), precision), SPARSITIES)):
        every.append((case._replace(sparsity=sparsity, seed=first + place), 1.0))
    return every


class Design:
    """Chooses cases, kind by kind of layer.

    Args:
        wanted: the cases and their weights.
        prior: a table of a device like the one that is measured; only how its times compare matters.
        precision: of the cases.
    """

    def __init__(self, wanted: Sequence[tuple[Case, float]], prior: CostTable, precision: str) -> None:
        self.cases = [case for case, _ in wanted]
        self._weights = np.array([weight for _, weight in wanted])
        self._open = np.ones(len(wanted), bool)
        tile = prior.costs(precision).tile
        kinds, rows = [], []
        for case in self.cases:
            layer, packed = case.layer.costs(precision), expected_shape(case)
            work = sparse_work(tile, layer, packed)
            kinds.append(KINDS.index(work.kind) if work.kind == layer.kind else -1)
            rows.append(np.array(sparse_features(work, layer, packed)) / predict_sparse(prior, layer, packed))
        self._kinds = np.array(kinds)
        # Layers that run as another kind say nothing of either.
        self._open &= self._kinds >= 0
        self._features = _alike(np.array(rows))
        size = self._features.shape[1]
        self._inverse = {kind: np.eye(size) / _RIDGE for kind in range(len(KINDS))}

    def choose(self, count: int, errors: Mapping[str, float]) -> list[Case]:
        """The next cases, as many as there are left of those that are asked for.

        Args:
            count: how many.
            errors: mean squared error of each kind so far; kinds that are missing count 1.
        """
        scale = np.array([errors.get(kind, 1.0) for kind in KINDS])
        leverage = np.zeros(len(self.cases))
        for kind in range(len(KINDS)):
            leverage[self._kinds == kind] = self._leverage(kind)
        chosen: list[Case] = []
        while len(chosen) < count and self._open.any():
            score = np.where(self._open, leverage * self._weights * scale[self._kinds], -1.0)
            place = int(score.argmax())
            chosen.append(self.cases[place])
            self.take(place)
            kind = int(self._kinds[place])
            leverage[self._kinds == kind] = self._leverage(kind)
        return chosen

    def take(self, place: int) -> None:
        """Counts a case as measured."""
        self._open[place] = False
        kind, x = int(self._kinds[place]), self._features[place]
        inverse = self._inverse[kind]
        turned = inverse @ x
        self._inverse[kind] = inverse - np.outer(turned, turned) / (1 + x @ turned)

    def _leverage(self, kind: int) -> Array:
        own = self._features[self._kinds == kind]
        found: Array = np.einsum("ij,jk,ik->i", own, self._inverse[kind], own)
        return found


def expected_shape(case: Case) -> PackedShape:
    """About what the packed weights of a case come to, without making them."""
    layer, kept = case.layer, 1 - case.sparsity
    cells = layer.out_channels * layer.columns
    used = round(layer.columns * (1 - case.sparsity ** max(1, layer.out_channels // case.rows)))
    groups = max(1, round(cells * kept / case.rows / case.cols))
    if case.encoding.startswith("block"):
        share = kept**0.5
        visits = round(cells * share / _BLOCK_COLUMNS)
        return PackedShape(case.encoding, case.rows, 1, max(1, visits // case.rows), groups, used, visits)
    bands = -(-layer.out_channels // case.rows)
    lines = bands if case.encoding == "row_band" else layer.out_channels - case.rows + 1
    return PackedShape(case.encoding, case.rows, case.cols, lines, groups, used)


def coverage(precision: str) -> int:
    """How many cases of a kind a fit needs at least: half as many again as it has coefficients."""
    return (len(step_rows(precision)) + 10) * 3 // 2


def _alike(features: Array) -> Array:
    """Columns of one length, so that no unit counts more than another."""
    norms = np.sqrt((features**2).mean(axis=0))
    scaled: Array = features / np.where(norms > 0, norms, 1)
    return scaled
