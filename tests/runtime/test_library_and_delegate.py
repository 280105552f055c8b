# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ctypes
import platform
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter as StockInterpreter

from tests.runtime.tiny_models import conv_layer
from tfprune.errors import DelegateError
from tfprune.runtime import library, reference
from tfprune.runtime.delegate import delegate
from tfprune.runtime.library import library_path, load_library


def test_environment_variable_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere.so"
    copy.write_bytes(library_path().read_bytes())
    monkeypatch.setenv(library.LIBRARY_VARIABLE, str(copy))
    assert library_path() == copy
    assert load_library().path == copy


def test_environment_variable_without_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(library.LIBRARY_VARIABLE, str(tmp_path / "none.so"))
    with pytest.raises(DelegateError, match=r"TFPRUNE_LIBRARY must name the file .*none\.so"):
        load_library()


def test_missing_packaged_library_says_what_to_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(library.LIBRARY_VARIABLE, raising=False)
    monkeypatch.setattr(library, "PACKAGED_LIBRARY", tmp_path / "libtfprune.so")
    with pytest.raises(DelegateError, match="make build"):
        delegate()


def test_file_that_is_no_library_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"not a library")
    monkeypatch.setenv(library.LIBRARY_VARIABLE, str(broken))
    with pytest.raises(DelegateError, match="must be a shared library for this machine"):
        load_library()


def test_another_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import _ctypes

    monkeypatch.setenv(library.LIBRARY_VARIABLE, _ctypes.__file__)
    with pytest.raises(DelegateError, match="does not export `tflite_plugin_create_delegate`"):
        load_library()


def test_queries() -> None:
    loaded = load_library()
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", loaded.version)
    assert loaded.detected_arch in {
        "reference",
        "sse2",
        "avx2",
        "avx512",
        "avx512_vnni",
        "neon",
        "neon_dotprod",
        "neon_i8mm",
    }
    assert load_library() is loaded


def test_unknown_option_is_refused_with_the_options_there_are() -> None:
    with pytest.raises(DelegateError, match=r"'speed'.*options are: accumulation, arch"):
        delegate(speed="high")


def test_unknown_arch_is_refused_with_the_values_there_are() -> None:
    with pytest.raises(DelegateError, match=r"auto, reference.*'quick'"):
        delegate(arch="quick")


def test_unknown_precision_is_refused_with_the_values_there_are() -> None:
    with pytest.raises(DelegateError, match=r"f32 or f16, got 'bf16'"):
        delegate(precision="bf16")


@pytest.mark.parametrize("value", ["0", "65", "-1", "two"])
def test_threads_out_of_range_are_refused(value: str) -> None:
    with pytest.raises(DelegateError, match=f"threads must be auto or a number from 1 to 64, got '{value}'"):
        delegate(threads=value)


@pytest.mark.parametrize(("threads", "started"), [("auto", 0), ("1", 0), ("3", 2)])
def test_threads_of_the_delegate_win(threads: str, started: int) -> None:
    code = f"""
import os
import numpy as np
import tfprune as tp
from ai_edge_litert.interpreter import Interpreter
from tests.models.builder import conv_model, pruned

model = conv_model(pruned((64, 1, 1, 64)), np.zeros(64, np.float32), size=(1, 56, 56))
sparse = tp.convert(model, min_speedup=0.01).tflite
interpreter = Interpreter(
    model_content=sparse, num_threads=1, experimental_delegates=[tp.delegate(threads={threads!r})]
)
interpreter.allocate_tensors()
before = len(os.listdir("/proc/self/task"))
interpreter.invoke()
print(len(os.listdir("/proc/self/task")) - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) == started


@pytest.mark.parametrize("value", ["\u00e9" * 300, "x" + "\u65e5" * 300, "a\nb\x1b[0m" * 90])
def test_a_long_or_odd_value_does_not_hide_the_reason(value: str) -> None:
    for options, reason in (
        ({"arch": value}, "arch must be auto, reference"),
        ({"tune_cache": value}, "tune_cache is for tune=1 only"),
        ({"tune": value}, "tune must be 0 or 1"),
        ({"precision": value}, "precision must be f32 or f16"),
        ({value: "1"}, "the options are: accumulation, arch, backend, chains"),
    ):
        with pytest.raises(DelegateError) as refused:
            delegate(**options)
        assert reason in str(refused.value)
        assert str(refused.value).isprintable()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="NEON machines may have the arithmetic")
def test_half_precision_is_refused_where_the_processor_has_none() -> None:
    with pytest.raises(DelegateError, match=r"precision f16 needs a processor with Armv8\.2 half-precision arith"):
        delegate(precision="f16")


def test_option_that_is_no_string_is_refused() -> None:
    with pytest.raises(DelegateError, match="`arch` must be a string, got 512"):
        delegate(arch=512)  # type: ignore[arg-type]


def test_no_delegate_has_an_empty_description() -> None:
    describe = ctypes.CDLL(str(library_path())).tfprune_describe
    describe.argtypes, describe.restype = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t), ctypes.c_size_t
    assert describe(None, None, 0) == 0
    buffer = ctypes.create_string_buffer(b"before")
    assert describe(None, buffer, len(buffer)) == 0
    assert buffer.value == b""


@pytest.mark.parametrize("arch", ["reference", "auto"])
def test_stock_interpreter_runs_our_op_with_the_asked_kernels(arch: str) -> None:
    layer = conv_layer()
    interpreter = StockInterpreter(
        model_content=layer.sparse(), num_threads=1, experimental_delegates=[delegate(arch=arch)]
    )
    interpreter.allocate_tensors()
    x = np.random.default_rng(0).standard_normal(layer.input_shape).astype(np.float32)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    y = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(y, reference.conv2d(x, layer.packed(), layer.bias), rtol=1e-5, atol=1e-5)
    # Float kernels use neither VNNI nor the dot product.
    expected = load_library().detected_arch.split("_")[0] if arch == "auto" else arch
    assert expected in load_library().last_kernel.split("/")


def test_one_delegate_serves_two_interpreters() -> None:
    shared = delegate()
    layers = [conv_layer(seed) for seed in (1, 2)]
    interpreters = [StockInterpreter(model_content=layer.sparse(), experimental_delegates=[shared]) for layer in layers]
    x = np.random.default_rng(3).standard_normal(layers[0].input_shape).astype(np.float32)
    for layer, interpreter in zip(layers, interpreters, strict=True):
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
        interpreter.invoke()
        y = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        np.testing.assert_allclose(y, reference.conv2d(x, layer.packed(), layer.bias), rtol=1e-5, atol=1e-5)
