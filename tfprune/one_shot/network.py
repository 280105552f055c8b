# SPDX-License-Identifier: Apache-2.0
"""Prunes the kernels of a model one after the other, whatever kind of model it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError, PruningError
from tfprune.one_shot.report import LayerReport
from tfprune.sparsity.measure import density
from tfprune.sparsity.reconstruct import Moments, reconstruct
from tfprune.sparsity.reconstruct.task import KernelTask

Array = npt.NDArray[Any]


class Network(Protocol):
    """A model whose kernels are pruned in the order in which they run."""

    @property
    def tasks(self) -> Sequence[KernelTask]:
        """What shall become of each kernel."""

    def collect(self, place: int) -> Moments:
        """Sums up what a kernel reads, with everything before it pruned."""

    def write(self, place: int, weights: Array, bias_change: Array | None) -> None:
        """Gives a kernel its new weights ``[rows, segments, cols]``."""

    def finish(self) -> None:
        """Does what is left once all kernels are written."""

    def restore(self) -> None:
        """Makes a model that the caller holds again what it was."""

    def achieved(self, place: int) -> Array:
        """The values of a kernel as they are now; 0 where a weight is 0."""


def prune_network(network: Network, with_data: bool, advance: Callable[[str], None]) -> list[LayerReport]:
    """Prunes every kernel.

    Args:
        network: The model.
        with_data: Whether it can be run.
        advance: Called with the name of each layer before its turn.

    Returns:
        What became of each kernel.

    Raises:
        PruningError: Inputs of a layer that are not finite.
    """
    try:
        return _prune_all(network, with_data, advance)
    except BaseException:
        network.restore()
        raise


def _prune_all(network: Network, with_data: bool, advance: Callable[[str], None]) -> list[LayerReport]:
    reports = []
    for place, task in enumerate(network.tasks):
        advance(task.layer)
        errors: tuple[float, float] | None = None
        if with_data and not task.unread:
            errors = _reconstruct(network, place, task)
        else:
            zeroed = np.where(task.plain, task.weights, np.zeros((), task.weights.dtype))
            network.write(place, zeroed, None)
        reports.append(_report(task, network.achieved(place), errors, with_data))
    network.finish()
    return reports


def _reconstruct(network: Network, place: int, task: KernelTask) -> tuple[float, float]:
    """Prunes a kernel by what it reads; returns its output error before and after."""
    try:
        found = reconstruct(
            task.weights,
            task.pattern,
            task.sparsity,
            network.collect(place),
            mask=task.plain,
            settled=task.settled,
            with_bias=task.has_bias,
        )
    except PatternError as error:
        raise PruningError(f"Layer {task.layer!r}: {error} Look for such examples in `calibration`.") from error
    network.write(place, found.weights, found.bias_change)
    return found.error_before, found.error_after


def _report(task: KernelTask, values: Array, errors: tuple[float, float] | None, with_data: bool) -> LayerReport:
    found = density(values)
    unread = f"plain magnitude: {task.unread}" if with_data and task.unread else ""
    empty = "keeps no cell: what the sparsity leaves is too little for one" if not found.kept else ""
    return LayerReport(
        layer=task.layer,
        kernel=task.kernel,
        shape=task.shape,
        pattern=str(task.pattern),
        target=task.target,
        achieved=found.sparsity,
        kept=found.kept,
        total=found.total,
        error_before=None if errors is None else errors[0],
        error_after=None if errors is None else errors[1],
        status="pruned" if errors is None else "reconstructed",
        reason="; ".join(filter(None, (empty, unread, task.note))),
    )
