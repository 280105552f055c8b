# SPDX-License-Identifier: Apache-2.0
"""Kernel rows and columns that are zero in all filters go: a 3x3 kernel with one kept row becomes a 1x3 kernel."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tfprune.converter.capability import WEIGHTS_INPUT, Refused
from tfprune.converter.schema import BuiltinOperator, TensorType, text, tfl
from tfprune.converter.stock.convolution import CONVOLUTIONS, Convolution, read_convolution
from tfprune.converter.stock.editor import Editor, new_tensor, same_quantization
from tfprune.converter.stock.log import Log
from tfprune.converter.stock.windows import Crop, Placement, Window, crops, placement, stays_same

NAME = "kernels"
#: Multiply-adds that take as long as to copy a value once in a PAD or SLICE. In instructions of a Cortex-A76 a SLICE
#: takes 1.3 to 1.4, a PAD 0 to 0.3 (float32: XNNPACK makes it part of the convolution); the rest is for memory.
MOVE_COST = 4
# Size of an image that the file does not fix, where only costs depend on it.
_TYPICAL_IMAGE = 32
_ROWS, _COLUMNS = 1, 2


@dataclasses.dataclass(frozen=True)
class _Choice:
    """Smaller kernels along both axes; with padding SAME, or VALID behind cuts and zeros."""

    crops: tuple[Crop, Crop]
    places: tuple[Placement, Placement] | None
    cost: float

    @property
    def cuts(self) -> bool:
        return self.places is not None and any(each.cuts for each in self.places)

    @property
    def pads(self) -> bool:
        return self.places is not None and any(each.pads for each in self.places)


@dataclasses.dataclass(frozen=True)
class _Site:
    """A convolution with the PAD before it, where one belongs to it alone."""

    convolution: Convolution
    pad: Any | None
    source: int
    windows: tuple[Window, Window]


def rewrite(editor: Editor, log: Log) -> None:
    """Crops the kernel of every convolution that gets cheaper by it."""
    for op in editor.operators:
        if editor.name(op) in CONVOLUTIONS:
            try:
                _crop(editor, op, log)
            except Refused as refused:
                log.refused(op, NAME, refused.code, refused.text)


def _crop(editor: Editor, op: Any, log: Log) -> None:
    convolution = read_convolution(editor, op)
    nonzero = convolution.weights.used(1, 2)
    if nonzero.size == 1:
        return
    if nonzero[[0, -1]].any(axis=1).all() and nonzero[:, [0, -1]].any(axis=0).all() and not _is_spread(nonzero):
        raise Refused("kernel_positions", "no outer row or column of the kernel is zero in all filters")
    if convolution.weights.shared:
        raise Refused("shared_weights", "other operators use the same weights")
    site = _site(editor, convolution)
    before = _cost(editor, site, None, None, None)
    best = min(_choices(editor, site, nonzero), key=lambda choice: choice.cost, default=None)
    if best is None:
        raise Refused(
            "image_size", "where a smaller kernel must lie depends on the image size, or on its values' range"
        )
    if best.cost >= before:
        raise Refused("no_gain", "moving the image to where the smaller kernel needs it costs more than is saved")
    _apply(editor, site, best)
    log.changed(op, NAME)


def _is_spread(nonzero: np.ndarray[Any, Any]) -> bool:
    """Whether whole rows or columns between kept ones are zero at every second place, and so on."""
    return any(crop.step > 1 for axis in (1, 0) for crop in crops(np.asarray(nonzero.any(axis=axis))))


def _site(editor: Editor, convolution: Convolution) -> _Site:
    windows = (convolution.rows, convolution.columns)
    pad = editor.writer(convolution.x)
    if pad is None or editor.name(pad) != "PAD" or convolution.x in editor.fixed or len(pad.inputs) != 2:
        return _Site(convolution, None, convolution.x, windows)
    amounts, source = editor.constant(pad, 1), editor.input(pad, 0)
    if amounts is None or source is None or amounts.values.shape != (4, 2) or len(editor.readers(convolution.x)) > 1:
        return _Site(convolution, None, convolution.x, windows)
    around = amounts.values[[0, 3]].any() or amounts.values.min() < 0
    if around or not same_quantization(editor.tensor(source), editor.tensor(convolution.x)):
        return _Site(convolution, None, convolution.x, windows)
    sizes = editor.shape(source)
    if len(sizes) != len(amounts.values):
        return _Site(convolution, None, convolution.x, windows)
    rows, columns = (
        dataclasses.replace(
            window,
            image=None if sizes[axis] < 0 else sizes[axis],
            before=int(amounts.values[axis, 0]),
            after=int(amounts.values[axis, 1]),
        )
        for axis, window in zip((_ROWS, _COLUMNS), windows, strict=True)
    )
    return _Site(convolution, pad, source, (rows, columns))


def _choices(editor: Editor, site: _Site, nonzero: np.ndarray[Any, Any]) -> list[_Choice]:
    """Every way to crop the kernel that reads the same inputs."""
    found = []
    rows, columns = site.windows
    for row in crops(np.asarray(nonzero.any(axis=1))):
        for column in crops(np.asarray(nonzero.any(axis=0))):
            pair = (row, column)
            if (row.taps, column.taps) == nonzero.shape:
                continue
            if stays_same(rows, row) and stays_same(columns, column):
                found.append(_Choice(pair, None, _cost(editor, site, pair, None, None)))
            first, second = placement(rows, row), placement(columns, column)
            if first is None or second is None:
                continue
            # Cutting may change the range from which a hybrid operator quantizes its input.
            if site.convolution.hybrid and (first.cuts or second.cuts):
                continue
            found.append(_Choice(pair, (first, second), _cost(editor, site, pair, first, second)))
    return found


def _cost(
    editor: Editor, site: _Site, pair: tuple[Crop, Crop] | None, rows: Placement | None, columns: Placement | None
) -> float:
    """Multiply-adds of an image, and the values that a PAD or SLICE moves for them; of the layer as it is for None."""
    images = [_TYPICAL_IMAGE if window.image is None else window.image for window in site.windows]
    outputs = [window.outputs(image) for window, image in zip(site.windows, images, strict=True)]
    weights = site.convolution.weights.values.shape
    taps = (weights[1], weights[2]) if pair is None else (pair[0].taps, pair[1].taps)
    cost = float(weights[0] * weights[3] * np.prod(outputs) * np.prod(taps))
    channels = editor.shape(site.convolution.x)[3]
    moves = []
    if pair is None and site.pad is not None:
        moves.append([image + window.before + window.after for image, window in zip(images, site.windows, strict=True)])
    if rows is not None and columns is not None:
        left = [image - each.cut_before - each.cut_after for image, each in zip(images, (rows, columns), strict=True)]
        moves += [left] if rows.cuts or columns.cuts else []
        padded = [image + each.pad_before + each.pad_after for image, each in zip(left, (rows, columns), strict=True)]
        moves += [padded] if rows.pads or columns.pads else []
    return cost + MOVE_COST * channels * float(sum(np.prod(sizes) for sizes in moves))


def _apply(editor: Editor, site: _Site, choice: _Choice) -> None:
    op, (row, column) = site.convolution.op, choice.crops
    values = site.convolution.weights.values[:, row.indices][:, :, column.indices]
    editor.set_constant(op, WEIGHTS_INPUT, values)
    options = op.builtinOptions
    options.dilationHFactor = site.windows[0].dilation * row.step if row.taps > 1 else 1
    options.dilationWFactor = site.windows[1].dilation * column.step if column.taps > 1 else 1
    options.padding = tfl.Padding.SAME if choice.places is None else tfl.Padding.VALID
    x = site.source
    if choice.places is not None and choice.cuts:
        x = _cut(editor, op, x, choice.places)
    if choice.places is not None and choice.pads:
        x = _pad(editor, op, x, choice.places)
    editor.set_inputs(op, [x, *(int(index) for index in op.inputs[1:])])
    if site.pad is not None:
        editor.remove(site.pad)


def _cut(editor: Editor, op: Any, x: int, places: tuple[Placement, Placement]) -> int:
    """Puts a SLICE in front of an operator; returns its output."""
    shape = list(editor.shape(x))
    begin = [0, places[0].cut_before, places[1].cut_before, 0]
    for axis, place in zip((_ROWS, _COLUMNS), places, strict=True):
        shape[axis] -= place.cut_before + place.cut_after
    name = f"{text(editor.tensor(op.outputs[0]).name)}/cut"
    # A batch that is not known is -1: all of it.
    inputs = [
        x,
        *(editor.add_constant(f"{name}/{part}", np.array(each)) for part, each in (("begin", begin), ("size", shape))),
    ]
    return _insert(
        editor, op, BuiltinOperator.SLICE, inputs, shape, tfl.BuiltinOptions.SliceOptions, tfl.SliceOptionsT(), name
    )


def _pad(editor: Editor, op: Any, x: int, places: tuple[Placement, Placement]) -> int:
    """Puts a PAD in front of an operator, which fills with what stands for 0; returns its output."""
    shape = list(editor.shape(x))
    amounts = np.zeros((4, 2), np.int32)
    for axis, place in zip((_ROWS, _COLUMNS), places, strict=True):
        amounts[axis] = place.pad_before, place.pad_after
        shape[axis] = shape[axis] if shape[axis] < 0 else shape[axis] + place.pad_before + place.pad_after
    name = f"{text(editor.tensor(op.outputs[0]).name)}/pad"
    inputs = [x, editor.add_constant(f"{name}/amounts", amounts)]
    return _insert(
        editor, op, BuiltinOperator.PAD, inputs, shape, tfl.BuiltinOptions.PadOptions, tfl.PadOptionsT(), name
    )


def _insert(
    editor: Editor, op: Any, builtin: int, inputs: list[int], shape: list[int], kind: int, options: Any, name: str
) -> int:
    source = editor.tensor(inputs[0])
    result = editor.add_tensor(new_tensor(name, source.type, shape, like=source))
    version = 1 if source.type == TensorType.FLOAT32 else 2
    editor.insert_before(op, editor.new_operator(builtin, version, inputs, [result], kind, options))
    return result
