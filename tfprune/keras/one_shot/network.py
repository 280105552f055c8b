# SPDX-License-Identifier: Apache-2.0
"""A Keras model whose kernels are pruned one after the other, in the order in which they run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PruningError
from tfprune.keras.choice import MaskChooser
from tfprune.keras.layers import SkippedWeight, kernels_of, match_weights, to_numpy, walk_layers
from tfprune.keras.one_shot.batch_norm import Statistics, is_batch_norm
from tfprune.keras.one_shot.hooks import Hook, Stop, hooked, run
from tfprune.keras.one_shot.readers import Reader, Unread, as_array, reader_of
from tfprune.keras.progress import Progress, sort_by_pattern
from tfprune.recipe import Recipe
from tfprune.sparsity.layouts import from_matrix, to_matrix
from tfprune.sparsity.reconstruct.moments import Moments
from tfprune.sparsity.reconstruct.task import KernelTask

Array = npt.NDArray[Any]


class KerasNetwork:
    """The kernels of a Keras model, and what they read.

    Args:
        model: Built Keras model; changed by `write` and `finish`.
        recipe: What becomes of which layer.
        batches: Batches as the model takes them; none: nothing is read.

    Raises:
        PruningError: The model is not built, has nothing to prune, or weights that are not finite; a rule that cannot
            be applied.
    """

    def __init__(self, model: Any, recipe: Recipe, batches: Sequence[Any]) -> None:
        """Finds the kernels and the order in which they run."""
        self._model = model
        self._batches = batches
        progress, self.skipped = _to_prune(model, recipe)
        self._weights = [each.weight for each in progress]
        owners = {id(kernel): layer for layer in walk_layers(model) for kernel, _ in reversed(kernels_of(layer))}
        self._layers = [owners[id(weight.variable)] for weight in self._weights]
        self._dense: dict[int, tuple[Any, Array]] = {}
        self._calls: dict[int, int] = {}
        self._unreadable: set[int] = set()
        self._order: list[Any] = []
        self._settled: set[int] = set()
        #: BatchNormalization layers with new statistics, and those with too few values for them.
        self.recalibrated: list[str] = []
        self.left: list[str] = []
        if batches:
            self._look()
        readers = [self._reader(place) for place in range(len(self._weights))]
        self._readers: list[Reader | None] = [found if isinstance(found, Reader) else None for found in readers]
        self.tasks = self._tasks(recipe, progress, [found if isinstance(found, str) else "" for found in readers])

    def collect(self, place: int) -> Moments:
        """Sums up what a kernel reads now, and what it read in the dense model.

        Args:
            place: The place of its task.

        Returns:
            The sums.
        """
        reader, layer = self._readers[place], self._layers[place]
        assert reader is not None
        moments = Moments(self.tasks[place].weights, reader.parts, reader.count)
        statistics = self._statistics(before=layer)
        changed = bool(self._dense)
        in_dense = reader.dense_samples or reader.samples
        for batch in self._batches:
            dense, inputs = self._run(batch, layer, statistics, changed)
            for number, each in enumerate(inputs):
                if changed:
                    for piece, before in zip(reader.samples(each), in_dense(dense[number]), strict=True):
                        moments.add(piece, before)
                else:
                    for piece in reader.samples(each):
                        moments.add(piece)
        self._settle(statistics)
        assert moments.samples, f"{self._weights[place].layer} was seen to run"
        return moments

    def write(self, place: int, weights: Array, bias_change: Array | None) -> None:
        """Gives a kernel its new weights.

        Args:
            place: The place of its task.
            weights: ``[rows, segments, cols]``.
            bias_change: What is added to the bias, a number a row; None: nothing.
        """
        weight = self._weights[place]
        self._assign(weight.variable, from_matrix(weights, tuple(weight.variable.shape), weight.layout))
        reader = self._readers[place]
        if bias_change is not None and reader is not None and reader.bias is not None:
            bias = reader.bias
            self._assign(bias, to_numpy(bias) + bias_change.reshape(tuple(bias.shape)))

    def finish(self) -> None:
        """Takes the statistics of all BatchNormalization layers behind the last kernel."""
        statistics = self._statistics(before=None)
        if not statistics:
            return
        for batch in self._batches:
            self._run(batch, None, statistics, changed=True)
        self._settle(statistics)

    def restore(self) -> None:
        """Makes the model again what it was."""
        for variable, value in self._dense.values():
            variable.assign(value)

    def achieved(self, place: int) -> Array:
        """The values of a kernel as they are now.

        Args:
            place: The place of its task.
        """
        return to_numpy(self._weights[place].variable)

    # What runs when.

    def _look(self) -> None:
        """Runs one batch: which layers are called, in which order, how often, and whether their inputs can be read."""
        layers = [layer for layer in walk_layers(self._model) if kernels_of(layer) or is_batch_norm(layer)]

        def look(layer: Any) -> Any:
            def hook(call: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
                self._calls[id(layer)] = self._calls.get(id(layer), 0) + 1
                if self._calls[id(layer)] == 1:
                    self._order.append(layer)
                try:
                    as_array(inputs)
                except Exception:  # what a back end raises for a tensor of a graph or trace
                    self._unreadable.add(id(layer))
                return call(inputs, *rest, **named)

            return hook

        with hooked({layer: look(layer) for layer in layers}):
            run(self._model, self._batches[0])

    def _reader(self, place: int) -> Reader | str:
        """How a kernel reads its input, or why that is not known."""
        layer, weight = self._layers[place], self._weights[place]
        if not self._batches:
            return ""
        if id(layer) not in self._calls:
            return "the calibration data did not run it"
        try:
            reader = reader_of(layer, weight.variable, weight.layout)
        except Unread as reason:
            return str(reason)
        return "its inputs cannot be read while it runs" if id(layer) in self._unreadable else reader

    def _tasks(self, recipe: Recipe, progress: Sequence[Progress], unread: Sequence[str]) -> list[KernelTask]:
        """What shall become of each kernel, and the readers in the order of the tasks."""
        chooser = MaskChooser(self._model, [each.pattern for each in progress], recipe.scope)
        masks = chooser.choose([each.at_end() for each in progress], 0)
        tasks = [
            KernelTask(
                layer=each.weight.layer,
                kernel=each.weight.variable.name,
                shape=each.shape,
                weights=to_matrix(to_numpy(each.weight.variable), each.weight.layout),
                pattern=each.pattern,
                sparsity=each.at_end().sparsity,
                target=float(each.schedule.final or 0.0),
                plain=to_matrix(mask, each.weight.layout),
                settled=chooser.keeps_some(each.pattern),
                has_bias=reader is not None and reader.bias is not None,
                unread=reason,
                note="; ".join(filter(None, (chooser.note(each.pattern).lstrip(", "), each.weight.note))),
            )
            for each, mask, reader, reason in zip(progress, masks, self._readers, unread, strict=True)
        ]
        ranks = {id(layer): rank for rank, layer in enumerate(self._order)}
        places = sorted(range(len(tasks)), key=lambda place: ranks.get(id(self._layers[place]), -1))
        self._weights = [self._weights[place] for place in places]
        self._layers = [self._layers[place] for place in places]
        self._readers = [self._readers[place] for place in places]
        return [tasks[place] for place in places]

    # Reading.

    def _run(
        self, batch: Any, layer: Any, statistics: dict[Any, Statistics], changed: bool
    ) -> tuple[list[Array], list[Array]]:
        """What a layer gets in the dense model (nothing where that is the same) and now."""
        dense: list[Array] = []
        if changed:
            for each in statistics.values():
                each.begin_batch()
            with self._as_dense():
                dense = self._inputs(layer, batch, {norm: each.dense_hook() for norm, each in statistics.items()})
        return dense, self._inputs(layer, batch, {norm: each.hook() for norm, each in statistics.items()})

    def _inputs(self, layer: Any, batch: Any, hooks: dict[Any, Hook]) -> list[Array]:
        """What a layer gets, at each of its calls; the model runs no further. None: it runs to its end."""
        found: list[Array] = []

        def take(call: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
            found.append(as_array(inputs))
            if len(found) == self._calls[id(layer)]:
                raise Stop
            return call(inputs, *rest, **named)

        with hooked(hooks if layer is None else {**hooks, layer: take}):
            run(self._model, batch)
        return found

    # Statistics.

    def _statistics(self, before: Any) -> dict[Any, Statistics]:
        """BatchNormalization layers behind a changed kernel and before a layer (None: all) that have the old ones."""
        if not self._batches:
            return {}
        found = {}
        behind = False
        changed = set(self._dense)
        for layer in self._order:
            if layer is before:
                break
            behind = behind or any(id(kernel) in changed for kernel, _ in kernels_of(layer))
            if behind and is_batch_norm(layer) and id(layer) not in self._settled:
                found[layer] = Statistics(layer)
                for variable in (layer.moving_mean, layer.moving_variance):
                    self._dense[id(variable)] = (variable, to_numpy(variable))
        return found

    def _settle(self, statistics: dict[Any, Statistics]) -> None:
        for layer, each in statistics.items():
            (self.recalibrated if each.settle() else self.left).append(layer.name)
            self._settled.add(id(layer))

    # The dense model.

    def _assign(self, variable: Any, value: Array) -> None:
        self._dense.setdefault(id(variable), (variable, to_numpy(variable)))
        variable.assign(value)

    @contextlib.contextmanager
    def _as_dense(self) -> Iterator[None]:
        """The model as it was before."""
        now = [(variable, to_numpy(variable)) for variable, _ in self._dense.values()]
        try:
            self.restore()
            yield
        finally:
            for variable, value in now:
                variable.assign(value)


def _to_prune(model: Any, recipe: Recipe) -> tuple[list[Progress], list[SkippedWeight]]:
    """Kernels to prune and how, and the others with the reason."""
    prunable, skipped = match_weights(model, recipe)
    fitting, unfit = sort_by_pattern(prunable)
    skipped = [*skipped, *unfit]
    progress = []
    for each in map(Progress.begin, fitting):
        weight = each.weight
        if not np.isfinite(to_numpy(weight.variable)).all():
            raise PruningError(
                f"Weights must be finite to be pruned. Received: NaN or infinite weights in layer {weight.layer!r}."
            )
        if not each.schedule.final:
            skipped.append(SkippedWeight(weight.layer, weight.variable, "its rule asks for sparsity 0"))
        elif not each.can_end:
            least = each.pattern.min_sparsity(each.shape, weight.layout)
            reason = f"the pattern reaches no sparsity below {least:.4f} here"
            skipped.append(SkippedWeight(weight.layer, weight.variable, reason))
        else:
            progress.append(each)
    # Of a mapping that leaves every layer dense: nothing is wrong.
    if not progress and not all(rule.skip for rule in recipe.rules):
        listed = "; ".join(f"{each.layer}: {each.reason}" for each in skipped) or "no layer with a kernel"
        raise PruningError(
            f"The model {model.name!r} has no layer to prune. Received: {listed}. Choose layers with a rule, or lower "
            "`min_weights`."
        )
    return progress, skipped
