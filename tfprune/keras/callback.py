# SPDX-License-Identifier: Apache-2.0
"""`PruningCallback`: pruning as an argument of ``model.fit``."""

from __future__ import annotations

from typing import Any

import keras

from tfprune.keras.in_fit import PrunesInFit


class PruningCallback(PrunesInFit, keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no type information
    """Prunes a model while it trains.

    Before a training step at which ``schedule.should_prune(step)`` is true, the cells of every chosen kernel that score
    least go, as many as ``schedule.sparsity(step)`` says. Removed weights are zero at the end of every step, also
    inside ``steps_per_execution``. Nothing is added to the model: after ``fit`` its weights are the pruned ones, the
    optimizer and the layers' own constraints are as before, and it saves as a plain Keras model. Training it further
    *without* the callback fills the zeros in again; pass the same callback to keep them.

    The kernels of Dense, EinsumDense, Conv1D, Conv2D and Conv2DTranspose, the pointwise kernels of SeparableConv1D and
    SeparableConv2D, and both kernels of LSTM, GRU and SimpleRNN cells are pruned. Biases, BatchNorm, other layers,
    depthwise kernels, Embedding, grouped convolutions, the last Dense
    or EinsumDense layer and layers that the pattern cannot apply to are left alone; `report` says why, layer by layer.
    Of a functional or sequential model the last ones are all layers of that kind whose output, or a softmax, reshape or
    the like of it, is an output of the model; of a subclassed model it is the one defined last. Keras logs get
    ``"sparsity"``: the fraction of zeros over all kernels that are to be pruned.

    Steps are counted by the callback, from 0, and go on in a second ``fit`` of the same model with the same callback;
    with another model it begins anew.

    Args:
        pattern: Any of `tfprune.patterns`.
        schedule: Any of `tfprune.schedules`; None (default): `PolynomialDecay`. Without `end_step`, it ends at 70 % of
            the first fit. Without a final sparsity, every layer ends at the pattern's own rate.
        recipe: Which layers get what, in place of the arguments round it: a `Recipe`, one or several `Rule` objects, a
            dictionary, or the path of a YAML or JSON file.
        filters: Which layers to prune: a layer name pattern such as ``"block*_conv"`` (``*``, ``?``, ``[abc]``; matched
            against name and path), the name of a layer class, such a class, a callable ``layer -> bool``, or a list of
            these, of which any may match. One kernel of a separable convolution is named as in
            ``"conv/pointwise_kernel"``. Layers named here are pruned even if they are a last Dense, a depthwise or a
            grouped convolution, and the pattern must be able to apply to them. None (default): as above.
        scores: What a weight is worth: ``"l1"`` (default), ``"l2"``, ``"squared"``, ``"plane_share"`` or a callable;
            see `select`. An array cannot fit every kernel and is refused.
        scope: ``"layer"`` (default): each layer ends at the schedule's sparsity. ``"global"``: all layers together do.
        penalty: What makes weights small before the schedule cuts them, any of `tfprune.penalties`, or None (default).
        min_weights: Kernels with fewer weights stay dense. Default 2048.
        checkpoint: File for the state of pruning (``"run/pruning.npz"``), written whenever the model is saved, by
            `BackupAndRestore`, `ModelCheckpoint` or ``model.save``, and once more at the end. If it is there when
            ``fit`` begins, pruning goes on from the state that belongs to the model's weights: same step, same masks.
            None (default): no file.
        reproject: Whether weights that another callback puts back when training ends, such as
            ``EarlyStopping(restore_best_weights=True)``, are pruned again, to the sparsity reached. False (default):
            they stay as they are, with one warning.
        stop_below: Least values of metrics, such as ``{"val_accuracy": 0.9}``. After the first epoch that falls below
            one of them, the weights and masks of the last epoch within all of them come back, sparsity stops growing,
            and training goes on with these masks. None (default): no bounds.
        log_dir: Folder for TensorBoard: the sparsity of each layer over steps, and pictures of the masks. None
            (default): nothing is written.

    Raises:
        PruningError: Arguments of wrong types; when ``fit`` begins: no layer to prune, a filter without a match, a
            pattern that cannot apply to a layer named in `filters`, or a final sparsity that is missing or not the
            pattern's own.
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

    #: Training steps that run together from the batch that has begun.
    _running = 1

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Puts the masks in place; which ones is known when all callbacks have begun."""
        super().on_train_begin(logs)
        if self._pruning is not None and self._checkpoint is not None:
            self._pruning.masks.watcher = self._write_state

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Chooses masks anew where the schedule asks for it."""
        super().on_train_batch_begin(batch, logs)
        if self._pruning is not None:
            # `self.model` would cost a synchronisation a step on JAX.
            together, steps = int(self._pruning.model.steps_per_execution), self.params.get("steps")
            self._running = together if steps is None else max(1, min(together, steps - batch))

    def _steps_run(self, batch: int) -> int:
        return self._running
