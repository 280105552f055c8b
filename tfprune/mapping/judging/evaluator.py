# SPDX-License-Identifier: Apache-2.0
"""Judges mappings: one-shot pruning of the trained weights, new statistics or a short training, and the metric."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import MappingError
from tfprune.mapping.choice import Choice
from tfprune.mapping.judging.evaluation import Evaluation
from tfprune.mapping.judging.examples import Batch, inputs_of
from tfprune.mapping.judging.metric import Metric
from tfprune.mapping.latency import LatencyModel, Prediction
from tfprune.mapping.network import Network
from tfprune.sparsity.select import select

#: Called with the number of a part and the metric after it; may raise to end an evaluation.
Report = Callable[[int, float], None]
#: Examples behind the new statistics of BatchNormalization layers.
RECALIBRATION_EXAMPLES = 256


class Evaluator:
    """Judges mappings of one model, each from the same trained weights.

    The kernels are pruned at once, by magnitude; `BatchNormalization` layers get the statistics of what they see then;
    for ``epochs`` above 0 the model trains on with the zeros held; then comes the metric over growing parts of the
    validation data. Afterwards the model is what it was before.

    Args:
        model: built Keras model, compiled unless the metric is a function.
        network: the same model, as mapping sees it.
        validation: batches with labels.
        training: batches for statistics and training; none: the inputs of ``validation``, for statistics alone.
        metric: what is measured.
        epochs: of training, 0: none.
        latency: what predicts latencies; None: the evaluator knows none.
        seed: of the order of the training batches.

    Raises:
        MappingError: a model that is not compiled, or no training data to train on.
    """

    def __init__(
        self,
        model: Any,
        network: Network,
        validation: Sequence[Batch],
        *,
        training: Sequence[Batch] = (),
        metric: Metric | None = None,
        epochs: int = 0,
        latency: LatencyModel | None = None,
        seed: int = 0,
    ) -> None:
        from tfprune.keras.backends import value_of
        from tfprune.keras.one_shot.recalibration import Recalibration

        measured = metric or Metric()
        if not getattr(model, "compiled", False) and (measured.function is None or epochs):
            raise MappingError(
                f"model {network.name!r} must be compiled with its loss and metrics; call compile() first"
            )
        if epochs and not training:
            raise MappingError(f"epochs={epochs} need training_data; give them, or 0 to have new statistics only")
        self.metric = measured.settled(model, validation)
        self.network = network
        self.latency = latency
        self._model = model
        self._validation = validation
        self._training = training
        self._epochs = epochs
        self._seed = seed
        self._kernels = _variables(model, network)
        self._masks: dict[tuple[str, Choice], npt.NDArray[np.uint8]] = {}
        self._recalibration = Recalibration(model, inputs_of(training or validation, RECALIBRATION_EXAMPLES))
        self._before = [(each, value_of(each)) for each in self._changing()]
        self._dense: float | None = None

    @property
    def dense(self) -> float:
        """The metric of the model without zeros, as it was trained."""
        if self._dense is None:
            self._dense = self.metric.measure(self._model, self._validation)
        return self._dense

    def accuracy(self, choices: Mapping[str, Choice], report: Report | None = None) -> float:
        """The metric of a mapping.

        Args:
            choices: by layer name; the others stay dense.
            report: told of each part but the last: of each epoch, then of each part of the validation data.

        Raises:
            MappingError: an unknown layer, or a pattern that a layer cannot have.
        """
        parts = itertools.count()

        def told(value: float) -> None:
            if report is not None:
                report(next(parts), value)

        with self._pruned(choices) as masks:
            for value in self._training_values(masks):
                told(value)
            return self.metric.measure(self._model, self._validation, told)

    def evaluate(
        self, choices: Mapping[str, Choice], prediction: Prediction | None = None, report: Report | None = None
    ) -> Evaluation:
        """Judges a mapping.

        Args:
            choices: by layer name; the others stay dense.
            prediction: what it is predicted to take, where that is known already.
            report: as for `accuracy`.

        Raises:
            MappingError: as `accuracy`, or there is no prediction.
        """
        if prediction is None:
            if self.latency is None:
                raise MappingError("evaluate: the evaluator has no latency model; give it one, or a prediction")
            prediction = self.latency.predict(choices)
        begin = time.perf_counter()
        accuracy = self.accuracy(choices, report)
        seconds = time.perf_counter() - begin
        return Evaluation(accuracy, prediction.time, prediction.stored_bytes, prediction.macs, seconds)

    def mask(self, name: str, choice: Choice) -> npt.NDArray[np.bool_]:
        """Which weights of a layer stay, from the largest magnitudes of its own weights."""
        layer = self.network.layer(name)
        key = (name, choice)
        if choice.pattern is None:
            return np.ones(layer.weights.shape, bool)
        if key not in self._masks:
            chosen = select(layer.weights, choice.pattern, choice.sparsity, layout=layer.layout)
            # A bit a weight: a search keeps the masks of every layer under every choice.
            self._masks[key] = np.packbits(chosen)
        bits = np.unpackbits(self._masks[key], count=layer.weights.size)
        return bits.reshape(layer.weights.shape).astype(bool)

    @contextlib.contextmanager
    def _pruned(self, choices: Mapping[str, Choice]) -> Iterator[dict[str, npt.NDArray[np.bool_]]]:
        """The model with zeros and the statistics that go with them; yields the masks."""
        masks = {name: self.mask(name, choice) for name, choice in choices.items() if not choice.dense}
        try:
            for name, mask in masks.items():
                self._kernels[name].assign(np.where(mask, self.network.layer(name).weights, 0))
            if masks:
                self._recalibration.apply()
            yield masks
        finally:
            for variable, value in self._before:
                variable.assign(value)

    def _training_values(self, masks: Mapping[str, npt.NDArray[np.bool_]]) -> Iterator[float]:
        """Trains with the zeros held; yields the metric on the first part of the validation data after each epoch."""
        from tfprune.keras.layers import to_numpy

        order = np.random.default_rng(self._seed)
        for _ in range(self._epochs):
            for place in order.permutation(len(self._training)):
                inputs, labels, weights = self._training[place]
                self._model.train_on_batch(inputs, labels, weights)
                # By hand: constraints would have Keras compile its step anew for every mapping.
                for name, mask in masks.items():
                    kernel = self._kernels[name]
                    kernel.assign(np.where(mask, to_numpy(kernel), 0))
            yield self.metric.measure(self._model, self.metric.part(self._validation))

    def _changing(self) -> list[Any]:
        """Variables that an evaluation changes."""
        if not self._epochs:
            return [*self._kernels.values(), *self._recalibration.variables]
        self._model.optimizer.build(self._model.trainable_variables)
        return [*self._model.variables, *self._model.optimizer.variables]


def _variables(model: Any, network: Network) -> dict[str, Any]:
    """The kernels' variables by the names of the network's layers."""
    from tfprune.mapping.network import find_kernels

    kernels, _ = find_kernels(model)
    return {kernel.name: kernel.variable for kernel in kernels}
