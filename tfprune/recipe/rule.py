# SPDX-License-Identifier: Apache-2.0
"""One rule of a recipe: which layers, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from tfprune.errors import PatternError, RecipeError, TfpruneError
from tfprune.recipe.matching import LayerFilter, LayerFilters, LayerInfo, checked_filters, matches_kernel, matches_layer
from tfprune.sparsity.configured import as_whole
from tfprune.sparsity.patterns import Pattern
from tfprune.sparsity.patterns.base import check_sparsity
from tfprune.sparsity.penalties import Penalty
from tfprune.sparsity.schedules import PolynomialDecay, Schedule
from tfprune.sparsity.scores import Scores, resolve_scores

#: Kernels with fewer weights stay dense: they gain too little.
DEFAULT_MIN_WEIGHTS = 2048

_KINDS: dict[str, tuple[type, str]] = {
    "pattern": (Pattern, "Groups(rows=4)"),
    "schedule": (Schedule, "PolynomialDecay(final_sparsity=0.8)"),
    "penalty": (Penalty, "PriorMaskPenalty(100.0)"),
}


@dataclass(frozen=True)
class Rule:
    """What becomes of some layers.

    Args:
        layers: Which layers: a pattern of names and paths (``*``, ``?``, ``[abc]``), the name of a Keras layer class, a
            class, a callable ``layer -> bool``, or several of these, of which any may match.
            ``"conv/pointwise_kernel"`` names one kernel of a layer with several. None: every layer that is pruned by
            default.
        pattern: The pattern.
        sparsity: Fraction of weights that end as zeros, in [0, 1); it goes before the schedule's own. None (default):
            the schedule's, or the rate of a pattern that has one.
        schedule: How the sparsity is reached while a model trains. None (default): ``PolynomialDecay``.
        scores: What a weight is worth: ``"l1"`` (default), ``"l2"``, ``"squared"``, ``"plane_share"`` or a callable.
        penalty: What trains weights towards the pattern before they go, or None (default).
        min_weights: Kernels with fewer weights stay dense; None (default): 2048.
        skip: Whether the layers stay dense; then nothing else may be given.
        place: Where the rule stands in a file, for messages.

    Raises:
        RecipeError: Arguments of wrong types or ranges, or that contradict each other.

    Example:
        >>> from tfprune.sparsity.patterns import Groups
        >>> rule = Rule(["block*", "Dense"], Groups(rows=4), 0.8)
        >>> rule.matches(LayerInfo("block1_conv")), rule.matches(LayerInfo("stem"))
        (True, False)
    """

    layers: LayerFilters
    pattern: Pattern | None = None
    sparsity: float | None = None
    schedule: Schedule | None = None
    scores: Scores = "l1"
    penalty: Penalty | None = None
    min_weights: int | None = None
    skip: bool = False
    place: str = field(default="", compare=False, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        """Checks the fields."""
        object.__setattr__(self, "layers", checked_filters(self.layers))
        if not isinstance(self.skip, bool):
            self._refuse("skip", "must be true or false")
        if self.skip:
            self._check_skipped()
            return
        for name, (kind, example) in _KINDS.items():
            value = getattr(self, name)
            if not isinstance(value, kind) and (value is not None or name == "pattern"):
                self._refuse(name, f"must be a {kind.__name__} object, such as {example}")
        self._check_scores()
        if self.min_weights is not None:
            object.__setattr__(self, "min_weights", self._whole("min_weights"))
        if self.sparsity is not None:
            try:
                object.__setattr__(self, "sparsity", check_sparsity(self.sparsity))
            except PatternError as error:
                raise RecipeError(str(error), field="sparsity") from error
        # Whether others have a rate of their own depends on the layer.
        assert self.pattern is not None
        if self.final_sparsity is None and type(self.pattern).own_sparsity is Pattern.own_sparsity:
            raise RecipeError(
                "A rule needs a final sparsity for a pattern without a rate of its own. Received: "
                f"{self.schedule or 'no schedule'!r} with {self.pattern!r}. Give `sparsity`, or write for example "
                "PolynomialDecay(final_sparsity=0.8) or ConstantSparsity(0.8).",
                field="sparsity",
            )

    @property
    def parts(self) -> tuple[LayerFilter, ...]:
        """The parts of `layers`; none where that is None."""
        return self.layers or ()  # type: ignore[return-value]  # a tuple since __post_init__

    @property
    def final_sparsity(self) -> float | None:
        """Sparsity in the end; None: the rate of the pattern's own."""
        if self.sparsity is not None:
            return self.sparsity
        return None if self.schedule is None else self.schedule.final

    @property
    def least_weights(self) -> int:
        """Kernels with fewer weights stay dense."""
        return DEFAULT_MIN_WEIGHTS if self.min_weights is None else self.min_weights

    def training_schedule(self) -> Schedule:
        """The schedule of a training, ending at the rule's sparsity."""
        schedule = PolynomialDecay() if self.schedule is None else self.schedule
        return schedule if self.sparsity is None else schedule.with_final(self.sparsity)

    def matches(self, info: LayerInfo, kernel: str | None = None) -> bool:
        """Whether the rule is for a layer, or for one of its kernels.

        Args:
            info: The layer.
            kernel: One of its kernels; None: the whole layer.
        """
        if self.layers is None:
            return True
        return any(
            matches_layer(part, info) or (kernel is not None and matches_kernel(part, info, kernel))
            for part in self.parts
        )

    def _check_skipped(self) -> None:
        """A rule that leaves layers alone says nothing else, and must say which."""
        given = {name: getattr(self, name) for name in ("pattern", "sparsity", "schedule", "penalty", "min_weights")}
        for name, value in given.items():
            if value is not None:
                self._refuse(name, "must not be given in a rule with `skip`")
        if self.layers is None:
            self._refuse("layers", "must name the layers that a rule with `skip` leaves alone")

    def _check_scores(self) -> None:
        if isinstance(self.scores, np.ndarray):
            raise RecipeError(
                "`scores` must be a name or a callable: one array cannot fit every kernel at every step. Received: an "
                f"array of shape {self.scores.shape}. Pass a function of the weights, such as scores=lambda w: abs(w).",
                field="scores",
            )
        try:
            resolve_scores(self.scores)
        except TfpruneError as error:
            raise RecipeError(str(error), field="scores") from error

    def _whole(self, name: str) -> int:
        number = as_whole(getattr(self, name))
        if number is None or number < 0:
            self._refuse(name, "must be a whole number of at least 0")
        return number

    def _refuse(self, name: str, rule: str) -> NoReturn:
        raise RecipeError(f"`{name}` {rule}. Received: {name}={getattr(self, name)!r}.", field=name)
