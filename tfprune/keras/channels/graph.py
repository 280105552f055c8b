# SPDX-License-Identifier: Apache-2.0
"""Which channels of a model belong together: what `channel_graph` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfprune.tables import shortened, text_table


@dataclass(frozen=True)
class Member:
    """An axis of a variable on which the channels of a space lie.

    Args:
        layer: Name of the layer, behind the names of the models around it.
        variable: The Keras variable.
        axis: Its axis, not negative.
        offsets: Where along the axis the space begins; more than one place where it occurs more than once, as in a
            dense kernel behind `Flatten`. The space covers ``size`` neighbouring entries from each offset on.
    """

    layer: str
    variable: Any
    axis: int
    offsets: tuple[int, ...]

    def __str__(self) -> str:
        """Short text for tables, such as ``conv/kernel[3]``."""
        return f"{self.layer}/{self.variable.name}[{self.axis}]"


@dataclass(frozen=True)
class ChannelSpace:
    """Channels that can only be reordered, or removed, together in all of the members.

    Args:
        index: Its place in `ChannelGraph.spaces`.
        size: Number of channels.
        producers: Kernels that make these channels (output axis).
        consumers: Kernels that read them (input axis).
        carried: Variables with one value a channel, or that pass channels on: biases, normalization, depthwise kernels.
        pinned_reason: Why the channels must keep their places and their number; None if they may move.
        fixed_size_reason: Why they must keep their number, although they may move; None if they may be removed.
    """

    index: int
    size: int
    producers: tuple[Member, ...]
    consumers: tuple[Member, ...]
    carried: tuple[Member, ...]
    pinned_reason: str | None
    fixed_size_reason: str | None

    @property
    def members(self) -> tuple[Member, ...]:
        """Producers, consumers and carried variables."""
        return (*self.producers, *self.consumers, *self.carried)

    @property
    def shrinks(self) -> bool:
        """Whether channels can be removed without a change to what the rest of the model computes."""
        return self.pinned_reason is None and self.fixed_size_reason is None

    @property
    def status(self) -> str:
        """``"free"``, or what must not change and why."""
        if self.pinned_reason is not None:
            return f"pinned: {self.pinned_reason}"
        if self.fixed_size_reason is not None:
            return f"free order, fixed size: {self.fixed_size_reason}"
        return "free"


@dataclass(frozen=True)
class ChannelGraph:
    """All channel spaces of a model that variables lie on, in the order in which the model makes them.

    Args:
        spaces: The spaces.
    """

    spaces: tuple[ChannelSpace, ...]

    def along(self, variable: Any, axis: int) -> list[tuple[ChannelSpace, int]] | None:
        """The spaces along an axis of a variable.

        Args:
            variable: A Keras variable of the model.
            axis: Its axis, not negative.

        Returns:
            ``(space, offset)`` in order of offsets; None where nothing is known of the axis.
        """
        found = [
            (space, offset)
            for space in self.spaces
            for member in space.members
            if member.variable is variable and member.axis == axis
            for offset in member.offsets
        ]
        return sorted(found, key=lambda each: each[1]) or None

    def __str__(self) -> str:
        """A table of plain text: a space a row."""
        rows = [
            (
                str(space.index),
                str(space.size),
                shortened([str(member) for member in space.producers], most=2),
                shortened([str(member) for member in space.consumers], most=2),
                shortened(list(dict.fromkeys(member.layer for member in space.carried)), most=2),
                space.status,
            )
            for space in self.spaces
        ]
        return text_table(("space", "size", "producers", "consumers", "carried", "status"), rows, numbers=False)
