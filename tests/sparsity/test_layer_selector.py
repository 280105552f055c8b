# SPDX-License-Identifier: Apache-2.0
"""Many layers at once: the masks of `select`, whatever came before and however many threads there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfprune.errors import PatternError
from tfprune.sparsity.patterns import BlockPunched, Groups, NofM, Pattern, Unstructured
from tfprune.sparsity.select import select
from tfprune.sparsity.select.layers import LayerJob, LayerSelector

PATTERNS: tuple[Pattern, ...] = (
    Groups(rows=4),
    Groups(rows=1, cols=4, along="input"),
    Groups(rows=4, cols=2),
    Groups(rows=4, balanced=True, unit_rows=16),
    Groups(rows=4, aligned=True),
    BlockPunched(8, 4),
    Unstructured(),
)


def jobs(seed: int, sparsity: float) -> list[LayerJob]:
    random = np.random.default_rng(seed)
    listed = []
    for index in range(28):
        shape = (3, 3, 8 * (1 + index % 3), 32) if index % 2 else (24 + 8 * index, 64)
        weights = random.standard_normal(shape).astype(np.float32)
        if index % 5 == 0:
            weights = np.rint(weights)
        listed.append(LayerJob(f"layer {index}", weights, PATTERNS[index % len(PATTERNS)], sparsity))
    return listed


@pytest.mark.parametrize("threads", [1, 2, 3, None])
def test_masks_are_those_of_select(threads: int | None) -> None:
    selector = LayerSelector(threads=threads)
    for seed, sparsity in ((0, 0.5), (0, 0.5), (1, 0.8), (1, 0.82), (2, 0.3)):
        listed = jobs(seed, sparsity)
        masks = selector.select(listed)
        assert list(masks) == [job.name for job in listed]
        for job in listed:
            assert (masks[job.name] == select(job.weights, job.pattern, sparsity)).all()


def test_prices_are_remembered_by_layer_and_unit() -> None:
    selector = LayerSelector()
    selector.select(jobs(0, 0.8))
    memory = selector._prices["layer 3"]  # balanced: 32 rows in units of 16
    assert sorted(memory.hints) == [0, 1]
    assert memory.hints[0].ratio != memory.hints[1].ratio
    assert selector._prices["layer 0"].hints[0].ratio != selector._prices["layer 7"].hints[0].ratio


def test_scores_layouts_and_own_rates() -> None:
    weights = np.random.default_rng(0).standard_normal((3, 3, 8, 16))
    masks = LayerSelector(scores="squared", threads=2).select(
        [
            LayerJob("a", weights, Groups(rows=4), 0.5),
            LayerJob("b", weights, Groups(rows=4), 0.5, layout="conv2d_transpose", scores="l2"),
            LayerJob("c", weights, NofM(2, 4)),
        ]
    )
    assert (masks["a"] == select(weights, Groups(rows=4), 0.5, scores="squared")).all()
    assert (masks["b"] == select(weights, Groups(rows=4), 0.5, layout="conv2d_transpose", scores="l2")).all()
    assert (masks["c"] == select(weights, NofM(2, 4), scores="squared")).all()


def test_no_layers() -> None:
    assert LayerSelector().select([]) == {}


def test_errors_name_the_first_wrong_layer() -> None:
    good, bad = np.ones((4, 8)), np.full((4, 8), np.nan)
    listed = [LayerJob(name, weights, Groups(2), 0.5) for name, weights in (("a", good), ("b", bad), ("c", bad))]
    with pytest.raises(PatternError, match=r"^Layer 'b': .*32 of 32 weights are NaN"):
        LayerSelector(threads=2).select(listed)


def test_names_must_differ() -> None:
    job = LayerJob("a", np.ones((4, 8)), Groups(2), 0.5)
    with pytest.raises(PatternError, match="Received more than once: a"):
        LayerSelector().select([job, job])


@pytest.mark.parametrize("threads", [0, -1, True, "2", 2.0])
def test_threads_must_be_positive(threads: Any) -> None:
    with pytest.raises(PatternError, match="`threads` must be a whole number of at least 1"):
        LayerSelector(threads=threads)
