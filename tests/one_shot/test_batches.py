# SPDX-License-Identifier: Apache-2.0
"""Calibration data of models that do not say what they take."""

from __future__ import annotations

import numpy as np
import pytest

from tfprune.errors import PruningError
from tfprune.one_shot.batches import BATCH, unknown_batches

_IMAGES = np.arange(80.0).reshape(40, 2)
_LABELS = np.arange(40)


def test_arrays_that_belong_together_are_cut_together() -> None:
    batches, count = unknown_batches((_IMAGES, _LABELS))
    assert (count, len(batches)) == (40, 2)
    for name, whole in enumerate((_IMAGES, _LABELS)):
        np.testing.assert_array_equal(np.concatenate([batch[name] for batch in batches]), whole)
        assert len(batches[0][name]) == BATCH
    (first, _), count = unknown_batches({"images": _IMAGES, "labels": _LABELS})
    assert count == 40
    np.testing.assert_array_equal(first["labels"], _LABELS[:BATCH])


def test_batches_keep_their_size_and_lose_their_labels() -> None:
    batches, count = unknown_batches([(_IMAGES[:3], _LABELS[:3]), (_IMAGES[3:], _LABELS[3:])])
    assert (count, [len(batch) for batch in batches]) == (40, [3, 37])


def test_no_example_is_refused() -> None:
    with pytest.raises(PruningError, match="at least one example"):
        unknown_batches(iter(()))
