# SPDX-License-Identifier: Apache-2.0
"""What is known of a subgraph's channels: which belong together, what holds them, and which values never change."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.capability import Refused
from tfprune.converter.stock.channels.ids import Channels, Ids
from tfprune.converter.stock.editor import Array, Editor, same_quantization, zero_point

# Channels of one tensor, features of a flattened image included, and of all together.
_MOST_CHANNELS, _MOST_NUMBERS = 2**20, 2**24


@dataclasses.dataclass(frozen=True)
class Values:
    """Channels that hold one value at all places, whatever the model's input.

    Attributes:
        known: for each channel, whether it does.
        value: the value as it is stored, where it is known; else 0.
    """

    known: npt.NDArray[np.bool_]
    value: npt.NDArray[np.float64]

    @staticmethod
    def unknown(count: int) -> Values:
        """Channels of which nothing is known."""
        return Values(np.zeros(count, bool), np.zeros(count))

    @staticmethod
    def of(known: npt.NDArray[np.bool_], value: Array) -> Values:
        """Values where they are known and finite."""
        known = known & np.isfinite(value)
        return Values(known, np.where(known, value, 0).astype(np.float64))

    def take(self, indices: Array) -> Values:
        """The same for some of the channels."""
        return Values(self.known[indices], self.value[indices])

    def where(self, kept: npt.NDArray[np.bool_]) -> Values:
        """Known only where ``kept`` holds as well."""
        return Values.of(self.known & kept, self.value)


@dataclasses.dataclass(frozen=True)
class Held:
    """An axis of a constant input along which channels lie."""

    op: Any
    position: int
    axis: int
    ids: Ids


@dataclasses.dataclass(frozen=True)
class Count:
    """An element of a constant shape that counts channels."""

    op: Any
    position: int
    element: int
    ids: Ids


@dataclasses.dataclass(frozen=True)
class Fold:
    """An operator that reads channels; those whose value never changes can become part of its bias.

    Attributes:
        op: the operator.
        bias: position of its bias.
        ids: channels along the columns.
        outputs: channels of its output.
        weights: sum of the weights over kernel positions, float64 ``[out, columns]``, zero point taken off.
        values: of the columns, zero point taken off.
    """

    op: Any
    bias: int
    ids: Ids
    outputs: Ids
    weights: npt.NDArray[np.float64]
    values: Values


@dataclasses.dataclass(frozen=True)
class Merge:
    """A padded convolution that reads several channels of one value each: it can do with one of them.

    A channel of value ``v`` gives what one of value ``u`` gives with ``v / u`` times the weights, at the borders too.

    Attributes:
        op: the operator.
        ids: channels along the columns of its weights.
        values: those that may go.
        keeper: the column that takes up the weights of the others.
        keeper_value: its value.
    """

    op: Any
    ids: Ids
    values: Values
    keeper: int
    keeper_value: float


class Trace:
    """Follows channels, the last axis of every tensor, through the operators of a subgraph."""

    def __init__(self, editor: Editor) -> None:
        """Begins with nothing known but the subgraph's inputs."""
        self.editor = editor
        self.channels = Channels()
        self.held: list[Held] = []
        self.counts: list[Count] = []
        self.folds: list[Fold] = []
        self.merges: list[Merge] = []
        self._ids: dict[int, Ids] = {}
        self._values: dict[int, Values] = {}
        self._room = _MOST_NUMBERS

    @property
    def tensors(self) -> dict[int, Ids]:
        """Channels of every tensor that was traced."""
        return self._ids

    # Reading.

    def input(self, op: Any, position: int) -> int:
        """A tensor that an operator reads.

        Raises:
            Refused: it has none there.
        """
        index = self.editor.input(op, position)
        if index is None:
            raise Refused("malformed", "the operator lacks an input")
        return index

    def size(self, index: int) -> int:
        """Number of channels of a tensor; one of rank 0 has one.

        Raises:
            Refused: the file does not fix it.
        """
        shape = self.editor.shape(index)
        if shape and not 1 <= shape[-1] <= _MOST_CHANNELS:
            raise Refused("channels", f"the number of channels is not fixed, or above {_MOST_CHANNELS}")
        return shape[-1] if shape else 1

    def ids(self, index: int) -> Ids:
        """Channels of a tensor; those of one that no operator computes must stay."""
        if index not in self._ids:
            self.opaque(index, Refused("input", "the channels come from outside: an input or a constant"))
        return self._ids[index]

    def values(self, index: int) -> Values:
        """What never changes in a tensor."""
        found = self._values.get(index)
        return Values.unknown(len(self.ids(index))) if found is None else found

    def zero(self, index: int) -> int:
        """What stands for 0 in a tensor."""
        return zero_point(self.editor.tensor(index))

    def zeros(self, index: int) -> npt.NDArray[np.bool_]:
        """Which channels of a tensor are always 0."""
        values = self.values(index)
        return np.asarray(values.known & (values.value == self.zero(index)))

    # What rules say.

    def output(self, index: int, ids: Ids, values: Values | None = None) -> None:
        """Channels of an operator's output.

        Raises:
            Refused: their number is another one.
        """
        if self.size(index) != len(ids):
            raise Refused("channels", f"{len(ids)} channels cannot be followed to an output with {self.size(index)}")
        self._room -= len(ids)
        if self._room < 0:
            raise Refused("channels", "the model has too many channels to follow them all")
        self._ids[index] = ids
        if values is not None:
            self._values[index] = values

    def opaque(self, index: int, reason: Refused) -> None:
        """Channels of a tensor of which nothing is known but that they must stay."""
        shape = self.editor.shape(index)
        count = max(shape[-1], 0) if shape else 1
        # What stays need not be numbered; a corrupt shape must not take all memory.
        ids = self.channels.new(count if count <= min(_MOST_CHANNELS, self._room) else 0)
        self._room -= len(ids)
        self.channels.pin(ids, reason)
        self._ids[index] = ids

    def hold(self, op: Any, position: int, axis: int, ids: Ids) -> None:
        """Says that channels lie along an axis of a constant input."""
        self.held.append(Held(op, position, axis, ids))

    def count(self, op: Any, position: int, element: int, ids: Ids) -> None:
        """Says that an element of a constant shape is the number of channels."""
        self.counts.append(Count(op, position, element, ids))

    def unchanged(self, source: int, result: int) -> Values:
        """Values of a result that stores the same numbers as its source; only zeros where those mean something else."""
        if same_quantization(self.editor.tensor(source), self.editor.tensor(result)):
            return self.values(source)
        return self.still_zero(source, result)

    def still_zero(self, source: int, result: int) -> Values:
        """Values of a result that is 0 where its source is."""
        zeros = self.zeros(source)
        return Values.of(zeros, np.full(len(zeros), self.zero(result)))
