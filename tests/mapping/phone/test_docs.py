# SPDX-License-Identifier: Apache-2.0
"""The code of ``docs/profiling_phone.md``, on the phone that is a folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

import tfprune as tp
from tests.docs.pages import DOCS, fenced
from tests.mapping.phone.conftest import REAL_TOOLS, Phone
from tests.models.builder import conv_model, pruned


def test_the_page_measures(
    phone: Phone, android_libraries: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (phone.folder / "libraries").symlink_to(android_libraries)
    tools = tmp_path / "build/phone/arm64-v8a"
    tools.parent.mkdir(parents=True)
    tools.symlink_to(REAL_TOOLS)
    dense = conv_model(pruned((64, 1, 1, 64)), np.ones(64, np.float32))
    (tmp_path / "dense.tflite").write_bytes(dense)
    (tmp_path / "pruned.tflite").write_bytes(tp.convert(dense, min_speedup=0.01).tflite)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{phone.folder}:{os.environ['PATH']}")
    for variable in ("ANDROID_HOME", "ANDROID_SDK_ROOT"):
        monkeypatch.delenv(variable, raising=False)
    (block,) = fenced(DOCS / "profiling_phone.md", "python")
    assert re.match(r"Maker Model 8 Pro: \d+\.\d us dense, \d+\.\d us sparse\n", block.run({}))
