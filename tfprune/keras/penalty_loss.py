# SPDX-License-Identifier: Apache-2.0
"""`PenaltyLoss`: a penalty as a term of a loss, for training loops of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras
from keras import ops

from tfprune.errors import PruningError
from tfprune.keras.arguments import keras_model, whole_number
from tfprune.keras.choice import MaskChooser
from tfprune.keras.layers import match_weights
from tfprune.keras.penalising import look
from tfprune.keras.penalties import WeightPenalty, penalty_on
from tfprune.keras.progress import MaskRequest, Progress, sort_by_pattern
from tfprune.recipe import DEFAULT_MIN_WEIGHTS, LayerFilters, Recipe, Rule
from tfprune.sparsity.patterns import Pattern
from tfprune.sparsity.penalties import Penalty
from tfprune.sparsity.scores import Scores


class PenaltyLoss:
    """A penalty as a scalar to add to a loss, differentiable on every backend.

    Call `update` before each training step, outside of compiled code, and the object itself where the loss is computed.
    Nothing else happens: no mask is applied, and the penalty never ends by itself. With `PruningCallback` or a `Pruner`
    a penalty is carried out as a proximal step instead, which no optimizer distorts: Adam divides a gradient by its own
    size, so that little but its sign is left of a strength, and SGD diverges where ``learning_rate * strength`` is
    large. Of the two, prefer that.

    On JAX a compiled step must be given what changes: see `stateless_call`.

    Args:
        penalty: Any of `tfprune.penalties`. An open end of its strength (`end_step`) must be set.
        pattern: The pattern to train towards.
        sparsity: The final sparsity, in [0, 1); None (default): the rate of the pattern's own.
        filters: Which layers; see `PruningCallback`.
        scores: What a weight is worth; see `select`.
        scope: ``"layer"`` (default) or ``"global"``; see `PruningCallback`.
        min_weights: Kernels with fewer weights are left alone. Default 2048.

    Raises:
        PruningError: Arguments of wrong types.

    Example:
        >>> import keras, numpy as np
        >>> from tfprune.keras.penalty_loss import PenaltyLoss
        >>> from tfprune.sparsity import patterns, penalties, schedules
        >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4, use_bias=False)])
        >>> model.layers[0].kernel.assign(np.repeat([[1.0, 2.0, 3.0, 4.0]], 8, axis=0))
        >>> term = PenaltyLoss(
        ...     penalties.PriorMaskPenalty(schedules.StrengthRamp(0.5, end_step=0)),
        ...     patterns.Unstructured(), 0.5, filters="*", min_weights=1,
        ... )
        >>> term.update(model, step=0)
        >>> float(term(model))   # 0.5 * 8 * (1 ** 2 + 2 ** 2)
        20.0
    """

    def __init__(
        self,
        penalty: Penalty,
        pattern: Pattern,
        sparsity: float | None = None,
        *,
        filters: LayerFilters = None,
        scores: Scores = "l1",
        scope: str = "layer",
        min_weights: int = DEFAULT_MIN_WEIGHTS,
    ) -> None:
        """Checks the arguments."""
        if not isinstance(penalty, Penalty):
            raise PruningError(f"`penalty` of `PenaltyLoss` must be a Penalty object. Received: {penalty!r}.")
        if penalty.ramp.end_step is None:
            raise PruningError(
                "The strength of a penalty needs an end outside of a schedule. Received: "
                f"{penalty.ramp!r}. Give `end_step` (0: the full strength at once)."
            )
        rule = Rule(filters, pattern, sparsity, scores=scores, penalty=penalty, min_weights=min_weights)
        self._recipe = Recipe(rule, scope)
        self._penalty = penalty
        self._model: Any = None
        self._chooser: MaskChooser
        self._terms: list[tuple[WeightPenalty, MaskRequest]] = []

    def update(self, model: Any, step: int) -> None:
        """Call before each training step: sets the strength of the step, and refreshes where the penalty is due.

        Args:
            model: Built Keras model.
            step: Number of the step, from 0.

        Raises:
            PruningError: Another step, or as `refresh`.
        """
        step = whole_number("`step` of PenaltyLoss.update", step, 0)
        self._bind(model)
        if self._penalty.should_choose(step) or (
            step > self._penalty.ramp.begin_step and not all(term.active for term, _ in self._terms)
        ):
            self.refresh(model, step)
        for term, _ in self._terms:
            term.set_strength(self._penalty.ramp.strength(step) if term.active else 0.0)

    def refresh(self, model: Any, step: int = 0) -> None:
        """Looks at the weights as they are now: prior masks, projections or denominators are found anew.

        Args:
            model: Built Keras model; the same at every call.
            step: Number of the step, for messages.

        Raises:
            PruningError: No model, nothing to penalise, a final sparsity that is missing or that the pattern cannot
                have, weights that are not finite, or another model than before.
        """
        self._bind(model)
        look(self._chooser, self._terms, step)

    def __call__(self, model: Any) -> Any:
        """The term.

        Args:
            model: The model of the last `update`.

        Returns:
            Scalar float32 tensor.

        Raises:
            PruningError: `update` has not been called with this model.
        """
        if model is not self._model or not self._terms:
            raise PruningError(
                f"A penalty must look at the weights of a model before it can be a loss. Received: {model!r} without "
                "an `update(model, step)` before. Call that before each step, outside of compiled functions."
            )
        parts = [term.loss(ops.cast(ops.convert_to_tensor(term.weight.variable), "float32")) for term, _ in self._terms]
        return sum(parts[1:], parts[0])

    @property
    def variables(self) -> list[Any]:
        """What the term reads besides the model: Keras variables, which `update` changes."""
        return [variable for term, _ in self._terms for variable in term.variables]

    def stateless_call(self, model: Any, trainable_variables: Iterable[Any], variables: Iterable[Any]) -> Any:
        """The term as a function of values, for JAX: a compiled function keeps what it is not given as it once was.

        Args:
            model: The model of the last `update`.
            trainable_variables: Values of ``model.trainable_variables``.
            variables: Values of `variables`.

        Returns:
            Scalar float32 tensor.

        Raises:
            PruningError: `update` has not been called with this model.
        """
        values: Sequence[tuple[Any, Any]] = [
            *zip(model.trainable_variables, trainable_variables, strict=True),
            *zip(self.variables, variables, strict=True),
        ]
        with keras.StatelessScope(state_mapping=values):
            return self(model)

    def _bind(self, model: Any) -> None:
        """Finds the kernels of a model, once."""
        if self._model is keras_model(model):
            return
        if self._model is not None:
            raise PruningError(
                f"A `PenaltyLoss` belongs to one model. Received: {model.name!r} after {self._model.name!r}. "
                "Make another."
            )
        prunable, skipped = match_weights(model, self._recipe)
        fitting, unfit = sort_by_pattern(prunable)
        progress = [Progress.begin(weight) for weight in fitting]
        reachable = [each for each in progress if each.can_end]
        if not reachable:
            listed = (
                "; ".join(f"{each.layer}: {each.reason}" for each in [*skipped, *unfit]) or "no layer with a kernel"
            )
            raise PruningError(f"The model {model.name!r} has no layer to penalise. Received: {listed}.")
        self._chooser = MaskChooser(model, [each.pattern for each in reachable], self._recipe.scope)
        for each in reachable:
            make = penalty_on(each.penalty, each.weight, each.pattern)
            assert make is not None
            self._terms.append((make(_variable), each.at_end()))
        self._model = model


def _variable(*, shape: Sequence[int], dtype: str, name: str, layout: Any = None) -> Any:
    """A variable that belongs to nothing."""
    return keras.Variable("zeros", shape=tuple(shape), dtype=dtype, trainable=False, layout=layout, name=name)
