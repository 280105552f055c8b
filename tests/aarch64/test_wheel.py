# SPDX-License-Identifier: Apache-2.0
"""The wheel for Linux on aarch64, such as a Raspberry Pi: built here, installed by pip, and run under qemu."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tfprune as tp
from tests.aarch64.conftest import CACHE, REPOSITORY
from tfprune.runtime.library import PACKAGED_LIBRARY, Library

pytestmark = pytest.mark.aarch64
CONSTRAINTS = REPOSITORY / "third_party" / "python-constraints.txt"
GUEST = [REPOSITORY / "tools" / "aarch64" / "run.sh", CACHE / "root"]
#: Wheels of its dependencies are for older C libraries, and pip has to be told each.
PLATFORMS = [f"manylinux_2_{minor}_aarch64" for minor in (17, 27, 28)] + ["manylinux2014_aarch64"]
#: Two make their models with Keras, which the guest lacks; the last tries thousands of headers, which takes longer than
#: its limit under emulation: `bazel test --config=aarch64` does that in C++.
LEFT_OUT = ("test_chains_of_narrow_weights.py", "test_loading.py", "test_corrupt_headers.py")


def _run(*command: str | Path, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        ["env", *(f"{name}={value}" for name, value in environment.items()), *map(str, command)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    option = "-C--build-option=--plat-name=linux_aarch64"
    _run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", folder, option, REPOSITORY, folder=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip installs for the wheel on such a machine, with pytest."""
    folder = tmp_path_factory.mktemp("aarch64")
    platforms = [f"--platform={name}" for name in (*PLATFORMS, wheel.stem.rsplit("-", 1)[1])]
    options = ["--only-binary=:all:", "--python-version=3.11", "--implementation=cp", *platforms]
    packages = [wheel, "pytest", "hypothesis"]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--target", folder / "site"]
    _run(*pip, *options, "-c", CONSTRAINTS, *packages, folder=folder)
    return folder / "site"


def test_the_tag_names_the_processor_and_the_library_is_for_it(wheel: Path, tmp_path: Path) -> None:
    assert re.fullmatch(r"tfprune-[0-9.]+-py3-none-manylinux_\d+_\d+_aarch64\.whl", wheel.name), wheel.name
    with zipfile.ZipFile(wheel) as archive:
        library = archive.extract("tfprune/runtime/lib/libtfprune.so", tmp_path)
    assert "AArch64" in subprocess.run(["readelf", "-h", library], capture_output=True, text=True, check=True).stdout


def test_the_checkout_keeps_the_library_of_this_machine(wheel: Path) -> None:
    assert wheel.exists()
    assert Library(PACKAGED_LIBRARY).version == tp.__version__


def test_the_tests_of_the_runtime_pass(site: Path, tmp_path: Path) -> None:
    # Beside the tests and not in the repository, whose package would be imported.
    shutil.copytree(REPOSITORY / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    # A test reads a page.
    shutil.copytree(REPOSITORY / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("*.png"))
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {GUEST[0]} {GUEST[1]} "$@"\n')
    python.chmod(0o755)
    ignored = [f"--ignore=tests/runtime/{name}" for name in LEFT_OUT]
    guest_pytest = tmp_path / "tests" / "aarch64" / "guest_pytest.py"
    options = ["-q", "-p", "no:cacheprovider", *ignored]
    paths = f"{site}:{tmp_path}"
    said = _run(*GUEST, guest_pytest, python, *options, "tests/runtime", folder=tmp_path, PYTHONPATH=paths)
    assert re.search(r"\d{3,} passed", said), said
