# SPDX-License-Identifier: Apache-2.0
"""The HTML page of a report: complete, escaped, and alone."""

from __future__ import annotations

import builtins
import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

import tfprune as tp
from tests.models.builder import ModelBuilder, pruned
from tests.plotting.html_page import Page, loads_something
from tests.runtime.quantized_models import quantized_layer
from tfprune.converter.graph import Graph
from tfprune.errors import ModelError, OutputError
from tfprune.formats import Op, OpSpec
from tfprune.plotting.panels import _averaged
from tfprune.plotting.pictures import mask_png
from tfprune.plotting.weights import LayerWeights, tflite_layers


def _model() -> bytes:
    builder = ModelBuilder()
    x = builder.tensor("x", (1, 8, 8, 16))
    y = builder.conv_2d(x, pruned((64, 3, 3, 16), 0.8), np.zeros(64, np.float32), name="net/<b>first</b>/conv")
    y = builder.conv_2d(y, pruned((32, 1, 1, 64), 0.05), np.zeros(32, np.float32), name="second")
    y = builder.conv_2d(y, np.ones((8, 1, 1, 32), np.float32), np.zeros(8, np.float32), name="third")
    builder.io([x], [y])
    return builder.build()


def test_page_holds_every_layer_and_its_mask() -> None:
    report = tp.inspect(_model())
    text = report.to_html("my model")
    page = Page(text)
    assert page.open == []
    pictures = page.pictures()
    assert len(pictures) == 2  # The third layer has no zeros.
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
    assert "<title>my model" in text
    assert report.outcome("layers with weights") in text
    for layer in report.layers:
        assert f'id="layer-{layer.index}"' in text
        assert f'href="#layer-{layer.index}"' in text
    assert "64x3x3x16" in text
    assert "no weight is zero" in text
    assert text.count("<tr>") == 1 + len(report.layers)


def test_page_loads_nothing_and_escapes_names() -> None:
    text = tp.inspect(_model()).to_html('<img src="http://example.com/x.png">')
    page = Page(text)
    assert page.outside() == []
    assert not loads_something(text)
    assert "<b>first" not in text
    assert "&lt;b&gt;first&lt;/b&gt;" in text
    assert "prefers-color-scheme: dark" in text


def test_cells_carry_what_they_are_sorted_by() -> None:
    page = Page(tp.inspect(_model()).to_html())
    keys = [attrs["data-key"] for tag, attrs in page.tags if tag == "td"]
    assert len(keys) == 3 * 17
    assert keys[4] == str(64 * 9 * 16)


def test_reports_of_conversions_and_converted_files(tmp_path: Path) -> None:
    converted = tp.convert(_model(), min_speedup=0.01)
    converted.report.save_html(tmp_path / "dense.html")
    text = (tmp_path / "dense.html").read_text()
    assert "<title>dense" in text
    assert text.count("data:image/png") == 2
    after = tp.inspect(converted.tflite).to_html()
    assert re.findall(r'src="(.*?)"', after) == re.findall(r'src="(.*?)"', text)
    assert "sparse already" in after


def test_masks_of_quantised_layers_are_drawn() -> None:
    layer = quantized_layer(OpSpec(Op.CONV_2D, 16, 32), (1, 5, 5, 32))
    pages = [tp.inspect(content).to_html() for content in (layer.dense(), layer.sparse())]
    pictures = [re.findall(r'src="(.*?)"', page) for page in pages]
    assert len(pictures[0]) == 1
    assert pictures[0] == pictures[1]


def test_masks_of_other_operators_are_drawn() -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", (1, 4, 6, 6, 8))
    volume = builder.constant("volume", np.ascontiguousarray(pruned((16, 2, 3, 3, 8), 0.7).transpose(1, 2, 3, 4, 0)))
    y = builder.tensor("y", (1, 4, 6, 6, 16))
    options = tfl.Conv3DOptionsT()
    builder.operator(
        builder.opcode(tfl.BuiltinOperator.CONV_3D), [x, volume], [y], options, tfl.BuiltinOptions.Conv3DOptions
    )
    z = builder.tensor("z", (1, 4, 6, 6, 32))
    constant = builder.constant("product", pruned((16, 32), 0.5, rows=1))
    builder.operator(builder.opcode(tfl.BuiltinOperator.BATCH_MATMUL), [y, constant], [z])
    builder.io([x], [z])
    graph = Graph(builder.build())
    found = [layer.matrix.shape for _, _, layer in tflite_layers(graph)]
    assert found == [(16, 18, 8), (32, 1, 16)]
    assert next(tflite_layers(graph))[2].window == (2, 3, 3)


def test_a_model_without_layers_has_a_page() -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 4])
    builder.io([x], [x])
    assert "No operator with weights" in tp.inspect(builder.build()).to_html()


def test_files_are_not_replaced_unasked(tmp_path: Path) -> None:
    report = tp.inspect(_model())
    path = tmp_path / "page.html"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        report.save_html(path)
    assert path.read_text() == "mine"
    report.save_html(path, title="other", overwrite=True)
    assert "<title>other" in path.read_text()
    with pytest.raises(OutputError):
        report.save_html(tmp_path / "missing" / "page.html")


def test_a_report_without_its_model_is_refused() -> None:
    report = dataclasses.replace(tp.inspect(_model()), model=None)
    with pytest.raises(ModelError, match="must hold the model"):
        report.to_html()


@pytest.mark.parametrize("missing", ["jinja2", "matplotlib"])
def test_what_draws_is_missing(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    report = tp.inspect(_model())
    original = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name.split(".")[0] == missing:
            raise ImportError(f"No module named '{missing}'")
        return original(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(OutputError, match=r"pip install tfprune\[report\]"):
        report.to_html()


def test_pictures_are_small_and_the_same_every_time() -> None:
    rng = np.random.default_rng(0)
    for shape, window in (((700, 9, 90), (3, 3)), ((1, 1, 1), ()), ((3, 1, 5000), ()), ((40, 121, 1), (11, 11))):
        matrix = rng.standard_normal(shape) * (rng.random(shape) < 0.3)
        layer = LayerWeights("layer", matrix, window)
        picture = mask_png(layer)
        assert picture == mask_png(layer)
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 250_000


def test_large_masks_are_averaged() -> None:
    mask = np.zeros((512, 4), bool)
    mask[::2] = True
    assert np.array_equal(_averaged(mask, 256, 0), np.full((256, 4), 0.5))
    assert np.array_equal(_averaged(mask, 512, 0), mask)
