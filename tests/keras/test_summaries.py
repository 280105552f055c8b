# SPDX-License-Identifier: Apache-2.0
"""What TensorBoard gets to see."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.keras.conftest import STEPS
from tests.keras.test_replaced_weights import fit
from tfprune.errors import PruningError
from tfprune.keras.callback import PruningCallback
from tfprune.keras.summaries import picture_of
from tfprune.sparsity.patterns import Unstructured
from tfprune.sparsity.schedules import PolynomialDecay

Build = Callable[..., Any]
Data = tuple[np.ndarray, np.ndarray]
SCHEDULE = PolynomialDecay(0.25, 0.75, end_step=2 * STEPS, power=1, frequency=STEPS)


def test_scalars_and_pictures(build: Build, data: Data, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorflow.io import decode_png
    from tensorflow.python.framework.tensor_util import MakeNdarray

    model = build("adam")
    prune = PruningCallback(Unstructured(), SCHEDULE, min_weights=1, log_dir=tmp_path)
    assert fit(model, data, prune, epochs=3) == []
    events = EventAccumulator(str(tmp_path / "pruning"), size_guidance={"tensors": 0})
    events.Reload()
    assert sorted(events.Tags()["tensors"]) == ["mask/hidden/kernel", "sparsity/all", "sparsity/hidden/kernel"]
    for tag in ("sparsity/all", "sparsity/hidden/kernel"):
        scalars = [(event.step, float(MakeNdarray(event.tensor_proto))) for event in events.Tensors(tag)]
        assert scalars == [(0, 0.25), (6, 0.5), (12, 0.75)]
    pictures = events.Tensors("mask/hidden/kernel")
    assert [event.step for event in pictures] == [6, 12, 18]
    width, height, png = MakeNdarray(pictures[-1].tensor_proto)
    assert (int(width), int(height)) == (16, 8)  # a row is an output
    kernel = model.get_layer("hidden").kernel.numpy()
    np.testing.assert_array_equal(decode_png(png).numpy()[:, :, 0], np.where(kernel.T != 0, 255, 0))
    # A second fit writes a file of its own, with the masks it goes on with.
    fit(model, data, prune, epochs=1)
    assert len(list((tmp_path / "pruning").iterdir())) == 2


def test_large_masks_are_averaged() -> None:
    mask = np.zeros((3, 1024), np.bool_)
    mask[0] = True
    mask[1, ::2] = True
    picture = picture_of(mask)
    assert picture.shape == (3, 512)
    assert [set(row.tolist()) for row in picture] == [{1.0}, {0.5}, {0.0}]
    assert picture_of(np.ones((700, 5), np.bool_)).tolist() == np.ones((512, 5)).tolist()


def test_missing_tensorboard_is_named_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(PruningError, match=r"`log_dir` needs TensorFlow and TensorBoard.*pip install"):
        PruningCallback(Unstructured(), SCHEDULE, log_dir=tmp_path)


@pytest.mark.parametrize("wrong", [5, "", b"logs"])
def test_a_log_needs_a_folder(wrong: Any) -> None:
    with pytest.raises(PruningError, match=rf"`log_dir` must be the path of a folder.* Received: log_dir={wrong!r}\."):
        PruningCallback(Unstructured(), SCHEDULE, log_dir=wrong)
