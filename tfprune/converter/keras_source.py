# SPDX-License-Identifier: Apache-2.0
"""Keras models, ``.keras`` files and SavedModel folders to dense TFLite bytes.

TensorFlow and Keras are handed in: only ``api`` imports them, and only where a model needs them.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfprune.converter.calibration import Quantizer
from tfprune.converter.examples import ModelInput
from tfprune.errors import ConversionError, ModelError

# Keras's message about a class or function that it does not know, as seen in Keras 3.
_UNKNOWN_OBJECT = re.compile(
    r"(?:could not locate|unknown) (?:class|function|layer|object)[^'\"]*['\"]([^'\"]+)", re.IGNORECASE
)
# What TensorFlow takes for an argument of a signature.
_INPUT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*", re.ASCII)
# What it takes for a scope, which each layer opens.
_LAYER_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*", re.ASCII)
# Keras' colours in messages.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# The operator in which a loop collects its outputs, step by step.
_LOOP_OUTPUTS = b"TensorListReserve"


def from_model(
    model: Any, custom_objects: Mapping[str, Any] | None, quantizer: Quantizer, keras: Any, tensorflow: Any
) -> bytes:
    """Converts a Keras model, in the precision of ``quantizer``.

    Raises:
        ConversionError: another backend than TensorFlow, a model not built, a layer name that TensorFlow refuses,
            a layer that computes in another precision than float32, or an operator that TFLite does not know.
    """
    subject = f"model {model.name!r}"
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ConversionError(
            f"{subject}: TFLite conversion needs Keras's tensorflow backend, got {backend!r}; save the model as .keras "
            "and convert that file in a process with KERAS_BACKEND=tensorflow"
        )
    if not model.built or any(not layer.built for layer in model.layers):
        raise ConversionError(
            f"{subject}: the model is not built, so its shapes are unknown; call it once on data first"
        )
    for tensor in _graph_inputs(model):
        if not _INPUT_NAME.fullmatch(tensor.name):
            raise ConversionError(
                f"{subject}: names of inputs must be of letters, digits and '_', '.', '-', and begin with a letter, "
                f"got {tensor.name!r}: TensorFlow cannot export others; rename the input"
            )
    for layer in _all_layers(model):
        if not _LAYER_NAME.fullmatch(layer.name):
            raise ConversionError(
                f"{subject}: layer names must be of letters, digits, '_', '.' and '-' and not start with '_' or '-', "
                f"got {layer.name!r}: TensorFlow cannot convert others; rename the layer"
            )
        # Layers for whole numbers or text have other types than floats, and TFLite's own.
        if "float" in layer.compute_dtype and layer.compute_dtype != "float32":
            raise ConversionError(
                f"{subject}: layers must compute in float32, got {layer.compute_dtype} in layer {layer.name!r}; build "
                "the same model under the float32 policy and copy the weights with set_weights"
            )
    with keras.saving.custom_object_scope(dict(custom_objects or {})):
        return _export(model, quantizer, keras, tensorflow, subject)


def from_legacy(model: Any, quantizer: Quantizer, tensorflow: Any) -> bytes:
    """Converts a model of tf_keras.

    Raises:
        ConversionError: tf_keras cannot save it, or TFLite cannot convert it.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            with _without_info(tensorflow):
                model.save(folder, save_format="tf")
        # tf_keras and TensorFlow raise errors of many kinds for models that they cannot save.
        except Exception as error:
            raise ConversionError(
                f"model {model.name!r}: tf_keras could not save it: {type(error).__name__}: {_first_line(str(error))}"
            ) from error
        return _convert(Path(folder), quantizer, tensorflow, f"model {model.name!r}")


def load_file(path: Path, custom_objects: Mapping[str, Any] | None, keras: Any, *, compiled: bool = False) -> Any:
    """Loads a ``.keras`` or ``.h5`` file; ``compiled``: with its loss, metrics and optimizer, where it has them.

    Raises:
        ModelError: not a Keras file, cut off or corrupt.
        ConversionError: it needs classes that ``custom_objects`` does not name.
    """
    # Of another file that bears the name, Keras says that there is none.
    if path.suffix == ".keras" and path.is_file() and not zipfile.is_zipfile(path):
        raise ModelError(f"`{path}`: a .keras file is a ZIP archive, got something else; save the model again")
    try:
        return keras.saving.load_model(path, custom_objects=dict(custom_objects or {}), compile=compiled)
    # Keras raises whatever the content leads to (zipfile, json, h5py, TypeError, ...).
    except Exception as error:
        text = str(error)
        unknown = _UNKNOWN_OBJECT.search(text)
        if unknown:
            raise ConversionError(
                f"`{path}`: holds {unknown[1]!r}, a class or function that Keras does not know; pass it by name, "
                f"custom_objects={{{unknown[1]!r}: ...}}"
            ) from error
        raise ModelError(f"`{path}`: not a readable Keras model: {_first_line(text)}") from error


def from_saved_model(path: Path, quantizer: Quantizer, tensorflow: Callable[[], Any]) -> bytes:
    """Converts a SavedModel folder.

    Raises:
        ModelError: the folder holds no SavedModel.
        ConversionError: TFLite cannot convert it.
    """
    if not (path / "saved_model.pb").is_file():
        raise ModelError(f"`{path}`: a SavedModel folder holds saved_model.pb, got a folder without it")
    return _convert(path, quantizer, tensorflow(), f"`{path}`")


def _export(model: Any, quantizer: Quantizer, keras: Any, tensorflow: Any, subject: str) -> bytes:
    """Through a SavedModel: TensorFlow's way from a Keras model hides every error of the export behind another one."""
    known = [ModelInput(str(each.name), tuple(each.shape[1:]), str(each.dtype)) for each in _graph_inputs(model)]
    with tempfile.TemporaryDirectory() as folder:
        try:
            options = {} if (signature := _fixed_batches(model, keras)) is None else {"input_signature": signature}
            with _without_info(tensorflow):
                model.export(folder, format="tf_saved_model", verbose=False, **options)
        # Keras and TensorFlow raise errors of many kinds for models that they cannot export.
        except Exception as error:
            raise ConversionError(
                f"{subject}: Keras could not export it: {type(error).__name__}: {_cause(str(error))}"
            ) from error
        # The signature says what a subclassed model takes.
        return _convert(Path(folder), quantizer, tensorflow, subject, known or None)


@contextlib.contextmanager
def _without_info(tensorflow: Any) -> Iterator[None]:
    """In notebooks TensorFlow prints where it wrote a SavedModel, which is a folder that goes at once."""
    logger = tensorflow.get_logger()
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(level)


def _graph_inputs(model: Any) -> list[Any]:
    """The symbolic inputs of a model; none of a subclassed one, which has no graph."""
    return list(getattr(model, "inputs", None) or ())


def _fixed_batches(model: Any, keras: Any) -> list[Any] | None:
    """Inputs of the model with the batch that they fix, which Keras' export opens; None where there is none."""
    if all(tensor.shape[0] is None for tensor in _graph_inputs(model)):
        return None

    def spec(tensor: Any) -> Any:
        return keras.InputSpec(shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)

    if isinstance(model, keras.Sequential):
        return [spec(tensor) for tensor in _graph_inputs(model)]
    return [keras.tree.map_structure(spec, model.input)]


def _convert(
    folder: Path, quantizer: Quantizer, tensorflow: Any, subject: str, inputs: Sequence[ModelInput] | None = None
) -> bytes:
    if quantizer.precision == "int8" and _LOOP_OUTPUTS in (folder / "saved_model.pb").read_bytes():
        raise ConversionError(
            f"{subject}: TensorFlow's calibration for 'int8' crashes on recurrent layers that run as loops; use "
            "precision 'dynamic', or build these layers with unroll=True"
        )
    try:
        # TensorFlow prints what it saved on the way and warns of its own deprecated parts; nobody asked for that.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            converter = tensorflow.lite.TFLiteConverter.from_saved_model(str(folder))
            if inputs is None:
                inputs = _signature_inputs(folder, tensorflow) if quantizer.precision == "int8" else ()
            quantizer.configure(converter, tensorflow, inputs)
            return bytes(converter.convert())
    except ConversionError:
        raise
    # TensorFlow raises its own and Python's errors of many kinds for graphs that it cannot convert.
    except Exception as error:
        if _LOOP_OUTPUTS.decode() in str(error):
            raise ConversionError(
                f"{subject}: TFLite needs a fixed batch for recurrent layers that run as loops; build the model with "
                "keras.Input(shape, batch_size=1), or these layers with unroll=True"
            ) from error
        raise ConversionError(
            f"{subject}: TensorFlow could not convert it to TFLite: {type(error).__name__}: {_first_line(str(error))}"
        ) from error


def _signature_inputs(folder: Path, tensorflow: Any) -> list[ModelInput]:
    """Inputs of the signature that TFLite calibrates: Keras' and TensorFlow's default, or the only one."""
    signatures = tensorflow.saved_model.load(str(folder)).signatures
    signature = signatures.get("serving_default") or next(iter(signatures.values()))
    known = signature.structured_input_signature[1]
    shapes = {name: None if spec.shape.rank is None else tuple(spec.shape[1:]) for name, spec in known.items()}
    return [ModelInput(name, shapes[name], str(spec.dtype.name)) for name, spec in known.items()]


def _all_layers(model: Any) -> Iterator[Any]:
    for layer in getattr(model, "layers", []):
        yield layer
        yield from _all_layers(layer)


def _cause(text: str) -> str:
    """The first line that says what happened; Keras says first in whose call it was."""
    lines = [_COLOUR.sub("", line).strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("Exception encountered when calling")]
    return lines[0] if lines else _first_line(text)


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "no message")
