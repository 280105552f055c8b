# SPDX-License-Identifier: Apache-2.0
"""The benchmark program with Android's own LiteRT, which runs here on libraries of the names of Android's."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfprune as tp
from tests.mapping.phone.conftest import REAL_TOOLS, Phone
from tests.models.builder import conv_model, fully_connected_model, pruned
from tests.runtime.quantized_models import quantized_layer
from tfprune.errors import ProfileError
from tfprune.formats import Op, OpSpec
from tfprune.mapping.profiling.adb import DELEGATE, PROGRAM, RUNTIME, AdbDevice
from tfprune.runtime.library import load_library

Device = Callable[..., AdbDevice]
BIAS = np.linspace(-1, 1, 64, dtype=np.float32)
CONV = conv_model(pruned((64, 1, 1, 64)), BIAS, size=(1, 14, 14))
FULLY_CONNECTED = fully_connected_model(pruned((64, 256)), BIAS, shape=[4, 256])


def _sparse(model: bytes) -> bytes:
    return tp.convert(model, min_speedup=0.01).tflite


def test_dense_and_sparse_models_are_timed(real_phone: Device) -> None:
    with real_phone(seconds=0.01) as device:
        found = list(device.measure([[CONV, _sparse(CONV)], [FULLY_CONNECTED, _sparse(FULLY_CONNECTED)]]))
        assert device.facts.litert == "2.16.1"
        assert device.facts.arch == load_library().detected_arch
    assert [len(times) for times in found] == [2, 2]
    # An inference of these takes microseconds here, and not the tenths of a second that a lost unit would make of it.
    assert all(0.1 < time < 1e5 for times in found for time in times)


def test_several_threads_and_one_cpu(real_phone: Device) -> None:
    cpu = min(os.sched_getaffinity(0))
    with real_phone(seconds=0.01, num_threads=2, cpus=f"{1 << cpu:x}") as device:
        assert len(next(device.measure([[CONV, _sparse(CONV)]]))) == 2


def _changed() -> bytes:
    """`CONV` with one weight that differs a little."""
    weights = pruned((64, 1, 1, 64))
    weights.flat[np.argmax(np.abs(weights))] *= 1.05
    return conv_model(weights, BIAS, size=(1, 14, 14))


def test_wrong_answers_are_not_timed(real_phone: Device) -> None:
    changed = _changed()
    with real_phone(seconds=0.01) as device:
        with pytest.raises(ProfileError, match="its answer differs from that of"):
            list(device.measure([[CONV, _sparse(changed)]]))
        assert len(next(device.measure([[CONV, _sparse(changed)]], tolerance=0.5))) == 2
        assert len(next(device.measure([[CONV, FULLY_CONNECTED]], tolerance=None))) == 2
        with pytest.raises(ProfileError, match="is of another type or size"):
            list(device.measure([[CONV, FULLY_CONNECTED]]))


def test_options_that_cannot_be_met_are_told_at_once(real_phone: Device) -> None:
    with pytest.raises(ProfileError, match=r"arch must be auto, reference, .*got 'mmx'"):
        real_phone(arch="mmx")
    with pytest.raises(ProfileError, match="--cpus=8000000000000000: the system refuses"):
        real_phone(cpus="8000000000000000")


@pytest.mark.slow
def test_a_gpu_runs_dense_models_too(real_phone: Device, phone: Phone) -> None:
    with real_phone(seconds=0, backend="gpu", precision="f16") as device:
        assert len(next(device.measure([[CONV, _sparse(CONV)]], tolerance=0.01))) == 2
        assert list(phone.files.glob("programs/*.clprogram"))  # the next process starts faster
    command = phone.runs()[1]
    assert "--option=backend=gpu" in command


def test_what_is_no_model(real_phone: Device) -> None:
    with real_phone() as device, pytest.raises(ProfileError, match="LiteRT takes it for no model"):
        list(device.measure([[b"not a model"]]))


@pytest.fixture
def program(android_libraries: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``program(*arguments)``: the program itself."""

    def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
        command = [str(REAL_TOOLS / PROGRAM), *map(str, arguments)]
        environment = {"LD_LIBRARY_PATH": str(android_libraries)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize("threads", [1, 2])
def test_xnnpack_runs_what_is_dense_int8_too(program: Callable[..., Any], threads: int, tmp_path: Path) -> None:
    layer = quantized_layer(OpSpec(op=Op.CONV_2D, out_channels=64, in_channels=64), (1, 14, 14, 64))
    (tmp_path / "dense").write_bytes(layer.dense())
    (tmp_path / "sparse").write_bytes(layer.sparse())
    arguments = [f"--runtime={REAL_TOOLS / RUNTIME}", f"--delegate={REAL_TOOLS / DELEGATE}", f"--threads={threads}"]
    done = program(*arguments, "--seconds=0", "--tolerance=0.02", tmp_path / "dense", tmp_path / "sparse")
    assert done.returncode == 0, done.stderr
    assert "Replacing 1 out of 1 node(s) with delegate (TfLiteXNNPackDelegate)" in done.stderr
    assert "Replacing 1 out of 1 node(s) with delegate (TfpruneDelegate)" in done.stderr
    assert json.loads(done.stdout)["models"][1]["error"] < 0.02


def test_the_report_names_what_ran(program: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / 'de"nse').write_bytes(CONV)
    (tmp_path / "sparse").write_bytes(_sparse(CONV))
    arguments = [f"--runtime={REAL_TOOLS / RUNTIME}", f"--delegate={REAL_TOOLS / DELEGATE}", "--seconds=0"]
    done = program(*arguments, tmp_path / 'de"nse', tmp_path / "sparse")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    dense, sparse = report["models"]
    assert (report["threads"], report["rounds"]) == (1, 7)
    assert dense["model"] == str(tmp_path / 'de"nse')
    assert dense["kernel"] == ""
    assert dense["error"] == 0
    assert sparse["kernel"].split("/")[1] in load_library().detected_arch
    assert 0 <= sparse["error"] < 1e-5
    assert len(dense["nanoseconds"]) == len(sparse["nanoseconds"]) == 7
    assert min(dense["inferences"], sparse["inferences"]) >= 1


def test_exit_codes_say_what_is_wrong(program: Callable[..., Any], tmp_path: Path) -> None:
    model, sparse = tmp_path / "dense.tflite", tmp_path / "sparse.tflite"
    model.write_bytes(CONV)
    sparse.write_bytes(_sparse(CONV))
    (tmp_path / "none.tflite").write_bytes(b"nothing")
    (tmp_path / "changed.tflite").write_bytes(_changed())
    runtime, delegate = f"--runtime={REAL_TOOLS / RUNTIME}", f"--delegate={REAL_TOOLS / DELEGATE}"
    cases = [
        (2, ["--threads=0", model], "--threads must be a number from 1 to 1024, got '0'"),
        (3, [runtime, tmp_path / "missing.tflite"], "there is no such file"),
        (4, ["--runtime=/missing.so", model], "the runtime cannot be loaded: /missing.so"),
        (4, [f"--runtime={REAL_TOOLS / DELEGATE}", model], "has no function TfLiteInterpreterAllocateTensors"),
        (5, [runtime, "--delegate=/missing.so", model], "the delegate cannot be loaded: /missing.so"),
        (5, [runtime, f"--delegate={REAL_TOOLS / RUNTIME}", model], "has no function tflite_plugin_create_delegate"),
        (5, [runtime, delegate, "--option=arch=mmx", sparse], "arch must be auto"),
        (5, [runtime, sparse], "holds tfprune ops; give --delegate=PATH"),
        (6, [runtime, tmp_path / "none.tflite"], "LiteRT takes it for no model"),
        (7, [runtime, model, tmp_path / "changed.tflite"], "differs from that of"),
    ]
    for code, arguments, words in cases:
        done = program(*arguments)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert words in done.stderr.splitlines()[-1]
    assert program("--help").stdout.startswith("usage: tfprune_benchmark")
    assert program("--version").stdout == f"{tp.__version__}\n"
