# SPDX-License-Identifier: Apache-2.0
"""Training examples in any of the forms that people have, one by one as TFLite's calibrator takes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import ConversionError

Array = npt.NDArray[Any]
Feed = dict[str, Array] | list[Array]
_NUMBERS = "fiub"


@dataclasses.dataclass(frozen=True)
class ModelInput:
    """What a model takes.

    Attributes:
        name: as in its signature.
        shape: of one example, without the batch; None is any size, for the whole shape any shape.
        dtype: name of its type.
        argument: what messages call the examples.
    """

    name: str
    shape: tuple[int | None, ...] | None
    dtype: str
    argument: str = "representative_data"

    def batch(self, value: Any) -> Array:
        """``value``, one example or a batch of them, as a batch in the input's type.

        Raises:
            ConversionError: another shape, no numbers, numbers that the type cannot hold, or infinities and NaN.
        """
        try:
            array = np.asarray(value)
        # Rows of different lengths; objects raise what they like.
        except (ValueError, TypeError) as error:
            raise ConversionError(f"{self._subject}: {error}; give an array of shape {self._batch_text}") from error
        if self.dtype == "string":
            return self._with_batch_axis(array)
        if array.dtype.kind not in _NUMBERS:
            raise ConversionError(
                f"{self._subject}: must be numbers for an input of type {self.dtype}, got type {array.dtype}"
            )
        return self._cast(self._with_batch_axis(array))

    def _with_batch_axis(self, array: Array) -> Array:
        if self.shape is None or self._fits(array.shape[1:], array.ndim - 1):
            if array.ndim and len(array):
                return array
            raise ConversionError(
                f"{self._subject}: must hold at least one example, got an array of shape {array.shape}"
            )
        if self._fits(array.shape, array.ndim):
            return array[np.newaxis]
        found = f"examples of shape {array.shape[1:]}" if array.ndim == len(self.shape) + 1 else f"shape {array.shape}"
        raise ConversionError(
            f"{self._subject}: got {found} where the input takes {_shape_text(self.shape)}; give an array of shape "
            f"{self._batch_text}, whose first axis counts examples"
        )

    def _fits(self, shape: tuple[int, ...], rank: int) -> bool:
        known = self.shape or ()
        return rank == len(known) and all(want in (None, size) for want, size in zip(known, shape, strict=True))

    def _cast(self, array: Array) -> Array:
        finite = np.isfinite(array)
        if not finite.all():
            raise ConversionError(
                f"{self._subject}: must be finite, got {int(array.size - finite.sum())} NaN or infinite value(s) of "
                f"{array.size}; leave these examples out"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            cast = array.astype(self.dtype)
        # Floats are rounded, whole numbers must stay what they are.
        kept = np.isfinite(cast) if cast.dtype.kind == "f" else cast == array
        if not kept.all():
            raise ConversionError(
                f"{self._subject}: the input is of type {self.dtype}, which cannot hold {array[~kept][0]!r} of type "
                f"{array.dtype}; give what the model takes"
            )
        return cast

    @property
    def _subject(self) -> str:
        return f"{self.argument} for input {self.name!r}"

    @property
    def _batch_text(self) -> str:
        return "(examples, ...)" if self.shape is None else _shape_text(("examples", *self.shape))


def examples(data: Any, inputs: Sequence[ModelInput], argument: str = "representative_data") -> Iterator[Feed]:
    """Single examples, each with a batch of one, several inputs by name.

    Args:
        data: an array, a dict of arrays by the inputs' names, an iterable of either or of pairs with labels, or a
            function that returns an iterable.
        inputs: what the model takes, in its order.
        argument: what messages call the data.

    Raises:
        ConversionError: no example, or one that does not fit the inputs.
    """
    found = False
    inputs = [dataclasses.replace(known, argument=argument) for known in inputs]
    for item in _items(data, inputs):
        arrays = [known.batch(value) for known, value in zip(inputs, _values(item, inputs), strict=True)]
        if len({len(array) for array in arrays}) != 1:
            raise ConversionError(
                f"{argument}: every input must hold the same number of examples along its first axis, got "
                f"shapes {', '.join(str(array.shape) for array in arrays)}"
            )
        found = True
        for place in range(len(arrays[0])):
            example = [array[place : place + 1] for array in arrays]
            names = (known.name for known in inputs)
            yield example if len(inputs) == 1 else dict(zip(names, example, strict=True))
    if not found:
        raise ConversionError(
            f"{argument}: must hold at least one example, got none; a generator gives its examples only once"
        )


def _items(data: Any, inputs: Sequence[ModelInput]) -> Iterator[Any]:
    """Inputs one after the other, without labels."""
    if callable(data) and not isinstance(data, Iterable):
        data = data()
    if _is_array(data) or isinstance(data, Mapping) or not isinstance(data, Iterable):
        yield data
    elif _is_one_item(data, inputs):
        yield list(data)
    else:
        for item in data:
            yield item[0] if isinstance(item, tuple) and _has_labels(item, inputs) else item


def _is_one_item(data: Any, inputs: Sequence[ModelInput]) -> bool:
    """An array for each of several inputs; as batches of such a model these would lack the other inputs."""
    several = isinstance(data, (list, tuple)) and len(inputs) > 1
    return several and len(data) == len(inputs) and all(map(_is_array, data))


def _has_labels(item: tuple[Any, ...], inputs: Sequence[ModelInput]) -> bool:
    return len(item) in (2, 3) and not _is_one_item(item, inputs)


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array__")


def _values(item: Any, inputs: Sequence[ModelInput]) -> list[Any]:
    """What ``item`` holds for each of the inputs."""
    names = [known.name for known in inputs]
    if isinstance(item, Mapping):
        if set(item) == set(names):
            return [item[name] for name in names]
        got = ", ".join(repr(str(key)) for key in item)
    elif len(inputs) == 1:
        # One-element lists are how TFLite's own representative datasets give one input.
        return [item[0]] if isinstance(item, (list, tuple)) and len(item) == 1 else [item]
    elif isinstance(item, (list, tuple)):
        if len(item) == len(inputs):
            return list(item)
        got = f"{len(item)} array(s)"
    else:
        got = "one array"
    several = f"a dict of arrays by these names, or lists [{', '.join(names)}] in this order"
    raise ConversionError(
        f"{inputs[0].argument}: the model's inputs are {', '.join(map(repr, names))}, got {got}; give "
        + (several if len(names) > 1 else "an array, or a dict by name")
    )


def _shape_text(shape: Sequence[int | str | None]) -> str:
    sizes = ", ".join("any" if size is None else str(size) for size in shape)
    return f"({sizes},)" if len(shape) == 1 else f"({sizes})"
