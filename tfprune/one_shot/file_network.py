# SPDX-License-Identifier: Apache-2.0
"""A ``.tflite`` file whose weights are pruned one operator after the other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.analysis import packed_operators
from tfprune.converter.capability import Layer
from tfprune.converter.examples import ModelInput
from tfprune.converter.graph import Graph
from tfprune.converter.schema import TensorType, text, tfl
from tfprune.converter.weights import weight_values
from tfprune.errors import (
    AlreadyConvertedError,
    ConversionError,
    ModelError,
    PatternError,
    PruningError,
    RuntimeInputError,
)
from tfprune.one_shot.file_layers import (
    OPERATORS,
    FileLayer,
    as_stored,
    parts_of,
    read_layers,
    samples_of,
    unread_reason,
)
from tfprune.recipe import Match, Recipe, Rule
from tfprune.runtime.interpreter import Interpreter
from tfprune.sparsity.layouts import from_matrix, matrix_shape, to_matrix
from tfprune.sparsity.reconstruct import Moments
from tfprune.sparsity.reconstruct.layer import magnitude
from tfprune.sparsity.reconstruct.task import KernelTask

Array = npt.NDArray[Any]

_TAKEN = "tfprune_taken"


@dataclass(frozen=True)
class SkippedLayer:
    """A layer that stays as it is.

    Args:
        layer: Its name.
        shape: Shape of its weights.
        values: Its weights.
        reason: Why.
    """

    layer: str
    shape: tuple[int, ...]
    values: Array
    reason: str


class FileNetwork:
    """The layers of a file, and what they read.

    Every collection runs the part of the file in front of the layer, with stock LiteRT, and so with XNNPACK.

    Args:
        data: The file.
        subject: What messages call it.
        recipe: What becomes of which layer.

    Raises:
        ModelError: Not a TFLite file.
        AlreadyConvertedError: It has tfprune's ops.
        ConversionError: Writing the file again would lose something.
        PruningError: Nothing to prune, or a pattern that cannot apply to a layer that a rule names.
    """

    def __init__(self, data: bytes, subject: str, recipe: Recipe) -> None:
        """Finds the layers."""
        self._subject = subject
        self._graph = Graph(data, subject)
        if packed_operators(self._graph):
            raise AlreadyConvertedError(f"{subject}: already holds tfprune's ops; prune the dense model")
        if self._graph.loss is not None:
            raise ConversionError(f"{subject}: writing the file again would lose something: {self._graph.loss}")
        if recipe.scope != "layer":
            raise PruningError(
                f"One budget for all layers is for Keras models. Received: scope={recipe.scope!r} for {subject}. Give "
                "each layer its sparsity."
            )
        # Written and read once: from here on nothing is dropped, so tensors keep their numbers.
        self._data = self._graph.to_bytes()
        self._graph = Graph(self._data, subject)
        self._changed = False
        layers = read_layers(self._graph)
        self.skipped: list[SkippedLayer] = []
        self._layers: list[FileLayer] = []
        self.tasks: list[KernelTask] = []
        self._batches: Sequence[Any] = ()
        matches = {match.layer: match for match in recipe.match([layer.info for layer in layers])}
        for place, layer in enumerate(layers):
            self._sort(layer, recipe, matches.get(place))
        # Of a mapping that leaves every layer dense: nothing is wrong.
        if not self.tasks and not all(rule.skip for rule in recipe.rules):
            listed = "; ".join(f"{each.layer}: {each.reason}" for each in self.skipped) or "no layer with weights"
            raise PruningError(
                f"{subject} has no layer to prune. Received: {listed}. Choose layers with a rule, or lower "
                "`min_weights`."
            )

    def inputs(self) -> list[ModelInput]:
        """What the file takes.

        Raises:
            ModelError: It has several signatures.
        """
        try:
            found = Interpreter(self._data).inputs()
        except RuntimeInputError as error:
            raise ModelError(
                f"{self._subject}: calibration data are for files with one signature: {error}; prune it without data"
            ) from error
        return [
            ModelInput(
                spec.name, tuple(None if size < 0 else size for size in spec.shape[1:]), str(np.dtype(spec.dtype))
            )
            for spec in found
        ]

    def use(self, batches: Sequence[Any]) -> None:
        """Takes the calibration data."""
        self._batches = batches

    def collect(self, place: int) -> Moments:
        """Sums up what a layer reads now, and what it read in the dense file.

        Args:
            place: The place of its task.
        """
        layer = self._layers[place]
        assert layer.found is not None
        sizes = self._graph.shape(self._graph.tensor(0, int(layer.op.outputs[0])))[1:3]
        now = _Part(self._graph.to_bytes(), layer.found)
        before = _Part(self._data, layer.found) if self._changed else None
        moments: Moments | None = None
        for batch in self._batches:
            inputs = now.run(batch)
            if moments is None:
                moments = Moments(self.tasks[place].weights, *parts_of(layer, inputs.shape[-1]))
            pieces = samples_of(layer, inputs, sizes)
            if before is None:
                for piece in pieces:
                    moments.add(piece)
            else:
                for piece, dense in zip(pieces, samples_of(layer, before.run(batch), sizes), strict=True):
                    moments.add(piece, dense)
        assert moments is not None, "there is at least one example"
        return moments

    def write(self, place: int, weights: Array, bias_change: Array | None) -> None:
        """Gives a layer its new weights.

        Args:
            place: The place of its task.
            weights: ``[rows, segments, cols]``.
            bias_change: What is added to the bias; None: nothing.
        """
        layer, graph = self._layers[place], self._graph
        assert layer.found is not None
        values = from_matrix(weights, layer.shape, OPERATORS[layer.operator][0])
        tensor = graph.tensor(layer.found.subgraph, layer.found.numbers.source)
        graph.model.buffers[tensor.buffer].data = as_stored(layer, graph, values)
        self._changed = True
        if bias_change is not None:
            self._add_to_bias(layer, bias_change)

    def finish(self) -> None:
        """Nothing is left: files have no BatchNormalization layers."""

    def restore(self) -> None:
        """Nobody holds what is changed here."""

    def achieved(self, place: int) -> Array:
        """The weights of a layer as they are now.

        Args:
            place: The place of its task.
        """
        layer = self._layers[place]
        assert layer.found is not None
        values = weight_values(self._graph, self._graph.tensor(layer.found.subgraph, layer.found.numbers.source))
        assert values is not None
        return values

    def to_bytes(self) -> bytes:
        """The file as it is now."""
        return self._graph.to_bytes()

    def _sort(self, layer: FileLayer, recipe: Recipe, match: Match | None) -> None:
        """Makes a task of a layer, or notes why it stays as it is."""
        rule = None if match is None or match.rule is None else recipe.rules[match.rule]
        named = match is not None and match.named
        reason = layer.unfit
        if not reason and rule is None:
            reason = "not selected by a rule"
        if not reason and rule is not None and match is not None and match.rule is not None:
            reason = f"skipped by {recipe.name_of(match.rule)}" if rule.skip else _reason(layer, rule, named)
        later = "" if match is None or not match.later else _later(recipe, match)
        task = None if reason or rule is None else _task(layer, rule, later)
        if isinstance(task, KernelTask):
            self._layers.append(layer)
            self.tasks.append(task)
            return
        if task is not None and named and rule is not None and rule.final_sparsity != 0:
            raise PruningError(
                f"The pattern must be able to apply to every layer that a rule names. Received: layer {layer.layer!r}: "
                f"{task} Leave it out, or give it another pattern by a rule of its own."
            )
        self.skipped.append(SkippedLayer(layer.layer, layer.shape, layer.values, reason or str(task)))

    def _add_to_bias(self, layer: FileLayer, change: Array) -> None:
        assert layer.found is not None
        assert layer.found.bias is not None
        graph, subgraph = self._graph, layer.found.subgraph
        tensor = graph.tensor(subgraph, layer.found.bias)
        old = graph.constant(tensor, np.float32)
        assert old is not None
        data = (old + change).astype(np.float32).view(np.uint8)
        # Converters let layers share a bias, such as one of zeros.
        index = graph.replace_constant(
            subgraph, layer.found.bias, text(tensor.name), TensorType.FLOAT32, old.shape, data
        )
        graph.set_inputs(subgraph, layer.op, [index if each == layer.found.bias else each for each in layer.op.inputs])


class _Part:
    """What of a file computes the activation input of a layer.

    Args:
        data: The file.
        layer: The layer.
    """

    def __init__(self, data: bytes, layer: Layer) -> None:
        """Cuts the file off in front of the layer."""
        graph = Graph(data)
        main = graph.model.subgraphs[0]
        tensor = int(main.operators[layer.index].inputs[layer.activation_input])
        self._input: str | None = None
        self._interpreter: Interpreter | None = None
        if tensor in main.inputs:
            specs = Interpreter(data).inputs()
            self._input = next(spec.name for spec in specs if spec.index == tensor)
            return
        main.operators = main.operators[: layer.index]
        main.outputs = np.array([tensor], np.int32)
        for signature in graph.model.signatureDefs or []:
            entry = tfl.TensorMapT()
            entry.name, entry.tensorIndex = _TAKEN, tensor
            signature.outputs = [entry]
        self._interpreter = Interpreter(graph.to_bytes(), num_threads=min(4, os.cpu_count() or 1))

    def run(self, batch: Any) -> Array:
        """The layer's input for a batch."""
        if self._interpreter is None:
            assert self._input is not None
            found: Array = batch[self._input] if isinstance(batch, dict) else batch
            return found
        try:
            return np.asarray(self._interpreter.predict(batch))
        except RuntimeInputError:
            # Files that write their batch into a reshape run at that batch only.
            return np.concatenate([np.asarray(self._interpreter.predict(each)) for each in _single(batch)])


def _single(batch: Any) -> Iterator[Any]:
    """The examples of a batch, each as a batch of one."""
    if not isinstance(batch, dict):
        yield from (batch[place : place + 1] for place in range(len(batch)))
        return
    for place in range(len(next(iter(batch.values())))):
        yield {name: value[place : place + 1] for name, value in batch.items()}


def _later(recipe: Recipe, match: Match) -> str:
    """Which further rules name a layer."""
    assert match.rule is not None
    names = ", ".join(recipe.name_of(each) for each in match.later)
    return f"{recipe.name_of(match.rule)} came first, {names} matched as well"


def _reason(layer: FileLayer, rule: Rule, named: bool) -> str:
    """Why a layer stays dense though a rule is for it; the same reasons as for Keras layers."""
    hint = "(name it in a rule to prune it)"
    if layer.operator == "DEPTHWISE_CONV_2D" and not named:
        return f"depthwise kernel: few weights, one input channel an output {hint}"
    if layer.values.size < rule.least_weights:
        return f"{layer.values.size} weights, fewer than min_weights={rule.least_weights}"
    if layer.makes_output and not named:
        return f"last dense layer: it makes an output of the model {hint}"
    if layer.groups > 1 and not named:
        return f"grouped convolution, groups={layer.groups} {hint}"
    return ""


def _task(layer: FileLayer, rule: Rule, later: str) -> KernelTask | str:
    """What shall become of a layer, or why its pattern cannot."""
    pattern, layout = rule.pattern, OPERATORS[layer.operator][0]
    assert pattern is not None  # a rule without one skips
    assert layer.found is not None
    if not np.isfinite(layer.values).all():
        raise PruningError(f"Weights must be finite to be pruned. Received: NaN or infinities in {layer.layer!r}.")
    try:
        pattern.check(matrix_shape(layer.shape, layout))
        target = pattern.resolve_sparsity(rule.final_sparsity, layer.shape, layout)
    except PatternError as error:
        return str(error)
    if not target:
        return "its rule asks for sparsity 0"
    own = pattern.own_sparsity(matrix_shape(layer.shape, layout)) is not None
    sparsity = None if own else target
    weights = to_matrix(layer.values, layout)
    unread = unread_reason(layer)
    return KernelTask(
        layer=layer.layer,
        kernel="weights",
        shape=layer.shape,
        weights=weights,
        pattern=pattern,
        sparsity=sparsity,
        target=target,
        plain=magnitude(weights, pattern, sparsity, rule.scores)[0],
        has_bias=not unread and layer.found.bias is not None and layer.found.bias in layer.op.inputs,
        unread=unread,
        note=later,
    )
