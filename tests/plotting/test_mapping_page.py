# SPDX-License-Identifier: Apache-2.0
"""The page and the pictures of a mapping."""

from __future__ import annotations

import builtins
import dataclasses
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.plotting.html_page import Page, loads_something
from tfprune.errors import MappingError, OutputError
from tfprune.mapping.budget import Budget
from tfprune.mapping.choice import DENSE, Choice
from tfprune.mapping.latency import LayerPrediction, Prediction
from tfprune.mapping.mapping import MappedLayer, Mapping, Tried
from tfprune.mapping.measured import MeasuredLatency
from tfprune.plotting.mapping_pictures import MOST_LAYERS, front_png, latency_limit, layers_png, shown_layers
from tfprune.sparsity.patterns import BlockPunched, Groups, KernelPatterns

PATTERNS = (None, Groups(rows=4), BlockPunched(8, 4), KernelPatterns(keep=4))
TRIED = (
    Tried(2000.0, 0.8, front=True),
    Tried(3000.0, 0.9, front=True, chosen=True),
    Tried(4000.0, 0.7),
)


def mapping(count: int = 8, **changes: Any) -> Mapping:
    """A mapping of made-up times: layer n takes 100 (n + 1) dense."""
    layers, found, dense = [], {}, {}
    for number in range(count):
        pattern = PATTERNS[number % len(PATTERNS)]
        choice = DENSE if pattern is None else Choice(pattern, 0.75)
        name, time = f"block_{number}_conv", 100.0 * (number + 1)
        layers.append(MappedLayer(name, "conv_3x3", (3, 3, 16, 16), choice, f"reason {number}"))
        dense[name] = LayerPrediction(DENSE, False, time, time, 9216, 1e6)
        found[name] = dense[name]
        if pattern is not None:
            found[name] = LayerPrediction(choice, True, time / 3, time, 3000, 2.5e5, 0.75, "row_band 4x1")
    made = Mapping(
        model="net",
        layers=tuple(layers),
        prediction=Prediction(found, 50.0, "microseconds"),
        dense=Prediction(dense, 50.0, "microseconds"),
        budget=Budget("latency_ms", 2.5),
        method="rules",
        profile="phone",
    )
    return dataclasses.replace(made, **changes)


def size(png: bytes) -> tuple[int, int]:
    """Width and height of a PNG file."""
    assert png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_the_page_holds_every_layer_with_choice_and_reason() -> None:
    text = mapping(notes=("a note",)).to_html()
    page = Page(text)
    assert page.open == []
    assert len(page.pictures()) == 1
    assert text.count("<tr>") == 1 + 8
    for layer in mapping().layers:
        assert f">{layer.name}<" in text
        assert f">{layer.reason}<" in text
    for expected in ("A note.", "budget latency_ms 2.5", "phone", "BlockPunched 8x4", "2.21x as fast"):
        assert expected in text
    assert "measured" not in text


def test_the_page_loads_nothing_and_escapes_names() -> None:
    layers = list(mapping().layers)
    layers[0] = dataclasses.replace(layers[0], reason="<b>because</b>")
    text = mapping(layers=tuple(layers)).to_html(title='<img src="http://example.com/x.png">')
    assert Page(text).outside() == []
    assert not loads_something(text)
    assert "<b>because" not in text


def test_measured_times_are_shown_where_given() -> None:
    found = mapping()
    text = found.to_html(layer_times={"block_1_conv": 77.5}, measured=MeasuredLatency(3.75, 1.25, 3.0))
    assert ">77.5<" in text
    assert "3.75 \N{RIGHTWARDS ARROW} 1.25 ms" in text
    assert layers_png(found, {"block_1_conv": 77.5}) != layers_png(found, {})
    with pytest.raises(MappingError, match="layer_times: must be times of layers of the mapping, got other"):
        found.to_html(layer_times={"other": 1.0})


def test_the_front_is_drawn_where_a_search_was_made() -> None:
    found = mapping(tried=TRIED)
    assert len(Page(found.to_html()).pictures()) == 2
    others = (dataclasses.replace(TRIED[1], chosen=False), *TRIED[::2])
    assert front_png(found) != front_png(dataclasses.replace(found, tried=others))
    assert front_png(found) != front_png(dataclasses.replace(found, budget=Budget("mac_ratio", 0.5)))
    # The axis has the name of the metric.
    assert front_png(found) != front_png(dataclasses.replace(found, metric="loss"))


def test_the_budget_stands_on_the_axis_of_times() -> None:
    found = mapping()
    assert latency_limit(found) == pytest.approx(2500)
    ratio = dataclasses.replace(found, budget=Budget("latency_ratio", 0.5))
    assert latency_limit(ratio) == pytest.approx(found.dense.time / 2)
    assert latency_limit(dataclasses.replace(found, budget=Budget("size_bytes", 10))) is None


def test_pictures_grow_with_the_layers_up_to_a_limit() -> None:
    heights = [size(layers_png(mapping(count), {}))[1] for count in (5, 50, MOST_LAYERS, 200)]
    assert heights[0] < heights[1] < heights[2] == heights[3]
    # At least 20 pixels a layer: names of 7.5 points are 11 pixels high.
    assert heights[1] >= 50 * 20


def test_of_many_layers_those_that_take_longest_are_shown() -> None:
    shown = shown_layers(mapping(200))
    assert [layer.name for layer in shown] == [f"block_{number}_conv" for number in range(200 - MOST_LAYERS, 200)]


def test_equal_mappings_give_equal_pages() -> None:
    assert mapping(tried=TRIED).to_html() == mapping(tried=TRIED).to_html()


def test_a_page_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    mapping().save_report(path, title="mine")
    assert "<title>mine" in path.read_text()
    with pytest.raises(OutputError, match="exists already"):
        mapping().save_report(path)
    mapping().save_report(path, overwrite=True)


@pytest.mark.parametrize("missing", ["jinja2", "matplotlib"])
def test_what_draws_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    real = builtins.__import__

    def fail(name: str, *arguments: Any, **options: Any) -> Any:
        if name.split(".")[0] == missing:
            raise ImportError(f"No module named {missing!r}")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(OutputError, match=r"pip install tfprune\[report\]"):
        mapping().to_html()
