# SPDX-License-Identifier: Apache-2.0
"""``convert`` and ``inspect``: from any model that people have to a verdict per layer and a file."""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import numbers
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfprune import __version__
from tfprune.converter import keras_source, passes, stock
from tfprune.converter.analysis import analyse, packed_operators
from tfprune.converter.calibration import PRECISIONS, Quantizer
from tfprune.converter.capability import Refused
from tfprune.converter.converted import Converted
from tfprune.converter.finding import Finding
from tfprune.converter.graph import Graph
from tfprune.converter.loops import sink_invariant_constants
from tfprune.converter.packed_report import METADATA_NAME, packed_reports
from tfprune.converter.passes import densify, restore
from tfprune.converter.placement import gpu_placement
from tfprune.converter.plan import Plan
from tfprune.converter.report import ConversionReport, LayerReport
from tfprune.costs import CostTable, load_table
from tfprune.errors import AlreadyConvertedError, ConversionError, ModelError
from tfprune.runtime.model_file import read_file

TARGETS = ("delegate", "stock", "dense")
_DEFAULT_DEVICE = "arm64"
_DEFAULT_MIN_SPEEDUP = 1.05
_MAX_INPUT_TEXT = 60
_WRAPPERS = ("Pruned", "PruneLowMagnitude")
_AS_IT_IS = Quantizer()


def convert(
    model: Any,
    *,
    precision: str = "float32",
    representative_data: Any = None,
    device: str | os.PathLike[str] | CostTable = _DEFAULT_DEVICE,
    target: str = "delegate",
    min_speedup: float = _DEFAULT_MIN_SPEEDUP,
    custom_objects: Mapping[str, Any] | None = None,
) -> Converted:
    """Converts a pruned model to a ``.tflite`` file with sparse ops; layers that would not gain stay as they are.

    Every layer gets the encoding with the least predicted time; a layer whose predicted speed-up is below
    ``min_speedup``, or whose packed weights would not be smaller, stays dense, and the report says why with numbers.
    The input is never changed. The same input and options give the same bytes.

    Args:
        model: a Keras model, a ``.keras`` or ``.h5`` file, a SavedModel folder, or a ``.tflite`` file or its bytes.
        precision: what a Keras model or SavedModel becomes: ``"float32"``; ``"float16"``: weights in half precision;
            ``"int8"``: weights and activations, with float32 inputs and outputs; ``"dynamic"``: int8 weights, float32
            activations. Files come in any precision and keep it, with one exception: ``"float16"`` stores the packed
            float32 weights of a file as halves, rounded to nearest.
        representative_data: examples from which the activations of ``"int8"`` get their ranges: an array, an
            iterable of inputs or ``(inputs, labels)``, or a function that returns one; see
            :class:`tfprune.converter.calibration.Quantizer`.
        device: cost table behind the verdicts: ``"arm64"``, ``"host"``, or the path of a JSON table.
        target: ``"delegate"``: packed weights and custom ops for ``libtfprune``. ``"dense"``: ordinary weights and
            stock ops; a file that was converted before gets its weights back, bit by bit but for the sign of zeros.
            ``"stock"``: smaller stock ops, for runtimes that load no delegate.
        min_speedup: least predicted speed-up of a layer, a finite number above 0; with target ``"stock"`` of layers
            that need the image moved or get TFLite's sparse encoding: all others only have less to do.
        custom_objects: classes and functions by name that the model needs.

    Returns:
        The converted file, its dense twin and the report.

    Raises:
        ModelError: not a model, cut off or corrupt.
        AlreadyConvertedError: a ``.tflite`` file with tfprune's ops, unless ``target="dense"``.
        ConversionError: an argument outside its range, or a Keras model that cannot be converted.

    Example:
        >>> converted = tfprune.convert("classifier.keras")
        >>> print(converted.report)
        >>> converted.save("classifier.sparse.tflite")
    """
    _one_of("precision", precision, PRECISIONS)
    _one_of("target", target, TARGETS)
    check_min_speedup(min_speedup)
    _check_custom_objects(custom_objects)
    table = load_table(device)
    quantizer = Quantizer(precision, representative_data)
    data, source, subject = tflite_bytes(model, custom_objects, quantizer)
    graph, data, note = _opened(data, subject, target)
    known = graph, data, source, table, float(min_speedup)
    if target == "dense":
        converted = _to_dense(*known)
    elif packed_operators(graph):
        raise AlreadyConvertedError(
            f"{subject}: already holds tfprune's ops; convert the dense model, or get it back with target='dense'"
        )
    else:
        converted = _to_stock(*known) if target == "stock" else _to_sparse(*known, precision)
    report = _with_precision_note(_noted(converted.report, note), model, precision)
    return dataclasses.replace(converted, report=report)


def inspect(
    model: Any,
    *,
    precision: str = "float32",
    representative_data: Any = None,
    device: str | os.PathLike[str] | CostTable = _DEFAULT_DEVICE,
    target: str = "delegate",
    min_speedup: float = _DEFAULT_MIN_SPEEDUP,
    custom_objects: Mapping[str, Any] | None = None,
    backend: str | None = None,
) -> ConversionReport:
    """Says for each layer with weights which zeros it has, which pattern they show and whether it would be converted.

    Nothing is written. The verdicts are those of :func:`convert` with the same options.

    Args:
        model: a Keras model, a ``.keras`` or ``.h5`` file, a SavedModel folder, or a ``.tflite`` file or its bytes.
        precision: as in :func:`convert`.
        representative_data: as in :func:`convert`.
        device: cost table behind the verdicts: ``"arm64"``, ``"host"``, or the path of a JSON table.
        target: ``"delegate"`` or ``"stock"``, as in :func:`convert`.
        min_speedup: least predicted speed-up of a layer, a finite number above 0.
        custom_objects: classes and functions by name that the model needs.
        backend: ``"gpu"`` for a placement, too: which operators of the file a GPU would run, and why not the others.
            It is judged by the machine's OpenCL device, without one by what OpenCL 1.2 demands of every device.

    Returns:
        One entry per layer, with the reason where it would stay dense. Layers that were converted before are listed
        with their encoding. With ``backend="gpu"``, ``.placement`` says where each operator would run.

    Raises:
        ModelError: not a model, cut off or corrupt.
        AlreadyConvertedError: a file with tfprune's ops for ``target="stock"``.
        ConversionError: an argument outside its range, or a Keras model that cannot be converted.

    Example:
        >>> report = tfprune.inspect("classifier.tflite")
        >>> print(report)
        >>> report.save_html("classifier.html")
    """
    _one_of("precision", precision, PRECISIONS)
    _one_of("target", target, TARGETS[:2])
    if backend is not None:
        _one_of("backend", backend, ("gpu",))
        _one_of("target with a backend", target, TARGETS[:1])
    if target == "stock":
        options = {"precision": precision, "representative_data": representative_data, "device": device}
        converted = convert(model, **options, target=target, min_speedup=min_speedup, custom_objects=custom_objects)
        return dataclasses.replace(converted.report, action="inspect", output_bytes=None)
    check_min_speedup(min_speedup)
    _check_custom_objects(custom_objects)
    table = load_table(device)
    quantizer = Quantizer(precision, representative_data)
    data, _, subject = tflite_bytes(model, custom_objects, quantizer)
    graph, data, made_dense = _opened(data, subject, target)
    sink_invariant_constants(graph)
    findings = analyse(graph, table, float(min_speedup), halves=precision == "float16")
    packed = packed_reports(graph, table)
    earlier = f"{len(packed)} layer(s) were converted before; target='dense' gives back what `convert` takes"
    layers = [finding.report() for finding in findings] + packed
    report = _report("inspect", layers, table, float(min_speedup), data, None, earlier if packed else None)
    if backend is not None:
        report = dataclasses.replace(report, placement=gpu_placement(data, subject))
    return _with_precision_note(_noted(report, made_dense), model, precision)


def _opened(data: bytes, subject: str, target: str) -> tuple[Graph, bytes, str | None]:
    """The model; for the target ``"delegate"`` without a sparse encoding that stock LiteRT could not run."""
    graph = Graph(data, subject)
    if target != "delegate" or graph.loss is not None or not densify.stops_stock(graph):
        # A few only fill the file up.
        padding = f"{graph.padding} zero bytes behind the model count as dense ones" if graph.padding > 4096 else None
        return graph, data, padding
    count = densify.rewrite(graph)
    dense = graph.to_bytes()
    note = (
        f"{count} constant(s) in TFLite's own sparse encoding, with which stock LiteRT cannot run this file as it has "
        f"quantized or half-precision tensors too, were made dense first: {len(data)} bytes became {len(dense)}"
    )
    return Graph(dense, subject), dense, note


def _to_sparse(
    graph: Graph, data: bytes, source: Path | None, table: CostTable, min_speedup: float, precision: str
) -> Converted:
    sink_invariant_constants(graph)
    findings = analyse(graph, table, min_speedup, halves=precision == "float16")
    if graph.loss is not None:
        _refuse_all(findings, Refused("would_lose", f"writing the file again would lose something: {graph.loss}"))
    sparse = data
    note = None
    if any(isinstance(finding.outcome, Plan) for finding in findings):
        passes.run(graph, findings)
        graph.set_metadata(METADATA_NAME, _metadata(findings, table, min_speedup, precision))
        sparse = graph.to_bytes()
        if len(sparse) >= len(data):
            _refuse_all(
                findings, Refused("file_not_smaller", f"the file would have {len(sparse)} bytes, dense {len(data)}")
            )
            sparse = data
    if sparse is data:
        note = "no layer was converted: the output equals the dense model"
    layers = [finding.report() for finding in findings]
    return Converted(sparse, data, _report("convert", layers, table, min_speedup, data, len(sparse), note), source)


def _refuse_all(findings: list[Finding], refused: Refused) -> None:
    for finding in findings:
        if isinstance(finding.outcome, Plan):
            finding.outcome = refused


def _to_stock(graph: Graph, data: bytes, source: Path | None, table: CostTable, min_speedup: float) -> Converted:
    layers = stock.shrink(graph, table, min_speedup)
    smaller, note = data, "target 'stock': smaller stock operators, for any runtime"
    if graph.loss is not None:
        layers = stock.refuse_all(layers, "would_lose", f"writing the file again would lose something: {graph.loss}")
    if any(layer.verdict == "smaller" for layer in layers):
        graph.set_metadata(METADATA_NAME, stock.metadata(layers, table.name, min_speedup))
        smaller = graph.to_bytes()
        if len(smaller) >= len(data):
            reason = f"the file would have {len(smaller)} bytes, before {len(data)}"
            layers, smaller = stock.refuse_all(layers, "file_not_smaller", reason), data
    if smaller is data:
        note = "target 'stock': no layer was changed, the output equals the input"
    report = _report("convert", layers, table, min_speedup, data, len(smaller), note, "stock")
    return Converted(smaller, data, report, source)


def _to_dense(graph: Graph, data: bytes, source: Path | None, table: CostTable, min_speedup: float) -> Converted:
    # First what drops operators: afterwards those that restore replaces keep their numbers.
    encoded = densify.rewrite(graph)
    layers = restore.rewrite(graph)
    note = "target 'dense': ordinary weights, no layer is sparse"
    dense = data
    if layers or encoded:
        graph.set_metadata(METADATA_NAME, None)
        dense = graph.to_bytes()
    if layers:
        note += f"; {len(layers)} layer(s) were made dense again"
    if encoded:
        note += f"; {encoded} constant(s) lost TFLite's own sparse encoding"
    report = _report("convert", layers, table, min_speedup, data, len(dense), note, "dense")
    return Converted(dense, dense, report, source)


def _report(
    action: str,
    layers: list[LayerReport],
    table: CostTable,
    min_speedup: float,
    model: bytes,
    output_bytes: int | None,
    note: str | None,
    target: str = "delegate",
) -> ConversionReport:
    ordered = tuple(sorted(layers, key=lambda layer: (layer.subgraph, layer.index)))
    known = (table.name, table.unit, min_speedup)
    return ConversionReport(action, ordered, *known, len(model), output_bytes, note, model, target)


def _with_precision_note(report: ConversionReport, model: Any, precision: str) -> ConversionReport:
    """Says so where a ``.tflite`` file holds nothing that ``"float16"`` could change."""
    from_keras = is_keras_model(model) or (
        isinstance(model, (str, os.PathLike)) and _is_tensorflow_path(Path(os.fsdecode(model)))
    )
    if precision != "float16" or from_keras or any(layer.precision == "float16" for layer in report.layers):
        return report
    note = (
        "precision 'float16' changed nothing: of a .tflite file, only float32 weights that target 'delegate' packs "
        "become halves, and there are none"
    )
    return _noted(report, note)


def _noted(report: ConversionReport, note: str | None) -> ConversionReport:
    return dataclasses.replace(report, note="; ".join(filter(None, (report.note, note))) or None)


def _metadata(findings: list[Finding], table: CostTable, min_speedup: float, precision: str) -> bytes:
    """What the file says about its own making; no times or paths, so that the same input gives the same bytes."""
    layers = [
        {
            "subgraph": finding.subgraph,
            "operator": finding.index,
            "pattern": None if finding.known is None else finding.known.pattern,
            "encoding": finding.outcome.encoding_name,
        }
        for finding in findings
        if isinstance(finding.outcome, Plan)
    ]
    options = {"precision": precision, "target": "delegate", "min_speedup": min_speedup}
    content = {"version": __version__, "options": options, "cost_table": table.name, "layers": layers}
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def tflite_bytes(
    model: Any, custom_objects: Mapping[str, Any] | None, quantizer: Quantizer = _AS_IT_IS
) -> tuple[bytes, Path | None, str]:
    """The model as TFLite bytes, the path it came from, and what messages call it."""
    if isinstance(model, (bytes, bytearray, memoryview)):
        _check_file_precision("model", quantizer)
        return bytes(model), None, "model"
    if isinstance(model, (str, os.PathLike)):
        path = Path(os.fsdecode(model))
        return _from_path(path, custom_objects, quantizer), path, f"`{path}`"
    if is_legacy_model(model):
        quantizer.check()
        return (
            keras_source.from_legacy(_plain(model), quantizer, load_module("tensorflow")),
            None,
            f"model {model.name!r}",
        )
    if is_keras_model(model):
        quantizer.check()
        model = _plain(model)
        modules = load_module("keras"), load_module("tensorflow")
        return keras_source.from_model(model, custom_objects, quantizer, *modules), None, f"model {model.name!r}"
    raise ModelError(
        "model must be a Keras model, the path of a .keras, .h5 or .tflite file or SavedModel folder, or bytes, "
        f"got {type(model).__name__}: {repr(model)[:_MAX_INPUT_TEXT]}"
    )


def _from_path(path: Path, custom_objects: Mapping[str, Any] | None, quantizer: Quantizer) -> bytes:
    try:
        if _is_tensorflow_path(path):
            quantizer.check()
        if path.is_dir():
            return keras_source.from_saved_model(path, quantizer, lambda: load_module("tensorflow"))
        if _is_tensorflow_path(path):
            keras, tensorflow = load_module("keras"), load_module("tensorflow")
            model = load_keras_file(path, custom_objects)
            return keras_source.from_model(_plain(model), custom_objects, quantizer, keras, tensorflow)
        data = read_file(path)
        _check_file_precision(f"`{path}`", quantizer)
        return data
    except (OSError, ValueError) as error:
        if isinstance(error, (ModelError, ConversionError)):
            raise
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ModelError(f"`{path}` cannot be read: {reason}; give the path of a model that exists") from error


def load_keras_file(path: Path, custom_objects: Mapping[str, Any] | None, *, compiled: bool = False) -> Any:
    """A model from a Keras file, `tfprune.Pruned` wrappers in it included; see `keras_source.load_file`."""
    load_module("tfprune.keras.pruned")  # makes its wrapper known to Keras
    return keras_source.load_file(path, custom_objects, load_module("keras"), compiled=compiled)


def _is_tensorflow_path(path: Path) -> bool:
    """Whether it is a SavedModel folder or a Keras file; what does not exist is neither."""
    return path.is_dir() or (path.suffix in (".keras", ".h5", ".hdf5") and path.exists())


def _check_file_precision(subject: str, quantizer: Quantizer) -> None:
    if quantizer.precision not in ("float32", "float16"):
        raise ConversionError(
            f"{subject}: a .tflite file keeps its precision, got precision {quantizer.precision!r}; convert the Keras "
            "model or SavedModel that it came from"
        )
    quantizer.check()


def is_keras_model(value: Any) -> bool:
    """Whether ``value`` is a Keras model; a program that never imported Keras has none."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(value, keras.Model)


def is_legacy_model(value: Any) -> bool:
    """Whether ``value`` is a model of tf_keras (Keras 2)."""
    tf_keras = sys.modules.get("tf_keras")
    return tf_keras is not None and isinstance(value, tf_keras.Model)


def _plain(model: Any) -> Any:
    """The model without wrappers that mask its layers, of tfprune or of TFMOT."""
    layers = model._flatten_layers(include_self=False)
    if not any(each.__name__ in _WRAPPERS for layer in layers for each in type(layer).__mro__):
        return model
    from tfprune.keras.wrapping import strip

    return strip(model)


def load_module(name: str) -> Any:
    """Keras or TensorFlow, imported only where a model needs them."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConversionError(
            f"converting a Keras model or SavedModel needs {name}: {error}; install it with "
            "`pip install tfprune[tensorflow]`, or convert a .tflite file"
        ) from error


def _one_of(name: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        rule = repr(known[0]) if len(known) == 1 else f"one of {', '.join(map(repr, known))}"
        raise ConversionError(f"{name}: must be {rule}, got {value!r}")


def _check_custom_objects(value: Any) -> None:
    if value is not None and not isinstance(value, Mapping):
        raise ConversionError(
            f"custom_objects: must be a dictionary of classes and functions by name, got {type(value).__name__}"
        )


def check_min_speedup(value: Any) -> None:
    """Refuses what no layer's speed-up could be compared with.

    Raises:
        ConversionError: not a finite number above 0.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value) or value <= 0:
        raise ConversionError(
            f"min_speedup: must be a finite number above 0, got {value!r}; the default is {_DEFAULT_MIN_SPEEDUP}"
        )
