# SPDX-License-Identifier: Apache-2.0
"""Files of other tools, made here by the tools themselves: converted, smaller, equal.

PyTorch and TFMOT are not in the ordinary environment; ``make test-elsewhere`` makes one for them, and prints a line of
docs/conversion.md for each file.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.elsewhere.check import Exported, Outcome, outcome

EXPORTERS = {
    "keras": ("keras", "tensorflow"),
    "saved_model": ("tensorflow",),
    "tfmot": ("tensorflow_model_optimization", "tf_keras"),
    "pytorch": ("litert_torch", "torchvision"),
}
ROOT = Path(__file__).parents[2]
#: Reasons that say something of the layer itself: a depthwise layer that was not pruned, or too few weights.
ALLOWED = {"no_zeros", "not_smaller", "file_not_smaller"}


@pytest.mark.slow
@pytest.mark.parametrize("exporter", EXPORTERS)
def test_every_file_is_converted_smaller_and_equal(exporter: str, tmp_path: Path) -> None:
    for module in EXPORTERS[exporter]:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    command = [sys.executable, "-m", "tests.elsewhere", exporter, str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    outcomes = {}
    for path in sorted(tmp_path.glob("*.npz")):
        made = dict(np.load(path))
        name = str(made.pop("name"))
        outcomes[name] = outcome(Exported(made.pop("data").tobytes(), **made))
        print(outcomes[name].row(f"{exporter}: {name}"), flush=True)
    assert outcomes
    assert {name: found for name, found in outcomes.items() if not as_promised(found)} == {}


def as_promised(found: Outcome) -> bool:
    framework = found.framework_error is None or found.framework_error <= 1e-4
    converted = set(found.reasons) <= ALLOWED and found.sparse > 0.5 * found.layers
    return framework and converted and found.ratio < 0.9
