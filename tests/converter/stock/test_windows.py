# SPDX-License-Identifier: Apache-2.0
"""Where cropped kernels read, against the definition of TFLite's padding, position by position."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfprune.converter.stock.windows import Crop, Placement, Window, cropped, crops, placement, stays_same


def positions(window: Window, image: int, shift: int = 0) -> list[list[int | None]]:
    """For each output the inputs that its taps read, None for padding."""
    start = window.start(image)
    places = [
        [output * window.stride - start + tap * window.dilation for tap in range(window.taps)]
        for output in range(window.outputs(image))
    ]
    return [[place + shift if 0 <= place < image else None for place in row] for row in places]


@st.composite
def windows(draw: st.DrawFn) -> Window:
    taps, dilation = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    same = draw(st.booleans())
    before, after = (draw(st.integers(0, 3)), draw(st.integers(0, 3))) if draw(st.booleans()) else (0, 0)
    image = draw(st.integers((taps - 1) * dilation + 1, 24) if not same else st.integers(1, 24))
    return Window(image, taps, draw(st.integers(1, 4)), dilation, same, before, after)


@given(windows(), st.data())
def test_a_cropped_window_reads_what_it_read(window: Window, data: st.DataObject) -> None:
    assert window.image is not None
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=window.taps, max_size=window.taps)))
    expected = positions(window, window.image)
    for crop in crops(kept):
        assert set(np.flatnonzero(kept)) <= set(crop.indices.tolist())
        wanted = [[row[tap] for tap in crop.indices] for row in expected]
        if stays_same(window, crop):
            assert positions(cropped(window, crop, same=True), window.image) == wanted
        place = placement(window, crop)
        if place is not None:
            left = window.image - place.cut_before - place.cut_after
            new = cropped(window, crop, same=False)
            explicit = Window(left, new.taps, new.stride, new.dilation, False, place.pad_before, place.pad_after)
            assert explicit.outputs(left) == window.outputs(window.image)
            found = positions(explicit, left, shift=place.cut_before)
            # What is cut off at the ends is never read by a tap that the crop keeps.
            assert found == wanted


@given(windows(), st.data())
def test_a_size_that_is_not_known_holds_for_every_size(window: Window, data: st.DataObject) -> None:
    unknown = Window(None, window.taps, window.stride, window.dilation, window.same, window.before, window.after)
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=window.taps, max_size=window.taps)))
    least = 1 if window.same else max(window.extent - window.before - window.after, 1)
    for crop in crops(kept):
        for image in range(least, least + 12):
            known = Window(image, *(getattr(window, name) for name in _FIELDS))
            if stays_same(unknown, crop):
                assert stays_same(known, crop)
            place = placement(unknown, crop)
            if place is not None:
                new = cropped(known, crop, same=False)
                explicit = Window(image, new.taps, new.stride, new.dilation, False, place.pad_before, place.pad_after)
                wanted = [[row[tap] for tap in crop.indices] for row in positions(known, image)]
                assert positions(explicit, image) == wanted


_FIELDS = ("taps", "stride", "dilation", "same", "before", "after")


@pytest.mark.parametrize(
    ("window", "kept", "same", "place"),
    [
        # The middle row of a 3x3 kernel: nothing is read outside the image any more.
        (Window(8, 3, 1, 1, True), [0, 1, 0], True, Placement()),
        # The last two rows: SAME pads 0 in front and 1 behind for two taps.
        (Window(8, 3, 1, 1, True), [0, 1, 1], True, Placement(pad_after=1)),
        # The first two: one row of zeros in front.
        (Window(8, 3, 1, 1, True), [1, 1, 0], False, Placement(pad_before=1)),
        (Window(8, 5, 1, 1, False), [0, 1, 1, 1, 0], False, Placement(cut_before=1, cut_after=1)),
        # PAD of 1 and VALID, stride 2, as Keras writes it: the middle row needs neither.
        (Window(8, 3, 2, 1, False, 1, 1), [0, 1, 0], True, Placement()),
        # Of an image of unknown size the last rows cannot be cut off.
        (Window(None, 3, 1, 1, False), [1, 1, 0], False, None),
        (Window(None, 3, 1, 1, True), [0, 1, 0], True, Placement()),
        # With stride 2, where SAME begins depends on whether the size is odd.
        (Window(None, 3, 2, 1, True), [0, 1, 0], False, None),
        (Window(9, 3, 2, 1, True), [0, 1, 0], True, Placement()),
        (Window(8, 3, 2, 1, True), [0, 1, 0], False, Placement(cut_before=1)),
    ],
)
def test_known_cases(window: Window, kept: list[int], same: bool, place: Placement | None) -> None:
    first, last = kept.index(1), len(kept) - kept[::-1].index(1)
    crop = Crop(first, last - first)
    assert stays_same(window, crop) == same
    assert placement(window, crop) == place


def test_every_second_tap_becomes_dilation() -> None:
    assert next(iter(crops(np.array([1, 0, 1, 0, 1], bool)))) == Crop(0, 3, 2)
    assert [crop.step for crop in crops(np.array([1, 1, 1], bool))] == [1]
