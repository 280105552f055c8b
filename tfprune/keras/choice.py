# SPDX-License-Identifier: Apache-2.0
"""The masks of one update: all kernels at once, so that they may share cores, prices and channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError, PruningError
from tfprune.keras.channels.builder import graph_of
from tfprune.keras.coupling import Coupling
from tfprune.keras.layers import PrunableWeight, to_numpy
from tfprune.keras.progress import MaskRequest
from tfprune.sparsity.blocks import Mask
from tfprune.sparsity.patterns import Channels, Filters, Pattern
from tfprune.sparsity.scores import Scores
from tfprune.sparsity.select.layers import LayerJob, LayerSelector


class MaskChooser:
    """Chooses masks for the kernels of one model, again and again.

    `Filters` and `Channels` are chosen jointly for all kernels that share them, where the model has a graph that says
    so; other patterns, and models without a graph, kernel by kernel.

    Args:
        model: Built Keras model.
        pattern: The pattern of all kernels.
        scores: Scoring rule; see `select`.
    """

    def __init__(self, model: Any, pattern: Pattern, scores: Scores) -> None:
        """Follows the channels where the pattern needs it."""
        whole_channels = isinstance(pattern, (Filters, Channels))
        self._coupling = Coupling(model) if whole_channels and graph_of(model) is not None else None
        self._scores = scores
        self._selector = LayerSelector(scores)
        self._shapes: dict[int, str] = {}
        #: What a report says besides the pattern.
        self.note = ""
        if whole_channels:
            self.note = ", layer by layer: the model has no graph" if self._coupling is None else ", coupled"

    @property
    def keeps_channels(self) -> bool:
        """Whether something stays of every kernel at every sparsity: a joint choice leaves each set a channel."""
        return self._coupling is not None

    def shape_reason(self, weight: PrunableWeight) -> str:
        """Why a kernel could not shrink by the channels that the last joint choice removed; empty if it can.

        Args:
            weight: The kernel.
        """
        return self._shapes.get(id(weight.variable), "")

    def choose(self, requests: Sequence[MaskRequest], step: int) -> list[Mask]:
        """Chooses masks.

        Args:
            requests: What is wanted, a kernel each.
            step: Training step, for messages.

        Returns:
            The masks, in the order of the requests.

        Raises:
            PruningError: Weights that are not finite, or that the pattern refuses; the message names the layer.
        """
        values = [_finite(request.weight, step) for request in requests]
        try:
            if self._coupling is not None:
                return self._choose_coupled(self._coupling, requests, values)
            jobs = [
                LayerJob(_name(request.weight), value, request.pattern, request.sparsity, request.weight.layout)
                for request, value in zip(requests, values, strict=True)
            ]
            return list(self._selector.select(jobs).values())
        except PatternError as error:
            raise PruningError(f"At step {step}: {error}") from error

    def _choose_coupled(
        self, coupling: Coupling, requests: Sequence[MaskRequest], values: Sequence[npt.NDArray[Any]]
    ) -> list[Mask]:
        """One joint choice for all kernels of one target; all have the same one but where schedules differ."""
        masks: dict[int, Mask] = {}
        targets = {(request.pattern, request.sparsity) for request in requests}
        for pattern, sparsity in targets:
            places = [each for each, one in enumerate(requests) if (one.pattern, one.sparsity) == (pattern, sparsity)]
            kernels = [(requests[place].weight, values[place]) for place in places]
            assert sparsity is not None  # these patterns have no rate of their own
            chosen = coupling.select(kernels, pattern, sparsity, scores=self._scores)
            masks |= dict(zip(places, chosen.masks, strict=True))
            self._shapes |= {id(weight.variable): "" for weight, _ in kernels}
            for group in chosen.groups:
                if not group.shrinks:
                    reason = f"keeps its shape: {group.reason}"
                    self._shapes |= {id(kernels[index][0].variable): reason for index in group.kernels}
        return [masks[place] for place in range(len(requests))]


def _name(weight: PrunableWeight) -> str:
    """A layer's kernel; unique, because layers that share a name are called by their path."""
    return f"{weight.layer}/{weight.variable.name}"


def _finite(weight: PrunableWeight, step: int) -> npt.NDArray[Any]:
    """The value of a weight, which a training that diverged has lost."""
    value = to_numpy(weight.variable)
    if not np.isfinite(value).all():
        raise PruningError(
            f"Weights must be finite to be pruned. Received: NaN or infinite weights in layer {weight.layer!r} at step "
            f"{step}. The training has diverged: lower the learning rate, or stop it with TerminateOnNaN."
        )
    return value
