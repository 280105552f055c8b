# SPDX-License-Identifier: Apache-2.0
"""Masks of many layers at once, again and again, as training wants them."""

from __future__ import annotations

import numbers
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from tfprune.errors import PatternError
from tfprune.sparsity.blocks import Mask
from tfprune.sparsity.layouts import LayoutLike
from tfprune.sparsity.patterns import Pattern
from tfprune.sparsity.scores import Scores
from tfprune.sparsity.select.dispatch import select
from tfprune.sparsity.select.prices import PriceMemory


@dataclass(frozen=True)
class LayerJob:
    """One layer of which a mask is wanted.

    Args:
        name: Name of the layer, for error messages and to remember its price by; different for every layer.
        weights: Kernel.
        pattern: Pattern.
        sparsity: Fraction of weights to remove; None for patterns with a rate of their own.
        layout: Layout of the kernel; see `select`.
        scores: Scoring rule of this layer; None (default): that of the `LayerSelector`.
    """

    name: str
    weights: npt.NDArray[Any]
    pattern: Pattern
    sparsity: float | None = None
    layout: LayoutLike = None
    scores: Scores | None = None


class LayerSelector:
    """`select` for the layers of a model, in several threads, with the prices of the last time for a first guess.

    The masks are those of `select`, whatever was selected before and however many threads there are.

    Args:
        scores: Scoring rule; see `select`.
        threads: Layers to work on at a time, at least 1. None (default): two, or one where there is only one core.
            Most patterns gain nearly a factor of two by it; the search for unaligned groups, which is made of very
            short calls of numpy, runs one layer at a time (`recurrence.SHORT_CALLS`): only what is around it overlaps.

    Raises:
        PatternError: `threads` that is no whole number of at least 1.

    Example:
        >>> import numpy as np
        >>> from tfprune.sparsity.patterns import Groups
        >>> selector = LayerSelector()
        >>> weights = np.array([[1.0, 8.0, 7.0, 2.0]])
        >>> masks = selector.select([LayerJob("dense", weights, Groups(rows=2), 0.5)])
        >>> masks["dense"].astype(int)
        array([[0, 1, 1, 0]])
    """

    def __init__(self, scores: Scores = "l1", threads: int | None = None) -> None:
        """Stores the arguments."""
        whole = isinstance(threads, numbers.Integral) and not isinstance(threads, bool)
        if threads is not None and (not whole or threads < 1):
            raise PatternError(f"`threads` must be a whole number of at least 1, or None. Received: {threads!r}.")
        self.scores = scores
        self.threads = min(2, _cores()) if threads is None else threads
        self._prices: dict[str, PriceMemory] = {}

    def select(self, jobs: Iterable[LayerJob]) -> dict[str, Mask]:
        """Chooses the masks of some layers.

        Args:
            jobs: The layers, each name once.

        Returns:
            Masks by name, in the order of the jobs.

        Raises:
            PatternError: A name used twice, or what `select` refuses, with the name of the first such layer.
        """
        listed = list(jobs)
        names = [job.name for job in listed]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise PatternError(f"Layers must have different names. Received more than once: {', '.join(twice)}.")
        for name in names:
            self._prices.setdefault(name, PriceMemory())
        # A large layer that starts last would keep one thread busy while the others have nothing left to do.
        by_size = sorted(listed, key=lambda job: -job.weights.size)
        with ThreadPoolExecutor(self.threads, "tfprune-select") as pool:
            futures = {job.name: pool.submit(self._one, job) for job in by_size}
            return {name: futures[name].result() for name in names}

    def _one(self, job: LayerJob) -> Mask:
        """The mask of one layer."""
        scores = self.scores if job.scores is None else job.scores
        try:
            return select(
                job.weights,
                job.pattern,
                job.sparsity,
                layout=job.layout,
                scores=scores,
                prices=self._prices[job.name],
            )
        except PatternError as error:
            raise PatternError(f"Layer {job.name!r}: {error}") from error


def _cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
