# SPDX-License-Identifier: Apache-2.0
"""Every block of Python in ``docs`` runs, prints what stands below it, and every link leads somewhere.

The README has its own test, as its blocks and commands are one session; so have ``training.md``, which trains networks,
``from_tfmot.md``, which needs TFMOT, and ``profiling_phone.md``, which needs a phone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

import tfprune as tp
from tests.docs.pages import DOCS, ROOT, anchors, fenced, links, run
from tfprune.sparsity.patterns.base import _REGISTRY

ELSEWHERE = {"training.md", "from_tfmot.md", "profiling_phone.md"}
PAGES = [page for page in sorted(DOCS.glob("*.md")) if fenced(page, "python") and page.name not in ELSEWHERE]
# Pages whose blocks go on where the one before ended; on all others each can be copied alone.
CONTINUED = {"channels.md", "runtime.md", "search.md"}
LINKED = [*sorted(DOCS.glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


@pytest.fixture
def _registry() -> Iterator[None]:
    """Patterns that a block registers go again."""
    before = dict(_REGISTRY._classes)
    yield
    _REGISTRY._classes.clear()
    _REGISTRY._classes.update(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that readers of the converter's and the runtime's pages have."""
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("pages")
    layers = [keras.Input((8, 8, 16)), keras.layers.Conv2D(64, 1, name="conv"), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(4)])
    kernel = model.get_layer("conv").kernel
    kernel.assign(kernel * tp.select(kernel.numpy(), tp.patterns.Groups(rows=4), 0.8))
    model.save(folder / "classifier.keras")
    tp.convert(model, min_speedup=0.01).save(folder / "pruned.tflite")
    return folder


@pytest.mark.usefixtures("_registry")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    images = np.random.default_rng(0).standard_normal((3, 8, 8, 16)).astype(np.float32)
    assert run(page, {"__name__": "docs", "images": images}, continued=page.name in CONTINUED)


def test_pages_are_found() -> None:
    names = {page.name for page in PAGES}
    assert {"pruning.md", "patterns.md", "channels.md", "one_shot.md", "wrappers.md", "converter.md"} <= names


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in links(page):
        assert path.exists(), f"{page.name}: {path}"
        assert not anchor or anchor in anchors(path), f"{page.name}: {path.name}#{anchor}"
