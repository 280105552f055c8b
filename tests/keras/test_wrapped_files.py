# SPDX-License-Identifier: Apache-2.0
"""A new process loads wrapped models as ``docs/wrappers.md`` says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import tfprune
from tfprune.sparsity.patterns import Groups
from tfprune.sparsity.schedules import ConstantSparsity

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "wrappers.md"
LOAD = """
import keras, sys, tfprune
{line}
try:
    print(type(keras.saving.load_model(sys.argv[1]).get_layer("hidden")).__name__)
except TypeError as error:
    print(sys.argv[2] in str(error))
"""


@pytest.fixture(scope="module")
def wrapped_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(8, name="hidden"), keras.layers.Dense(1)])
    rule = tfprune.Rule("hidden", Groups(rows=4), 0.5, ConstantSparsity(0.5), min_weights=1)
    path = tmp_path_factory.mktemp("wrapped") / "wrapped.keras"
    tfprune.wrap(model, rule).save(path)
    return path


@pytest.mark.parametrize("with_line", [True, False])
def test_a_new_process_loads_a_wrapped_model_after_the_line_of_the_page(wrapped_file: Path, with_line: bool) -> None:
    text = PAGE.read_text(encoding="utf-8")
    [line] = re.findall(r"^    (from tfprune import .*)$", text, re.MULTILINE)
    [error] = re.findall(r"`TypeError`, at the end of which it says `(.*?)`", text)
    code = LOAD.format(line=line if with_line else "")
    process = subprocess.run(
        [sys.executable, "-c", code, str(wrapped_file), error], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines()[-1] == ("Pruned" if with_line else "True")


def test_a_new_process_prunes_a_wrapped_file_at_once(wrapped_file: Path) -> None:
    code = "import sys, tfprune as tp; rule = tp.Rule('hidden', tp.patterns.Groups(rows=4), 0.75, min_weights=1);"
    code += "print(tp.prune(sys.argv[1], rule).report.sparsity)"
    process = subprocess.run(
        [sys.executable, "-c", code, str(wrapped_file)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines()[-1] == "0.75"
