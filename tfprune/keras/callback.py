# SPDX-License-Identifier: Apache-2.0
"""`PruningCallback`: pruning as an argument of ``model.fit``."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from tfprune.errors import PruningError
from tfprune.keras.layers import Filters, check_min_weights
from tfprune.keras.progress import no_final_sparsity
from tfprune.keras.pruner import Pruner
from tfprune.keras.report import PruningReport
from tfprune.sparsity.patterns import Pattern
from tfprune.sparsity.penalties import PriorMaskPenalty
from tfprune.sparsity.schedules import Schedule
from tfprune.sparsity.scores import Scores, resolve_scores


class PruningCallback(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no type information
    """Prunes a model while it trains.

    Before a training step at which ``schedule.should_prune(step)`` is true, the cells of every chosen kernel that score
    least go, as many as ``schedule.sparsity(step)`` says. Removed weights are zero at the end of every step, also
    inside ``steps_per_execution``. Nothing is added to the model: after ``fit`` its weights are the pruned ones, the
    optimizer and the layers' own constraints are as before, and it saves as a plain Keras model. Training it further
    *without* the callback fills the zeros in again; pass the same callback to keep them.

    The kernels of Dense, EinsumDense, Conv1D, Conv2D, Conv2DTranspose, and the pointwise kernels of SeparableConv1D and
    SeparableConv2D are pruned. Biases, BatchNorm, other layers, depthwise kernels, grouped convolutions, the last Dense
    or EinsumDense layer and layers that the pattern cannot apply to are left alone; `report` says why, layer by layer.
    Of a functional or sequential model the last ones are all layers of that kind whose output, or a softmax, reshape or
    the like of it, is an output of the model; of a subclassed model it is the one defined last. Keras logs get
    ``"sparsity"``: the fraction of zeros over all kernels that are to be pruned.

    Steps are counted by the callback, from 0, and go on in a second ``fit`` of the same model with the same callback;
    with another model it begins anew.

    Args:
        pattern: Any of `tfprune.patterns`.
        schedule: `PolynomialDecay` or `ConstantSparsity`. Without `end_step`, a `PolynomialDecay` ends at 70 % of the
            first fit. Without a final sparsity, every layer ends at the pattern's own rate.
        filters: Which layers to prune: a layer name pattern such as ``"block*_conv"`` (``*``, ``?``, ``[abc]``; matched
            against name and path), a layer class, a callable ``layer -> bool``, or a list of these, of which any may
            match. One kernel of a separable convolution is named as in ``"conv/pointwise_kernel"``. Layers named here
            are pruned even if they are a last Dense, a depthwise or a grouped convolution, and the pattern must be able
            to apply to them. None (default): as above.
        scores: What a weight is worth: ``"l1"`` (default), ``"l2"``, ``"squared"``, ``"plane_share"`` or a callable;
            see `select`. An array cannot fit every kernel and is refused.
        penalty: A `PriorMaskPenalty` that squeezes weights before the schedule cuts them, or None (default).
        min_weights: Kernels with fewer weights stay dense. Default 2048.

    Raises:
        PruningError: Arguments of wrong types; when ``fit`` begins: no layer to prune, a filter without a match, a
            pattern that cannot apply to a layer named in `filters`, a final sparsity that is missing or not the
            pattern's own, a back end other than TensorFlow, or several replicas.
        ScheduleError: When ``fit`` begins: a schedule or a penalty that begins too late.

    Example:
        >>> import keras, numpy as np
        >>> from tfprune.keras.callback import PruningCallback
        >>> from tfprune.sparsity import patterns, schedules
        >>> model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64, name="hidden"), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> pruning = PruningCallback(patterns.Groups(rows=4), schedules.PolynomialDecay(final_sparsity=0.75))
        >>> history = model.fit(np.ones((32, 64)), np.ones(32), epochs=3, verbose=0, callbacks=[pruning])
        >>> float((model.get_layer("hidden").kernel.numpy() == 0).mean())
        0.75
        >>> history.history["sparsity"][-1]
        0.75
    """

    def __init__(
        self,
        pattern: Pattern,
        schedule: Schedule,
        *,
        filters: Filters = None,
        scores: Scores = "l1",
        penalty: PriorMaskPenalty | None = None,
        min_weights: int = 2048,
    ) -> None:
        """Checks the arguments."""
        super().__init__()
        for name, value, kind in (("pattern", pattern, Pattern), ("schedule", schedule, Schedule)):
            if not isinstance(value, kind):
                raise PruningError(
                    f"`{name}` of `PruningCallback` must be a {kind.__name__} object, such as "
                    f"{'Groups(rows=4)' if kind is Pattern else 'PolynomialDecay(final_sparsity=0.8)'}. "
                    f"Received: {name}={value!r}."
                )
        # Whether others have a rate of their own depends on the layer.
        if schedule.final is None and type(pattern).own_sparsity is Pattern.own_sparsity:
            raise no_final_sparsity(schedule, pattern)
        least = check_min_weights(min_weights)
        if penalty is not None and not isinstance(penalty, PriorMaskPenalty):
            raise PruningError(
                "`penalty` of `PruningCallback` must be None or a `PriorMaskPenalty`, such as "
                f"PriorMaskPenalty(StrengthRamp(100.0)). Received: penalty={penalty!r}."
            )
        if isinstance(scores, np.ndarray):
            raise PruningError(
                "`scores` of `PruningCallback` must be a name or a callable: one array cannot fit every kernel at "
                f"every step. Received: an array of shape {scores.shape}. Pass a function of the weights, such as "
                "scores=lambda w: abs(w)."
            )
        resolve_scores(scores)
        self._pattern = pattern
        self._schedule = schedule
        self._filters = filters
        self._scores = scores
        self._min_weights = least
        self._penalty = penalty
        self._pruner: Pruner | None = None
        self._planned = False
        self._running = 1

    @property
    def report(self) -> PruningReport:
        """What each layer's pattern, target and achieved sparsity are now, or why it was skipped.

        Raises:
            PruningError: No ``fit`` has begun with this callback.
        """
        if self._pruner is None:
            raise PruningError("There is no report before training: pass the callback to model.fit(...) first.")
        return self._pruner.report()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Puts the masks in place."""
        pruner = self._pruner
        if pruner is None or pruner.model is not self.model:
            pruner = Pruner(
                self.model,
                self._pattern,
                self._schedule,
                filters=self._filters,
                scores=self._scores,
                min_weights=self._min_weights,
                penalty=self._penalty,
            )
        pruner.start()
        self._pruner = pruner
        self._planned = False
        # A step compiled by an earlier fit knows nothing of the constraints.
        self.model.make_train_function(force=True)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Fits the schedule to this training; only here is its first epoch known."""
        if self._planned or self._pruner is None:
            return
        self._planned = True
        steps = self.params.get("steps")
        problems = self._pruner.plan(None if steps is None else steps * (self.params["epochs"] - epoch))
        if problems:
            warnings.warn(f"PruningCallback: {'; '.join(problems)}.", UserWarning, stacklevel=2)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Chooses masks anew where the schedule asks for it."""
        if self._pruner is not None:
            self._pruner.prepare()
            self._running = self._steps_from(batch)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Counts the steps and logs the sparsity."""
        if self._pruner is not None:
            self._pruner.advance(self._running)
        self._log(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Logs the sparsity."""
        self._log(logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Leaves the model pruned, and otherwise as it was."""
        if self._pruner is not None:
            self._pruner.finalize()
            self._log(logs)
            # The next fit compiles a step without the masks.
            self.model.train_function = None

    def _steps_from(self, batch: int) -> int:
        """Training steps run together from this batch on."""
        together = int(self.model.steps_per_execution)
        steps = self.params.get("steps")
        return together if steps is None else max(1, min(together, steps - batch))

    def _log(self, logs: dict[str, Any] | None) -> None:
        if logs is not None and self._pruner is not None:
            logs["sparsity"] = self._pruner.sparsity
