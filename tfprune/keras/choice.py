# SPDX-License-Identifier: Apache-2.0
"""The masks of one update: all kernels at once, so that they may share cores, prices, budgets and channels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError, PruningError
from tfprune.keras.channels.builder import graph_of
from tfprune.keras.coupling import Coupling
from tfprune.keras.layers import PrunableWeight, kernel_name, to_numpy
from tfprune.keras.progress import MaskRequest
from tfprune.sparsity.blocks import Mask
from tfprune.sparsity.patterns import Channels, Filters, Pattern
from tfprune.sparsity.scores import resolve_scores
from tfprune.sparsity.select import select_global
from tfprune.sparsity.select.allocate import competes_freely
from tfprune.sparsity.select.layers import LayerJob, LayerSelector

T = TypeVar("T")

# No layer loses more than this to the others of its budget, unless the budget asks for more.
_LARGEST_SHARE = 0.99


class MaskChooser:
    """Chooses masks for the kernels of one model, again and again.

    `Filters` and `Channels` are chosen jointly for all kernels that share them, where the model has a graph that says
    so. Under the scope ``"global"`` kernels of equal target share one budget, but for patterns whose cells cannot
    compete across kernels. All others are chosen kernel by kernel.

    Args:
        model: Built Keras model.
        patterns: The patterns that will be asked for.
        scope: ``"layer"`` or ``"global"``; see `Recipe`.
    """

    def __init__(self, model: Any, patterns: Iterable[Pattern], scope: str = "layer") -> None:
        """Follows the channels where a pattern needs it."""
        has_graph = any(_of_channels(pattern) for pattern in patterns) and graph_of(model) is not None
        self._coupling = Coupling(model) if has_graph else None
        self._scope = scope
        self._selector = LayerSelector()
        self._shapes: dict[int, str] = {}

    def note(self, pattern: Pattern) -> str:
        """What a report says besides the pattern.

        Args:
            pattern: One of the patterns.

        Returns:
            The text, empty where there is nothing to say.
        """
        if _of_channels(pattern):
            return ", layer by layer: the model has no graph" if self._coupling is None else ", coupled"
        if self._scope == "layer":
            return ""
        return ", one budget" if competes_freely(pattern) else ", outside of the budget"

    def keeps_some(self, pattern: Pattern) -> bool:
        """Whether something stays of every kernel at every sparsity, because kernels share channels or a budget.

        Args:
            pattern: One of the patterns.
        """
        if _of_channels(pattern):
            return self._coupling is not None
        return self._scope == "global" and competes_freely(pattern)

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
        values = [_finite(request, step) for request in requests]
        masks: dict[int, Mask] = {}
        try:
            for places, choose in self._parts(requests):
                chosen = choose([requests[place] for place in places], [values[place] for place in places])
                masks |= dict(zip(places, chosen, strict=True))
        except PatternError as error:
            raise PruningError(f"At step {step}: {error}") from error
        return [masks[place] for place in range(len(requests))]

    def _parts(self, requests: Sequence[MaskRequest]) -> list[tuple[list[int], _Choice]]:
        """Places of requests that are chosen together, and how."""
        coupled: dict[Any, list[int]] = {}
        shared: dict[Any, list[int]] = {}
        single: list[int] = []
        for place, request in enumerate(requests):
            pattern, sparsity = request.pattern, request.sparsity
            if _of_channels(pattern) and self._coupling is not None:
                coupled.setdefault((pattern, sparsity), []).append(place)
            elif self._scope == "global" and sparsity is not None and competes_freely(pattern):
                root = resolve_scores(request.weight.rule.scores).root
                shared.setdefault((sparsity, root), []).append(place)
            else:
                single.append(place)
        return [
            *((places, self._coupled) for places in coupled.values()),
            *((places, _shared) for places in shared.values()),
            *([(single, self._single)] if single else []),
        ]

    def _single(self, requests: Sequence[MaskRequest], values: _Values) -> list[Mask]:
        """Each kernel by itself."""
        jobs = [
            LayerJob(
                _name(request.weight),
                value,
                request.pattern,
                request.sparsity,
                request.weight.layout,
                request.weight.rule.scores,
            )
            for request, value in zip(requests, values, strict=True)
        ]
        return list(self._selector.select(jobs).values())

    def _coupled(self, requests: Sequence[MaskRequest], values: _Values) -> list[Mask]:
        """One joint choice for kernels of one pattern and target."""
        assert self._coupling is not None
        pattern, sparsity = requests[0].pattern, requests[0].sparsity
        assert sparsity is not None  # these patterns have no rate of their own
        kernels = [(request.weight, value) for request, value in zip(requests, values, strict=True)]
        scores = [request.weight.rule.scores for request in requests]
        chosen = self._coupling.select(kernels, pattern, sparsity, scores=scores)
        self._shapes |= {id(weight.variable): "" for weight, _ in kernels}
        for group in chosen.groups:
            if not group.shrinks:
                reason = f"keeps its shape: {group.reason}"
                self._shapes |= {id(kernels[index][0].variable): reason for index in group.kernels}
        return list(chosen.masks)


_Values = Sequence[npt.NDArray[Any]]
_Choice = Callable[[Sequence[MaskRequest], _Values], list[Mask]]


def _shared(requests: Sequence[MaskRequest], values: _Values) -> list[Mask]:
    """One budget for kernels of one target."""
    sparsity = requests[0].sparsity
    assert sparsity is not None
    by_name = {_name(request.weight): request for request in requests}
    masks = select_global(
        dict(zip(by_name, values, strict=True)),
        {name: request.pattern for name, request in by_name.items()},
        sparsity,
        layouts={name: request.weight.layout for name, request in by_name.items()},
        scores={name: request.weight.rule.scores for name, request in by_name.items()},
        max_sparsity=max(_LARGEST_SHARE, sparsity),
    )
    return [masks[name] for name in by_name]


def _of_channels(pattern: Pattern) -> bool:
    """Whether a pattern removes whole slices that other layers share."""
    return isinstance(pattern, (Filters, Channels))


def _name(weight: PrunableWeight) -> str:
    """A layer's kernel; unique, because layers that share a name are called by their path."""
    return f"{weight.layer}/{kernel_name(weight.variable)}"


def _finite(request: MaskRequest, step: int) -> npt.NDArray[Any]:
    """What to choose from, which a training that diverged has lost."""
    weight = request.weight
    value = to_numpy(weight.variable) if request.values is None else request.values
    if not np.isfinite(value).all():
        raise PruningError(
            f"Weights must be finite to be pruned. Received: NaN or infinite weights in layer {weight.layer!r} at step "
            f"{step}. The training has diverged: lower the learning rate, or stop it with TerminateOnNaN."
        )
    return value
