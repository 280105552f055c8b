# SPDX-License-Identifier: Apache-2.0
"""Kernel rows and columns that are zero in all filters go: a 3x3 kernel with one kept row becomes a 1x3 kernel."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tfprune.converter.capability import WEIGHTS_INPUT, Refused
from tfprune.converter.schema import BuiltinOperator, TensorType, new_tensor, text, tfl
from tfprune.converter.stock.convolution import CONVOLUTIONS, Convolution, read_convolution
from tfprune.converter.stock.editor import Editor, same_quantization
from tfprune.converter.stock.log import Log
from tfprune.converter.stock.prediction import MOVES, Predictor, layer_shape
from tfprune.converter.stock.windows import Crop, Placement, Window, crops, placement, stays_same
from tfprune.costs import CostTable, LayerShape, StockOp, predict_dense, predict_layout
from tfprune.errors import NotModelledError

NAME = "kernels"
# Size of an image that the file does not fix, where only costs depend on it.
_TYPICAL_IMAGE = 32
_ROWS, _COLUMNS = 1, 2


@dataclasses.dataclass(frozen=True)
class _Cost:
    """What a convolution takes.

    Attributes:
        time: predicted, with what moves the image; where the table does not know the layer the taps of its kernel.
        moved: values of the image that are moved.
    """

    time: float
    moved: int


@dataclasses.dataclass(frozen=True)
class _Choice:
    """Smaller kernels along both axes; with padding SAME, or VALID behind cuts and zeros.

    Attributes:
        crops: of rows and columns.
        places: where padding VALID puts them; None for SAME.
        cost: what it takes.
    """

    crops: tuple[Crop, Crop]
    places: tuple[Placement, Placement] | None
    cost: _Cost

    @property
    def cuts(self) -> bool:
        return self.places is not None and any(each.cuts for each in self.places)

    @property
    def pads(self) -> bool:
        return self.places is not None and any(each.pads for each in self.places)


@dataclasses.dataclass(frozen=True)
class _Site:
    """A convolution with the PAD before it, where one belongs to it alone.

    Attributes:
        convolution: the convolution.
        pad: the PAD.
        source: tensor index of the image before it.
        windows: along rows and columns of that.
        shape: the convolution for the predictor; None where the table does not know it, or what moves images.
    """

    convolution: Convolution
    pad: Any | None
    source: int
    windows: tuple[Window, Window]
    shape: LayerShape | None


def rewrite(editor: Editor, log: Log, predictor: Predictor) -> None:
    """Crops the kernel of every convolution that gets cheaper by it."""
    for op in editor.operators:
        if editor.name(op) in CONVOLUTIONS:
            try:
                _crop(editor, op, log, predictor)
            except Refused as refused:
                log.refused(op, NAME, refused.code, refused.text)


def _crop(editor: Editor, op: Any, log: Log, predictor: Predictor) -> None:
    convolution = read_convolution(editor, op)
    nonzero = convolution.weights.used(1, 2)
    if nonzero.size == 1:
        return
    if nonzero[[0, -1]].any(axis=1).all() and nonzero[:, [0, -1]].any(axis=0).all() and not _is_spread(nonzero):
        raise Refused("kernel_positions", "no outer row or column of the kernel is zero in all filters")
    if convolution.weights.shared:
        raise Refused("shared_weights", "other operators use the same weights")
    site = _site(editor, convolution, predictor)
    choices = list(_choices(editor, site, nonzero, predictor.table))
    if not choices:
        raise Refused(
            "image_size", "where a smaller kernel must lie depends on the image size, or on its values' range"
        )
    before = _cost(editor, site, predictor.table)
    gaining = [choice for choice in choices if _gains(site, before, choice.cost, predictor.min_speedup)]
    if not gaining:
        raise _no_gain(site, before, choices, predictor)
    best = min(gaining, key=lambda choice: choice.cost.time)
    _apply(editor, site, best)
    log.changed(op, NAME)


def _gains(site: _Site, before: _Cost, after: _Cost, min_speedup: float) -> bool:
    """Less work for the same kernels is enough; moving more of the image for it may lose."""
    if after.time >= before.time:
        return False
    if after.moved <= before.moved:
        return True
    return min_speedup < 1 if site.shape is None else before.time >= min_speedup * after.time


def _no_gain(site: _Site, before: _Cost, choices: list[_Choice], predictor: Predictor) -> Refused:
    if site.shape is None:
        return Refused(
            "not_modelled",
            f"a smaller kernel needs the image moved, and what that costs in this layer the cost table "
            f"{predictor.table.name} does not know. A min_speedup below 1 does it all the same",
        )
    speedup = before.time / min(choice.cost.time for choice in choices)
    return Refused(
        "no_gain",
        f"a smaller kernel needs the image moved: predicted {speedup:.2f}x, min_speedup {predictor.min_speedup:g}",
    )


def _is_spread(nonzero: np.ndarray[Any, Any]) -> bool:
    """Whether whole rows or columns between kept ones are zero at every second place, and so on."""
    return any(crop.step > 1 for axis in (1, 0) for crop in crops(np.asarray(nonzero.any(axis=axis))))


def _site(editor: Editor, convolution: Convolution, predictor: Predictor) -> _Site:
    site = _Site(convolution, None, convolution.x, (convolution.rows, convolution.columns), None)
    shape = _known_shape(editor, convolution, predictor.table)
    return dataclasses.replace(_with_pad(editor, site), shape=shape)


def _known_shape(editor: Editor, convolution: Convolution, table: CostTable) -> LayerShape | None:
    """The convolution for the predictor, with an image of typical size where the file leaves it open."""
    try:
        shape = layer_shape(editor, convolution.op, open_image=True)
        every = dataclasses.replace(shape, layout_ops=tuple(StockOp(name.lower(), 0, 0) for name in MOVES))
        predict_dense(table, every)
        predict_layout(table, every)
    except (NotModelledError, Refused):
        return None
    return shape


def _with_pad(editor: Editor, site: _Site) -> _Site:
    """The site with the PAD before the convolution, where it can be changed."""
    convolution, windows = site.convolution, site.windows
    pad = editor.writer(convolution.x)
    if pad is None or editor.name(pad) != "PAD" or convolution.x in editor.fixed or len(pad.inputs) != 2:
        return site
    amounts, source = editor.constant(pad, 1), editor.input(pad, 0)
    if amounts is None or source is None or amounts.values.shape != (4, 2) or len(editor.readers(convolution.x)) > 1:
        return site
    around = amounts.values[[0, 3]].any() or amounts.values.min() < 0
    if around or not same_quantization(editor.tensor(source), editor.tensor(convolution.x)):
        return site
    sizes = editor.shape(source)
    if len(sizes) != len(amounts.values):
        return site
    rows, columns = (
        dataclasses.replace(
            window,
            image=None if sizes[axis] < 0 else sizes[axis],
            before=int(amounts.values[axis, 0]),
            after=int(amounts.values[axis, 1]),
        )
        for axis, window in zip((_ROWS, _COLUMNS), windows, strict=True)
    )
    return dataclasses.replace(site, pad=pad, source=source, windows=(rows, columns))


def _choices(editor: Editor, site: _Site, nonzero: np.ndarray[Any, Any], table: CostTable) -> Iterator[_Choice]:
    """Every way to crop the kernel that reads the same inputs."""
    rows, columns = site.windows
    for row in crops(np.asarray(nonzero.any(axis=1))):
        for column in crops(np.asarray(nonzero.any(axis=0))):
            pair = (row, column)
            if (row.taps, column.taps) == nonzero.shape:
                continue
            if stays_same(rows, row) and stays_same(columns, column):
                yield _Choice(pair, None, _cost(editor, site, table, pair))
            first, second = placement(rows, row), placement(columns, column)
            if first is None or second is None:
                continue
            # Cutting may change the range from which a hybrid operator quantizes its input.
            if site.convolution.hybrid and (first.cuts or second.cuts):
                continue
            yield _Choice(pair, (first, second), _cost(editor, site, table, pair, (first, second)))


def _cost(
    editor: Editor,
    site: _Site,
    table: CostTable,
    pair: tuple[Crop, Crop] | None = None,
    places: tuple[Placement, Placement] | None = None,
) -> _Cost:
    """What a smaller kernel takes, with the PAD and SLICE for it; of the layer as it is for no ``pair``.

    Time is that of the layer's kind with fewer multiply-adds, also where the kernel becomes a single position.
    """
    weights = site.convolution.weights.values.shape
    taps = weights[1] * weights[2] if pair is None else pair[0].taps * pair[1].taps
    images = [_TYPICAL_IMAGE if window.image is None else window.image for window in site.windows]
    batch, *_, channels = (max(1, size) for size in editor.shape(site.convolution.x))
    moves = [
        StockOp(name, 0, batch * channels * height * width)
        for name, (height, width) in _moves(site, images, pair is None, places)
    ]
    moved = sum(move.values for move in moves)
    if site.shape is None:
        return _Cost(float(taps), moved)
    outputs = (window.outputs(image) for window, image in zip(site.windows, images, strict=True))
    shape = dataclasses.replace(
        site.shape,
        columns=site.shape.columns // site.shape.kernel_size * taps,
        pixels=batch * math.prod(outputs),
        layout_ops=tuple(moves),
    )
    if shape.dense_op is not None:
        values = shape.out_channels * shape.pixels
        dense = StockOp(shape.dense_op.name, values * taps * (1 if site.convolution.depthwise else weights[3]), values)
        shape = dataclasses.replace(shape, dense_op=dense)
    return _Cost(predict_dense(table, shape) + predict_layout(table, shape), moved)


def _moves(
    site: _Site, images: list[int], as_it_is: bool, places: tuple[Placement, Placement] | None
) -> list[tuple[str, list[int]]]:
    """Height and width of the result of each PAD and SLICE."""
    if as_it_is:
        sizes = [image + window.before + window.after for image, window in zip(images, site.windows, strict=True)]
        return [] if site.pad is None else [("pad", sizes)]
    if places is None:
        return []
    left = [image - each.cut_before - each.cut_after for image, each in zip(images, places, strict=True)]
    padded = [size + each.pad_before + each.pad_after for size, each in zip(left, places, strict=True)]
    found = [("slice", left)] if any(each.cuts for each in places) else []
    return [*found, ("pad", padded)] if any(each.pads for each in places) else found


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
    editor.insert_before(op, editor.graph.new_builtin(builtin, version, kind, options, inputs, [result]))
    return result
