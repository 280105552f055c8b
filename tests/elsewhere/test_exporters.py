# SPDX-License-Identifier: Apache-2.0
"""Files of other tools, made here by the tools themselves: converted, smaller, equal.

PyTorch and TFMOT are not in the ordinary environment; ``make test-elsewhere`` makes one for them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest

from tests.elsewhere.check import Exported, outcome

EXPORTERS = {
    "keras": ("keras", "tensorflow"),
    "saved_model": ("tensorflow",),
    "tfmot": ("tensorflow_model_optimization", "tf_keras"),
    "pytorch": ("litert_torch", "torchvision"),
}
#: Reasons that say something of the layer itself: a depthwise layer that was not pruned, or too few weights.
ALLOWED = {"no_zeros", "not_smaller", "file_not_smaller"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exporter", EXPORTERS)
def test_every_file_is_converted_smaller_and_equal(exporter: str, subtests: pytest.Subtests) -> None:
    for module in EXPORTERS[exporter]:
        pytest.importorskip(module, exc_type=ImportError)
    files: dict[str, Callable[[], Exported]] = importlib.import_module(f"tests.elsewhere.{exporter}_files").FILES
    for name, make in files.items():
        with subtests.test(name):
            found = outcome(make())
            assert set(found.reasons) <= ALLOWED, found
            assert found.sparse > 0.5 * found.layers, found
            assert found.ratio < 0.9, found
            assert found.framework_error is None or found.framework_error <= 1e-4, found
