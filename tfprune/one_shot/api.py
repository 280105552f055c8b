# SPDX-License-Identifier: Apache-2.0
"""``prune``: a trained model becomes a pruned one at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tfprune.converter.api import is_keras_model, load_keras_file, load_module
from tfprune.converter.examples import ModelInput
from tfprune.errors import ModelError
from tfprune.one_shot.batches import known_batches, unknown_batches
from tfprune.one_shot.network import prune_network
from tfprune.one_shot.report import LayerReport, PruneReport
from tfprune.one_shot.result import Pruned
from tfprune.recipe import Recipe, RecipeLike
from tfprune.runtime.model_file import read_file
from tfprune.sparsity.measure import density

_KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")


def prune(
    model: Any,
    recipe: RecipeLike,
    *,
    calibration: Any = None,
    custom_objects: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Pruned:
    """Prunes a trained model at once, without training.

    With data, layer by layer in the order in which they run: what the layer reads, with everything before it pruned, is
    summed up; the cells go whose loss the rest can make up for best; and the weights that stay, and the bias, are
    solved anew so that the layer's outputs on the data differ least from those of the dense model. BatchNormalization
    layers of Keras models get new moving statistics. Some hundred examples like those of the training are enough;
    labels are not used. Without data, what has the least magnitude goes, and nothing else changes.

    Schedules and penalties of the recipe are for training and do nothing here; its sparsities are what they end at.

    Args:
        model: A built Keras model, which is changed; a ``.keras`` or ``.h5`` file; a ``.tflite`` file or the bytes of
            one, in which a rule names layers by their output tensors, or by operators (``"CONV_2D"``) or the Keras
            layers that become them (``"Conv2D"``).
        recipe: A recipe, a rule or several, a dictionary, or the path of a YAML or JSON file.
        calibration: Examples: an array whose first axis counts them, a dict of arrays by the inputs' names, an iterable
            of batches or of ``(inputs, labels)``, or a function that returns one. None (default): no data.
        custom_objects: Classes and functions by name that a ``.keras`` file needs.
        progress: Called with the name of each layer before its turn; None (default): nothing.

    Returns:
        The pruned model and the report.

    Raises:
        ModelError: Not a model, cut off or corrupt; a file with several signatures, where there are calibration data.
        AlreadyConvertedError: The file has tfprune's ops.
        ConversionError: Writing the file again would lose something.
        PruningError: Nothing to prune, a pattern that cannot apply to a layer that a rule names, weights that are not
            finite, or calibration data that do not fit the model.
        RecipeError: A recipe that is wrong, or a rule that matches no layer.

    Example:
        >>> pruned = tfprune.prune("classifier.keras", "recipe.yaml", calibration=images[:256])
        >>> print(pruned.report)
        >>> pruned.save("pruned.keras")
    """
    rules = Recipe.of(recipe)
    advance = progress or (lambda _: None)
    if is_keras_model(model):
        return _prune_keras(model, rules, calibration, advance, None)
    if isinstance(model, (bytes, bytearray, memoryview)):
        return _prune_file(bytes(model), "model", rules, calibration, advance, None)
    if not isinstance(model, (str, os.PathLike)):
        raise ModelError(
            "model must be a Keras model, the path of a .keras or .tflite file, or bytes, got "
            f"{type(model).__name__}: {repr(model)[:60]}"
        )
    path = Path(os.fsdecode(model))
    if path.is_dir():
        raise ModelError(f"`{path}`: a SavedModel folder cannot be pruned; prune the Keras model or the .tflite file")
    if path.suffix in _KERAS_SUFFIXES and path.exists():
        return _prune_keras(load_keras_file(path, custom_objects), rules, calibration, advance, path)
    try:
        data = read_file(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ModelError(f"`{path}` cannot be read: {reason}; give the path of a model that exists") from error
    return _prune_file(data, f"`{path}`", rules, calibration, advance, path)


def _prune_keras(
    model: Any, recipe: Recipe, calibration: Any, advance: Callable[[str], None], source: Path | None
) -> Pruned:
    from tfprune.keras.layers import to_numpy
    from tfprune.keras.one_shot.network import KerasNetwork

    batches, count = ([], 0) if calibration is None else _keras_batches(model, calibration)
    network = KerasNetwork(model, recipe, batches)
    layers = prune_network(network, calibration is not None, advance)
    skipped = [
        _skipped(
            each.layer, each.variable.name, tuple(each.variable.shape), density(to_numpy(each.variable)), each.reason
        )
        for each in network.skipped
    ]
    notes: tuple[str, ...] = ()
    if network.left:
        notes = (f"{len(network.left)} BatchNormalization layer(s) keep their statistics: too few values for new ones",)
    return Pruned(
        PruneReport((*layers, *skipped), count, tuple(network.recalibrated), notes), model=model, source=source
    )


def _keras_batches(model: Any, calibration: Any) -> tuple[list[Any], int]:
    tensors = getattr(model, "inputs", None)
    if not tensors:
        return unknown_batches(calibration)
    inputs = [ModelInput(str(each.name), tuple(each.shape[1:]), str(each.dtype)) for each in tensors]
    batches, count = known_batches(calibration, inputs)
    keras = load_module("keras")
    flat = [[batch[each.name] for each in inputs] if isinstance(batch, dict) else [batch] for batch in batches]
    # As the model's own inputs are nested, which Keras asks for; a Sequential model has one.
    nested = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    return [keras.tree.pack_sequence_as(nested, each) for each in flat], count


def _prune_file(
    data: bytes, subject: str, recipe: Recipe, calibration: Any, advance: Callable[[str], None], source: Path | None
) -> Pruned:
    from tfprune.one_shot.file_network import FileNetwork

    network = FileNetwork(data, subject, recipe)
    count = 0
    if calibration is not None:
        batches, count = known_batches(calibration, network.inputs())
        network.use(batches)
    layers = prune_network(network, calibration is not None, advance)
    skipped = [
        _skipped(each.layer, "weights", each.shape, density(each.values), each.reason) for each in network.skipped
    ]
    return Pruned(PruneReport((*layers, *skipped), count), tflite=network.to_bytes(), source=source)


def _skipped(layer: str, kernel: str, shape: tuple[int, ...], found: Any, reason: str) -> LayerReport:
    return LayerReport(
        layer=layer,
        kernel=kernel,
        shape=shape,
        pattern=None,
        target=None,
        achieved=found.sparsity,
        kept=found.kept,
        total=found.total,
        error_before=None,
        error_after=None,
        status="skipped",
        reason=reason,
    )
