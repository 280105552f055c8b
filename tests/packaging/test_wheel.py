# SPDX-License-Identifier: Apache-2.0
"""The built wheel: what it holds, and that it works in a fresh environment outside the repository."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.models.builder import conv_model, pruned

pytestmark = pytest.mark.wheel

REPOSITORY = Path(__file__).resolve().parents[2]
CONSTRAINTS = REPOSITORY / "third_party" / "python-constraints.txt"


def _run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TFPRUNE_", "PYTHONPATH"))}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", folder, REPOSITORY, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel and its base dependencies only; returns its ``bin`` folder."""
    folder = tmp_path_factory.mktemp("fresh")
    _run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    _run(folder / "venv/bin/python", "-m", "pip", "install", "-c", CONSTRAINTS, wheel, cwd=folder)
    return folder / "venv" / "bin"


def test_the_tag_says_any_python_3_and_one_platform(wheel: Path) -> None:
    pattern = rf"tfprune-[0-9.]+-py3-none-manylinux_\d+_\d+_{platform.machine()}\.whl"
    assert re.fullmatch(pattern, wheel.name), wheel.name


def test_it_holds_the_library_the_licence_and_the_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        assert {"tfprune/runtime/lib/libtfprune.so", "tfprune/py.typed"} <= names
        assert any(re.fullmatch(r"tfprune/costs/tables/.+\.json", name) for name in names)
        (licence,) = (name for name in names if name.endswith("dist-info/licenses/LICENSE"))
        (notice,) = (name for name in names if name.endswith("dist-info/licenses/NOTICE"))
        assert archive.read(licence) == (REPOSITORY / "LICENSE").read_bytes()
        assert archive.read(notice) == (REPOSITORY / "NOTICE").read_bytes()
        (wheel_info,) = (name for name in names if name.endswith("dist-info/WHEEL"))
        assert b"Root-Is-Purelib: false" in archive.read(wheel_info)
        # Everything of the package and nothing else: no tests, tools or sources of the library.
        assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"tfprune"}
        committed = {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "tfprune").rglob("*.py")}
        assert {name for name in names if name.endswith(".py")} == committed


def test_every_source_in_it_names_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        sources = [name for name in archive.namelist() if name.endswith(".py")]
        assert len(sources) > 10
        first_lines = {name: archive.read(name).splitlines()[:1] for name in sources}
    assert [name for name, line in first_lines.items() if line != [b"# SPDX-License-Identifier: Apache-2.0"]] == []


def test_a_model_converts_and_runs_without_tensorflow(fresh: Path, tmp_path: Path) -> None:
    bias = np.linspace(-1, 1, 48, dtype=np.float32)
    dense = tmp_path / "dense.tflite"
    dense.write_bytes(conv_model(pruned((48, 3, 3, 32)), bias, size=(1, 12, 12)))
    script = tmp_path / "outside.py"
    script.write_bytes((Path(__file__).parent / "outside.py").read_bytes())
    assert "converted and ran" in _run(fresh / "python", script, dense, tmp_path, cwd=tmp_path)


def test_the_command_line_works(fresh: Path, tmp_path: Path) -> None:
    bias = np.zeros(48, np.float32)
    (tmp_path / "dense.tflite").write_bytes(conv_model(pruned((48, 3, 3, 32)), bias, size=(1, 12, 12)))
    _run(fresh / "tfprune", "convert", "dense.tflite", "--output", "sparse.tflite", cwd=tmp_path)
    assert (tmp_path / "sparse.tflite").exists()
    _run(fresh / "tfprune", "verify", "dense.tflite", "sparse.tflite", cwd=tmp_path)
