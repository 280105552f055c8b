# SPDX-License-Identifier: Apache-2.0
"""The C++ example of CompiledModel on the `libLiteRt.so` of LiteRT's wheel."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import ai_edge_litert
import numpy as np
import pytest

import tfprune as tp
from tests.android.conftest import REPOSITORY, RUNTIME
from tests.compiled_model.test_whole_models import converted, convolutional, images, pruned
from tests.models.recurrent import LstmFile
from tfprune.runtime.library import library_path

EXAMPLE = RUNTIME.parent / "compiled_model"
LITERT = Path(ai_edge_litert.__file__).parent / "libLiteRt.so"


def example(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs it with the library that Python loads."""
    assert EXAMPLE.exists(), f"{EXAMPLE} is missing: run `python3 tools/build_phone_tools.py x86_64`"
    return subprocess.run(
        [str(EXAMPLE), *map(str, arguments)],
        env={"LD_LIBRARY_PATH": str(library_path().parent)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("precision", ["float32", "dynamic", "int8"])
def test_the_answers_are_those_of_the_interpreter(precision: str, threads: int, tmp_path: Path) -> None:
    examples = images(16) if precision == "int8" else None
    content = converted(pruned(convolutional()), precision=precision, representative_data=examples)
    interpreter = tp.Interpreter(content)
    assert len(interpreter.custom_ops) >= 2
    x = images()
    paths = [tmp_path / name for name in ("model.tflite", "x", "y")]
    paths[0].write_bytes(content)
    x.tofile(paths[1])
    done = example(LITERT, *paths, str(threads))
    assert done.returncode == 0, done.stderr
    expected = interpreter.predict(x)
    assert isinstance(expected, np.ndarray)
    found = np.fromfile(paths[2], np.float32).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * np.abs(expected).max())
    assert f"tfprune {tp.__version__}, " in done.stdout
    assert not done.stdout.endswith("last kernel \n")


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    model, no = tmp_path / "model.tflite", tmp_path / "no"
    model.write_bytes(converted(pruned(convolutional())))
    no.write_bytes(b"no model")
    assert "usage: compiled_model" in example().stderr
    assert "LiteRT cannot be loaded" in example(no, model, "b", "c").stderr
    assert "LiteRT lacks LiteRtCreateEnvironment" in example(library_path(), model, "b", "c").stderr
    assert "the model cannot be read" in example(LITERT, no, "b", "c").stderr
    assert "INPUT must hold exactly" in example(LITERT, model, no, "c").stderr
    assert "count must be from 1 to 64, got 0" in example(LITERT, model, no, "c", "many").stderr
    # LiteRT takes no files with variable tensors.
    model.write_bytes(converted(LstmFile().build()))
    assert "the model cannot be read" in example(LITERT, model, no, "c").stderr


def test_the_sentence_of_an_op_that_fails_is_told(tmp_path: Path) -> None:
    content = bytearray(converted(pruned(convolutional())))
    content[content.index(b"TFPK") + 8] ^= 0xFF
    model, x = tmp_path / "model.tflite", tmp_path / "x"
    model.write_bytes(content)
    images().tofile(x)
    done = example(LITERT, model, x, tmp_path / "y")
    assert done.returncode == 1
    assert "TfpruneConv2D: " in done.stderr
    assert not (tmp_path / "y").exists()


# What a program has from LiteRT's own headers, and before.
FRAME = """
#include "examples/cpp/litert.h"

int LiteRtCreateOptions(LiteRtOptions* options);
int LiteRtSetOptionsHardwareAccelerators(LiteRtOptions options, int accelerators);
int LiteRtCreateCompiledModel(LiteRtHandle environment, LiteRtHandle model, LiteRtOptions options, LiteRtHandle* made);

void Example(LiteRtOptions options, LiteRtHandle environment, LiteRtHandle model, LiteRtHandle compiled) {{
{code}
}}
"""


def test_the_code_of_the_page_compiles(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "runtime.md").read_text()
    (code,) = re.findall(r"^```cpp\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    source = tmp_path / "example.cc"
    source.write_text(FRAME.format(code=code))
    command = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{REPOSITORY}", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
