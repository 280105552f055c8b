# SPDX-License-Identifier: Apache-2.0
"""Which part of the package may import which, and what ``import tfprune`` loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "tfprune"
# Part: what it may import besides the standard library, itself and what every part may import.
ALLOWED: dict[str, set[str]] = {
    "sparsity": {"numpy", "threadpoolctl"},
    "formats": {"numpy"},
    "costs": set(),
    "recipe": {"numpy", "yaml", "tfprune.sparsity"},
    "keras": {
        "numpy",
        "keras",
        "tensorboard",
        "tensorflow",
        "tfprune.sparsity",
        "tfprune.recipe",
        "tfprune.bridge",
    },
    "bridge": {"tf_keras", "tfprune.keras", "tfprune.sparsity"},
    "runtime": {"numpy", "ai_edge_litert", "tfprune.formats"},
    "converter": {
        "numpy",
        "flatbuffers",
        "ai_edge_litert",
        "tfprune.sparsity",
        "tfprune.formats",
        "tfprune.costs",
        "tfprune.runtime",
    },
    "one_shot": {
        "numpy",
        "tfprune.sparsity",
        "tfprune.recipe",
        "tfprune.runtime",
        "tfprune.converter",
        "tfprune.keras",
    },
    "plotting": {
        "numpy",
        "matplotlib",
        "jinja2",
        "keras",
        "tfprune.sparsity",
        "tfprune.formats",
        "tfprune.converter",
        "tfprune.keras",
        "tfprune.mapping",
    },
    "mapping": {
        "numpy",
        "ai_edge_litert",
        "jinja2",
        "keras",
        "matplotlib",
        "optuna",
        "rich",
        "scipy",
        "yaml",
        "tfprune.converter",
        "tfprune.costs",
        "tfprune.formats",
        "tfprune.keras",
        "tfprune.plotting",
        "tfprune.recipe",
        "tfprune.runtime",
        "tfprune.sparsity",
    },
    "cli": {"numpy", "click", "rich", "tfprune"},
}
# What every part may import.
EVERYWHERE = ("tfprune.errors", "tfprune.files", "tfprune.tables", "tfprune.__version__")
# The only modules of the converter that may touch Keras and TensorFlow, inside their functions.
KERAS_SIDE = {"converter/api.py", "converter/keras_source.py"}
# The only module of the converter that may ask for pictures, inside its functions.
PICTURE_SIDE = {"converter/report.py"}
# The only module that loads matplotlib with itself: it derives a class, and is itself loaded only when one is drawn.
MATPLOTLIB_SIDE = "plotting/notebook_figure.py"


def _modules() -> list[Path]:
    return sorted(path for part in ALLOWED for path in (PACKAGE / part).rglob("*.py"))


def _imports(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Every imported module, and whether the import runs when the file is loaded."""
    late = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _is_type_checking(node)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) not in late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the direction"
            names = [node.module or ""]
            if node.module in ("tfprune", "ai_edge_litert"):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from ((name, id(node) not in late) for name in names)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _permitted(name: str, part: str, allowed: set[str]) -> bool:
    if name.split(".")[0] in sys.stdlib_module_names or name in EVERYWHERE:
        return True
    return any(name == root or name.startswith(root + ".") for root in allowed | {f"tfprune.{part}"})


def test_every_part_is_listed() -> None:
    parts = {path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert parts == set(ALLOWED)


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_keep_their_direction(path: Path) -> None:
    relative = str(path.relative_to(PACKAGE))
    part = relative.split("/")[0]
    allowed = ALLOWED[part] | ({"keras", "tensorflow", "tfprune.keras"} if relative in KERAS_SIDE else set())
    allowed |= {"tfprune.plotting"} if relative in PICTURE_SIDE else set()
    imports = list(_imports(ast.parse(path.read_text())))
    assert [name for name, _ in imports if not _permitted(name, part, allowed)] == []
    if part not in ("keras", "bridge"):
        late = ("keras", "tensorflow", "tfprune.keras", *(() if part == "plotting" else ("tfprune.plotting",)))
        heavy = [name for name, at_load in imports if at_load and name.startswith(late)]
        assert heavy == []


@pytest.mark.parametrize(
    "path", sorted({*(PACKAGE / "plotting").glob("*.py")} - {PACKAGE / MATPLOTLIB_SIDE}), ids=lambda path: path.name
)
def test_pictures_load_what_draws_and_reads_models_only_when_asked(path: Path) -> None:
    late = ("matplotlib", "jinja2", "keras", "tfprune.converter", "tfprune.keras", "tfprune.plotting.notebook_figure")
    names = [name for name, at_load in _imports(ast.parse(path.read_text())) if at_load]
    assert [name for name in names if name.startswith(late)] == []


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_bridge_is_loaded_only_when_asked_for(path: Path) -> None:
    inside = path.is_relative_to(PACKAGE / "bridge")
    late = ("tensorflow_model_optimization",) if inside else ("tf_keras", "tfprune.bridge")
    assert [name for name, at_load in _imports(ast.parse(path.read_text())) if at_load and name.startswith(late)] == []


def test_importing_the_package_loads_neither_tensorflow_nor_litert() -> None:
    code = "import sys, tfprune; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "tfprune" in loaded
    assert not loaded & {"tensorflow", "keras", "jax", "torch", "ai_edge_litert", "flatbuffers", "matplotlib", "rich"}
