# SPDX-License-Identifier: Apache-2.0
"""Files of other tools, made here by the tools themselves: converted, smaller, equal.

PyTorch and TFMOT are not in the ordinary environment; ``make test-elsewhere`` makes one for them, and prints a line of
docs/conversion.md for each file.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest

from tests.elsewhere.check import Exported, Outcome, outcome

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
def test_every_file_is_converted_smaller_and_equal(exporter: str) -> None:
    for module in EXPORTERS[exporter]:
        pytest.importorskip(module, exc_type=ImportError)
    files: dict[str, Callable[[], Exported]] = importlib.import_module(f"tests.elsewhere.{exporter}_files").FILES
    assert files
    outcomes = {}
    for name, make in files.items():
        outcomes[name] = outcome(make())
        print(outcomes[name].row(f"{exporter}: {name}"), flush=True)
    assert {name: found for name, found in outcomes.items() if not as_promised(found)} == {}


def as_promised(found: Outcome) -> bool:
    framework = found.framework_error is None or found.framework_error <= 1e-4
    converted = set(found.reasons) <= ALLOWED and found.sparse > 0.5 * found.layers
    return framework and converted and found.ratio < 0.9
