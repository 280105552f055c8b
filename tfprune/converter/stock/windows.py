# SPDX-License-Identifier: Apache-2.0
"""Where a smaller kernel must lie so that it reads the same inputs: TFLite's padding arithmetic along one axis.

Output ``y`` of a window reads the inputs ``y * stride - start + tap * dilation``. Where the image's size is not known,
everything must hold for every size; since only its remainder by the stride matters, that is a finite question.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

# Zero taps that a smaller kernel may keep at each end, where padding falls right with them.
_MOST_ZEROS = 4


@dataclasses.dataclass(frozen=True)
class Window:
    """A windowed operator along one axis, with the explicit padding that comes before it.

    Attributes:
        image: size of the input before any padding; None where the file does not fix it.
        taps: kernel size.
        stride: at least 1.
        dilation: at least 1.
        same: whether the operator pads by the rule SAME; else VALID.
        before: explicit padding in front.
        after: explicit padding behind.
    """

    image: int | None
    taps: int
    stride: int
    dilation: int
    same: bool
    before: int = 0
    after: int = 0

    @property
    def extent(self) -> int:
        """Inputs from the first tap to the last one."""
        return (self.taps - 1) * self.dilation + 1

    def images(self) -> list[int]:
        """Image sizes to be right for: the one that is known, or one for each remainder by the stride."""
        if self.image is not None:
            return [self.image]
        least = max(self.extent - self.before - self.after, 1)
        return [least + offset for offset in range(self.stride)]

    def outputs(self, image: int) -> int:
        """Number of outputs on an image."""
        padded = image + self.before + self.after
        return -(-padded // self.stride) if self.same else (padded - self.extent) // self.stride + 1

    def start(self, image: int) -> int:
        """How far before the image the first window begins."""
        if not self.same:
            return self.before
        padded = image + self.before + self.after
        return self.before + max((self.outputs(image) - 1) * self.stride + self.extent - padded, 0) // 2

    @property
    def never_pads(self) -> bool:
        """Whether no window reaches outside the image, whatever its size."""
        return all(
            self.start(image) == 0 and (self.outputs(image) - 1) * self.stride + self.extent <= image
            for image in self.images()
        )


@dataclasses.dataclass(frozen=True)
class Crop:
    """The taps that stay: ``first, first + step, ...``, ``taps`` of them."""

    first: int
    taps: int
    step: int = 1

    @property
    def indices(self) -> npt.NDArray[np.int64]:
        """Their places in the old kernel."""
        return self.first + self.step * np.arange(self.taps)


@dataclasses.dataclass(frozen=True)
class Placement:
    """What must happen to the image so that a cropped window, with padding VALID, reads what it read before.

    Attributes:
        cut_before: inputs to cut off in front.
        cut_after: inputs to cut off behind.
        pad_before: zeros to add in front.
        pad_after: zeros to add behind.
    """

    cut_before: int = 0
    cut_after: int = 0
    pad_before: int = 0
    pad_after: int = 0

    @property
    def cuts(self) -> bool:
        """Whether inputs are cut off."""
        return bool(self.cut_before or self.cut_after)

    @property
    def pads(self) -> bool:
        """Whether zeros are added."""
        return bool(self.pad_before or self.pad_after)


def crops(nonzero: npt.NDArray[np.bool_]) -> Iterator[Crop]:
    """Smaller kernels that hold all taps that are not zero, and a few that are; the whole kernel last.

    Args:
        nonzero: for each tap whether some weight is not zero.
    """
    taps = len(nonzero)
    places = np.flatnonzero(nonzero)
    if not len(places):
        places = np.array([taps // 2])
    first, last = int(places[0]), int(places[-1])
    step = int(np.gcd.reduce(np.diff(places))) if len(places) > 1 else 1
    if step > 1:
        yield Crop(first, (last - first) // step + 1, step)
    for start in range(first, max(first - _MOST_ZEROS, 0) - 1, -1):
        for end in range(last, min(last + _MOST_ZEROS, taps - 1) + 1):
            if (start, end) != (0, taps - 1):
                yield Crop(start, end - start + 1)
    yield Crop(0, taps)


def cropped(window: Window, crop: Crop, same: bool) -> Window:
    """The window with fewer taps and no explicit padding."""
    return dataclasses.replace(
        window, taps=crop.taps, dilation=window.dilation * crop.step, same=same, before=0, after=0
    )


def stays_same(window: Window, crop: Crop) -> bool:
    """Whether padding SAME puts the cropped window where it must be, for every image size in question."""
    new, shift = cropped(window, crop, same=True), crop.first * window.dilation
    return all(
        new.outputs(image) == window.outputs(image) and new.start(image) == window.start(image) - shift
        for image in window.images()
    )


def placement(window: Window, crop: Crop) -> Placement | None:
    """The cuts and zeros with which padding VALID puts the cropped window where it must be.

    None where they would depend on an image size that is not known, where inputs of such an image must be cut off, or
    where nothing of the image would be left.
    """
    new, shift = cropped(window, crop, same=False), crop.first * window.dilation
    starts = {window.start(image) - shift for image in window.images()}
    if len(starts) > 1:
        return None
    start = starts.pop()
    missing = max((window.outputs(image) - 1) * window.stride + new.extent - image - start for image in window.images())
    pad_after, cut_after = max(missing, 0), 0
    for image in window.images():
        surplus = image + start + pad_after - new.extent - (window.outputs(image) - 1) * window.stride
        if surplus >= window.stride:
            cut_after = max(cut_after, surplus)
    found = Placement(max(-start, 0), cut_after, max(start, 0), pad_after)
    empty = window.image is not None and found.cut_before + found.cut_after >= window.image
    return None if empty or (found.cuts and window.image is None) else found
