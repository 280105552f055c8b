# SPDX-License-Identifier: Apache-2.0
"""What a search chooses from: for every layer its choices, and what each of them takes of the budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tfprune.errors import MappingError
from tfprune.mapping.budget import Budget
from tfprune.mapping.choice import DENSE, Choice
from tfprune.mapping.latency import LayerPrediction, Prediction
from tfprune.tables import shortened

Floats = npt.NDArray[np.float64]
#: Why choices are not tried.
NO_GAIN, DOMINATED, TOO_LOSSY = "no gain over dense", "alone slower and worse than another one", "alone lose too much"

_AMOUNTS: dict[str, Callable[[LayerPrediction], float]] = {
    "latency_ms": lambda layer: layer.time,
    "latency_ratio": lambda layer: layer.time,
    "size_bytes": lambda layer: layer.stored_bytes,
    "mac_ratio": lambda layer: layer.macs,
}


class Predicts(Protocol):
    """What predicts a mapping: :class:`~tfprune.mapping.latency.LatencyModel`."""

    @property
    def dense(self) -> Prediction:
        """What the model takes without zeros."""

    def predict(self, choices: Mapping[str, Choice]) -> Prediction:
        """What it takes under choices by layer name."""


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A choice that the search does not try.

    Attributes:
        layer: name.
        choice: what is not tried there.
        rule: what it falls under: one of `NO_GAIN`, `DOMINATED` and `TOO_LOSSY`.
        reason: why.
    """

    layer: str
    choice: Choice
    rule: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Space:
    """The choices of every layer that has several.

    Attributes:
        choices: by layer name, at least two, the dense one among them.
        shares: of each choice: what it takes, as a share of the budget, beside layers that have zeros as well.
        rest: share of the budget that no choice changes.
        losses: of each choice: what it is expected to lose, the more the worse; only their order and ratios matter.
    """

    choices: dict[str, tuple[Choice, ...]]
    shares: dict[str, Floats]
    rest: float
    losses: dict[str, Floats]

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, in the order of the model."""
        return tuple(self.choices)

    def keys(self) -> dict[str, list[str]]:
        """The choices as text, which tells all of them apart: what the storage holds."""
        return {name: [key_of(choice) for choice in choices] for name, choices in self.choices.items()}

    def places(self, keys: Mapping[str, str]) -> list[int]:
        """Places of choices that are given as text, layer by layer."""
        known = self.keys()
        return [known[name].index(keys[name]) for name in self.layers]

    def at(self, places: Sequence[int]) -> dict[str, Choice]:
        """The mapping of choices at these places."""
        return {name: self.choices[name][place] for name, place in zip(self.layers, places, strict=True)}

    def keys_at(self, places: Sequence[int]) -> dict[str, str]:
        """The same as text."""
        return {name: key_of(choice) for name, choice in self.at(places).items()}

    def share(self, places: Sequence[int]) -> float:
        """Estimated share of the budget: what neighbours save each other is only that of all layers having zeros."""
        parts = [self.shares[name][place] for name, place in zip(self.layers, places, strict=True)]
        return self.rest + float(sum(parts))

    def fastest(self) -> list[int]:
        """Places of the choices that take least of the budget."""
        return [int(np.argmin(self.shares[name])) for name in self.layers]

    def kept(self, keep: Mapping[str, npt.NDArray[np.bool_]]) -> Space:
        """The space without some choices.

        Args:
            keep: by layer name, of each choice whether it stays.
        """
        places = {name: np.flatnonzero(keep[name]) for name in self.layers}
        several = {name: found for name, found in places.items() if len(found) > 1}
        alone = [self.shares[name][found[0]] for name, found in places.items() if len(found) == 1]
        return Space(
            {name: tuple(self.choices[name][place] for place in found) for name, found in several.items()},
            {name: self.shares[name][found] for name, found in several.items()},
            self.rest + float(sum(alone)),
            {name: self.losses[name][found] for name, found in several.items()},
        )

    def fit(self, places: Sequence[int], share_of: Callable[[dict[str, Choice]], float]) -> list[int] | None:
        """The nearest mapping under the budget: step by step the change that costs least for what it saves.

        Args:
            places: of the choices to begin with.
            share_of: the predicted share of the budget of a mapping.

        Returns:
            Places; None where even the fastest mapping is over the budget.
        """
        now = list(places)
        limit = 1.0
        while True:
            while self.share(now) > limit:
                step = self._cheapest_step(now)
                if step is None:
                    # What is estimated layer by layer may still be too much where the whole is not.
                    return now if share_of(self.at(now)) <= 1 else None
                now[step[0]] = step[1]
            exact = share_of(self.at(now))
            if exact <= 1:
                return now
            # Below what it is estimated at now, by as much as the prediction is over.
            limit = min(limit, self.share(now)) / exact

    def _cheapest_step(self, now: Sequence[int]) -> tuple[int, int] | None:
        """The layer and its new place with the least loss for each share saved."""
        best: tuple[float, int, int] | None = None
        for layer, (name, place) in enumerate(zip(self.layers, now, strict=True)):
            saved = self.shares[name][place] - self.shares[name]
            lost = np.maximum(self.losses[name] - self.losses[name][place], 0)
            for other in np.flatnonzero(saved > 0):
                found = (float(lost[other] / saved[other]), layer, int(other))
                best = found if best is None else min(best, found)
        return None if best is None else best[1:]


def key_of(choice: Choice) -> str:
    """A choice as text that tells it from every other one."""
    return "dense" if choice.pattern is None else f"{choice.pattern!r} {choice.sparsity:.6g}"


def space_of(
    model: Predicts, candidates: Mapping[str, Sequence[Choice]], budget: Budget
) -> tuple[Space, tuple[Skipped, ...]]:
    """The space of a network, without the choices that gain nothing.

    Args:
        model: predicts latencies.
        candidates: by layer name; the dense choice is added where it is missing.
        budget: what the shares are of.

    Returns:
        The space, and what is not in it.

    Raises:
        MappingError: no layer has a choice that takes less than dense.
    """
    amount = _AMOUNTS[budget.kind]
    dense = model.dense
    total = dense.other_time if budget.kind.startswith("latency") else 0.0
    unit = dense.share(budget, dense) / (total + sum(map(amount, dense.layers.values())))
    listed = {name: tuple(dict.fromkeys((DENSE, *choices))) for name, choices in candidates.items()}
    predictions: dict[str, list[LayerPrediction]] = {name: [] for name in listed}
    for place in range(max(map(len, listed.values()), default=0)):
        # Of all layers at once, so that neighbours save each other what they will in most mappings.
        tried = {name: choices[place] for name, choices in listed.items() if place < len(choices)}
        found = model.predict(tried).layers
        for name in tried:
            predictions[name].append(found[name])
    choices, shares, skipped = {}, {}, []
    for name, found_here in predictions.items():
        limit = amount(dense.layers[name])
        keep = [0]
        for place, prediction in enumerate(found_here[1:], 1):
            if prediction.sparse and amount(prediction) < limit:
                keep.append(place)
            else:
                skipped.append(Skipped(name, listed[name][place], NO_GAIN, _no_gain(prediction, budget)))
        if len(keep) > 1:
            choices[name] = tuple(listed[name][place] for place in keep)
            shares[name] = np.array([amount(found_here[place]) * unit for place in keep])
            shares[name][0] = limit * unit
    if not choices:
        raise MappingError(
            f"candidates must take less than dense in at least one layer, got {_reasons(skipped)}; give sparser or "
            "coarser ones"
        )
    fixed = total + sum(amount(layer) for name, layer in dense.layers.items() if name not in choices)
    losses = {name: np.array([choice.sparsity for choice in found]) for name, found in choices.items()}
    return Space(choices, shares, fixed * unit, losses), tuple(skipped)


def _no_gain(prediction: LayerPrediction, budget: Budget) -> str:
    if not prediction.sparse:
        return f"stays dense in the file: {prediction.reason}"
    what = {"size_bytes": "bytes", "mac_ratio": "multiply-adds"}.get(budget.kind, "time")
    return f"takes no less {what} than dense"


def _reasons(skipped: Sequence[Skipped]) -> str:
    if not skipped:
        return "none but the dense ones"
    return shortened([f"{each.layer} as {each.choice}: {each.reason}" for each in skipped])


def features_of(space: Space, facts: Mapping[str, Any]) -> dict[str, Floats]:
    """What a policy is told of each choice of each layer, in numbers around 0 to 1.

    Args:
        space: the choices.
        facts: by layer name its :class:`~tfprune.mapping.network.NetworkLayer`; layers without facts have zeros there.

    Returns:
        By layer name a row a choice: facts of the layer, the same in each row, then of the choice.
    """
    from tfprune.mapping.network import KINDS

    count = len(space.layers)
    names = sorted({_family(choice) for choices in space.choices.values() for choice in choices})
    most = max(float(shares[0]) for shares in space.shares.values())
    found = {}
    for place, name in enumerate(space.layers):
        layer = facts.get(name)
        kind = [0.0] * len(KINDS) if layer is None else [float(layer.kind == each) for each in KINDS]
        sizes = [0.0, 0.0] if layer is None else [np.log10(layer.weights.size) / 6, np.log10(max(1, layer.macs)) / 9]
        dense = float(space.shares[name][0])
        own = [place / count, dense / most, *sizes, *kind]
        rows = [
            [
                *own,
                choice.sparsity,
                float(share) / dense,
                float(loss) / max(1e-12, float(np.max(space.losses[name]))),
                *(float(_family(choice) == each) for each in names),
            ]
            for choice, share, loss in zip(space.choices[name], space.shares[name], space.losses[name], strict=True)
        ]
        found[name] = np.array(rows)
    return found


def _family(choice: Choice) -> str:
    return type(choice.pattern).__name__
