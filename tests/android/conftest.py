# SPDX-License-Identifier: Apache-2.0
"""The Android library that ``make android`` makes, and a virtual machine that runs its x86_64 part."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mapping.phone.android_libc import make_android_libc

REPOSITORY = Path(__file__).resolve().parents[2]
BUILT = REPOSITORY / "build" / "android"
ARCHIVE = BUILT / "tfprune.aar"
RUNTIME = REPOSITORY / "build" / "phone" / "x86_64" / "libtensorflowlite_jni.so"
JSIG = Path(shutil.which("java") or "java").resolve().parents[1] / "lib" / "libjsig.so"
ABIS = ("arm64-v8a", "armeabi-v7a", "x86_64")

Java = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the AAR is unpacked to."""
    assert ARCHIVE.exists(), f"{ARCHIVE} is missing: run `make android`"
    folder = tmp_path_factory.mktemp("aar")
    with zipfile.ZipFile(ARCHIVE) as file:
        file.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def libraries(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an app's native libraries."""
    assert RUNTIME.exists(), f"{RUNTIME} is missing: run `make test-python`"
    folder = tmp_path_factory.mktemp("libraries")
    shutil.copy(RUNTIME, folder)
    shutil.copy(archive / "jni" / "x86_64" / "libtfprune.so", folder)
    return folder


@pytest.fixture(scope="session")
def android_libc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of libraries by which Android's TensorFlow Lite loads on this machine."""
    assert RUNTIME.exists(), f"{RUNTIME} is missing: run `make test-python`"
    folder = tmp_path_factory.mktemp("libc")
    make_android_libc(RUNTIME, folder)
    return folder


@pytest.fixture(scope="session")
def java(archive: Path, libraries: Path, android_libc: Path) -> Java:
    """``java(program, *arguments)``: a Java program with the AAR and Android's TensorFlow Lite, on this machine."""
    jars = [archive / "classes.jar", *(BUILT / name for name in ("programs.jar", "tflite_java.jar", "tflite_api.jar"))]
    # All of the heap is in memory from the start: what grows is native.
    command = ["java", "-Xms64m", "-Xmx64m", "-XX:+AlwaysPreTouch", "-XX:+UseSerialGC"]
    command += [f"-Djava.library.path={libraries}", "-cp", ":".join(map(str, jars))]

    def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        # OpenCL on a processor brings LLVM, which takes the signals that the virtual machine lives by: libjsig keeps
        # both.
        environment = {**os.environ, "LD_LIBRARY_PATH": str(android_libc), "LD_PRELOAD": str(JSIG)}
        full = [*command, program, *map(str, arguments)]
        return subprocess.run(full, env=environment, capture_output=True, text=True, timeout=200, check=False)

    return run
