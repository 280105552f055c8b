# SPDX-License-Identifier: Apache-2.0
"""The figure: what is in its panels, what is written, what is refused."""

from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfprune as tp
from tfprune.errors import ModelError, OutputError, PatternError
from tfprune.plotting.comparison import compare, described_by, everyday_patterns
from tfprune.plotting.weights import MATRIX
from tfprune.sparsity.layouts import MatrixShape, to_matrix
from tfprune.sparsity.measure import measure

P = tp.patterns
RANDOM = np.random.default_rng(8)
CONV = RANDOM.standard_normal((3, 3, 16, 48))
CONV_MASK = tp.select(CONV, P.Groups(4), 0.8)
DENSE = RANDOM.standard_normal((64, 32))
MODEL = {"conv": CONV * CONV_MASK, "fc": DENSE * tp.select(DENSE, P.BlockPunched(8, 4), 0.7), "full": DENSE}


def panels(figure: Any) -> dict[str, list[Any]]:
    """Axes by the first word of their title; colour bars have none."""
    found: dict[str, list[Any]] = {}
    for axes in figure.axes:
        title = axes.get_title(loc="left")
        if title:
            found.setdefault(title.split()[0], []).append(axes)
    return found


def bars(axes: Any) -> dict[str, float]:
    names = [label.get_text() for label in axes.get_yticklabels()]
    return dict(zip(names, [patch.get_width() for patch in axes.patches], strict=True))


def test_a_row_a_layer() -> None:
    figure = tp.plot_masks(MODEL)
    found = panels(figure)
    assert {name: len(axes) for name, axes in found.items()} == {"Mask:": 2, "Its": 2, "Magnitude": 2, "Groups": 2}
    heads = [part.get_suptitle() for part in figure.subfigs[:2]]
    assert heads[0].startswith("conv   3x3x16x48   80.0% of 6,912 weights are zero")
    assert heads[1].startswith("fc   64x32   70.")
    # Pyplot, if somebody loaded it, does not hold the figure.
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_notebooks_show_the_figure() -> None:
    figure = tp.plot_masks(MODEL, "conv")
    picture = figure._repr_png_()
    assert picture.startswith(b"\x89PNG")
    width = int.from_bytes(picture[16:20], "big")
    assert width == round(figure.get_figwidth() * figure.dpi)


def test_the_mask_is_drawn_as_it_is() -> None:
    figure = tp.plot_masks(MODEL, "conv")
    found = panels(figure)
    flat = to_matrix(CONV_MASK).reshape(48, -1)
    (image,) = found["Mask:"][0].images
    assert np.array_equal(image.get_array(), flat)
    assert image.get_extent() == [0, 144, 48, 0]
    lines = [line.get_xdata()[0] for line in found["Mask:"][0].lines if len(line.get_xdata()) == 2]
    assert lines == [16 * place for place in range(1, 9)]
    assert [label.get_text() for label in found["Mask:"][0].get_xticklabels()][:4] == ["0,0", "0,1", "0,2", "1,0"]
    (corner,) = found["Its"][0].images
    assert np.array_equal(corner.get_array(), flat[:32, :48])


def test_large_masks_are_averaged() -> None:
    weights = np.zeros((700, 300))
    weights[:350, :150] = 1
    (axes,) = panels(tp.plot_masks({"big": weights}))["Mask:"]
    shown = np.asarray(axes.images[0].get_array())
    assert shown.shape == (256, 640)
    assert shown.mean() == pytest.approx(0.25, abs=0.01)
    assert shown[:127, :319].min() == 1.0
    assert shown[129:, 321:].max() == 0.0


def test_kept_magnitude_is_measured_with_select() -> None:
    (axes,) = panels(tp.plot_masks({"fc": DENSE}, sparsity=0.6))["Magnitude"]
    assert "60.0%" in axes.get_title(loc="left")
    shown = bars(axes)
    for pattern in (P.Unstructured(), P.Groups(4), P.Groups(4, aligned=True), P.BlockPunched(8, 4), P.Channels()):
        mask = tp.select(DENSE, pattern, 0.6)
        assert shown[str(pattern)] == pytest.approx(measure(DENSE, mask, pattern).against_unstructured)
    assert [*shown.values()] == sorted(shown.values(), reverse=True)
    assert shown["Unstructured"] == pytest.approx(1.0, abs=1e-9)
    assert "3 of 8 (at 62.5%)" in shown
    assert not any(name.startswith("Kernel") for name in shown), "there are no kernels in a dense layer"


def test_the_pattern_of_the_zeros_is_named() -> None:
    figure = tp.plot_masks(MODEL)
    for axes, name in zip(
        panels(figure)["Magnitude"], ("Groups 4x1, unaligned along output", "BlockPunched 8x4"), strict=True
    ):
        bold = [label.get_text() for label in axes.get_yticklabels() if label.get_fontweight() == "bold"]
        assert bold == [name]
        assert bars(axes)[name] == pytest.approx(1, abs=1e-6)


def test_bands_are_those_of_the_pattern() -> None:
    figure = tp.plot_masks(MODEL, "conv")
    (axes,) = panels(figure)["Groups"]
    balance = measure(CONV, CONV_MASK, P.Groups(4)).bands
    assert axes.get_title(loc="left") == "Groups in bands of 4 rows"
    assert sum(patch.get_height() for patch in axes.patches) == len(balance.counts) == 12
    assert f"mean {balance.mean:.1f}, most {balance.most}" in axes.get_xlabel()
    assert "Groups 4x1, unaligned along output" in axes.get_xlabel()


def test_layers_without_zeros_and_without_anything_else() -> None:
    figure = tp.plot_masks({"full": DENSE, "zero": np.zeros((8, 8))}, ["*"])
    found = panels(figure)
    assert "75.0%" in found["Magnitude"][0].get_title(loc="left")
    assert len(found["Magnitude"]) == 1
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "No zeros yet." in texts
    assert "All weights are zero: there is nothing to compare." in texts


def test_patterns_of_ones_own() -> None:
    (axes,) = panels(tp.plot_masks(MODEL, "conv", patterns=[P.Groups(2), P.NofM(1, 4), P.KernelPatterns(8)]))[
        "Magnitude"
    ]
    assert {*bars(axes)} == {
        "Groups 2x1, unaligned along output",
        "1 of 4 (at 75.0%)",
        "KernelPatterns keep 8, library of 8",
    }
    figure = tp.plot_masks({"fc": DENSE}, patterns=[P.KernelElements()])
    assert "None of the patterns can have 75.0% zeros here." in [
        text.get_text() for axes in figure.axes for text in axes.texts
    ]


def test_a_single_pattern() -> None:
    (axes,) = panels(tp.plot_masks({"fc": DENSE}, patterns=P.Groups(2)))["Magnitude"]
    assert [*bars(axes)] == ["Groups 2x1, unaligned along output"]


def test_a_comparison_of_pruned_weights_says_what_it_knows() -> None:
    """The pattern that was used keeps all that is left, though others would have kept more of what there was."""
    (axes,) = panels(tp.plot_masks(MODEL, "fc"))["Magnitude"]
    assert "what the remaining weights hold" in axes.get_xlabel()
    assert bars(axes)["BlockPunched 8x4"] > bars(axes)["2 of 8 (at 75.0%)"]
    (axes,) = panels(tp.plot_masks({"fc": DENSE}, sparsity=0.7))["Magnitude"]
    assert axes.get_xlabel() == "of what single weights keep"
    assert bars(axes)["BlockPunched 8x4"] < bars(axes)["2 of 8 (at 75.0%)"]


@pytest.mark.parametrize(
    "weights",
    [CONV, CONV * CONV_MASK, DENSE.astype(np.float32), DENSE / np.abs(DENSE).max() * 1.7e308],
    ids=["dense", "pruned", "float32", "huge"],
)
def test_candidates_are_what_measure_says(weights: Any) -> None:
    matrix = to_matrix(weights)
    for candidate in compare(matrix, 0.8):
        own = candidate.pattern.own_sparsity(MatrixShape(*matrix.shape))
        mask = tp.select(matrix, candidate.pattern, 0.8 if own is None else None, layout=MATRIX)
        exact = measure(matrix, mask, candidate.pattern, layout=MATRIX)
        for name, value in exact.to_dict().items():
            found = candidate.found.to_dict()[name]
            assert found == pytest.approx(value, rel=1e-6) if isinstance(value, float) else found == value, name


def test_magnitudes_are_sorted_once_for_all_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    sort, partition = np.sort, np.partition
    monkeypatch.setattr(np, "sort", lambda a, *args, **options: sizes.append(a.size) or sort(a, *args, **options))
    # To partition many equal weights anew for each pattern took four fifths of the time.
    monkeypatch.setattr(
        np, "partition", lambda a, *args, **options: sizes.append(a.size) or partition(a, *args, **options)
    )
    # Patterns whose choice neither sorts nor partitions all weights.
    listed = [P.Groups(4), P.Groups(8), P.Groups(4, aligned=True), P.BlockPunched(8, 4), P.Filters()]
    assert len(compare(to_matrix(DENSE), 0.5, listed)) == len(listed)
    assert sizes.count(DENSE.size) == 1


@pytest.mark.parametrize("name", ["a.png", "b.svg", "c.PDF"])
def test_files(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    tp.plot_masks(MODEL, "fc", output=path, patterns=[P.Groups(4)])
    content = path.read_bytes()
    assert content.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[path.suffix[1:].lower()])
    with pytest.raises(OutputError, match="exists already"):
        tp.plot_masks(MODEL, "fc", output=path)
    tp.plot_masks(MODEL, "fc", output=path, overwrite=True, patterns=[P.Groups(4)])
    assert path.read_bytes() == content, "the same model gives the same file"
    assert [each.name for each in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"output": "masks.jpg"}, OutputError, r"must end in one of .pdf, .png, .svg\. Received: output='masks.jpg'"),
        ({"output": "masks"}, OutputError, "Received: output='masks', with no ending"),
        ({"output": 3}, OutputError, r"`output` must be a path or None\. Received: output=3"),
        ({"output": "/nowhere/masks.png"}, OutputError, "cannot be written"),
        ({"layers": ["conv", "lstm"]}, ModelError, r"must exist\. Received: 'lstm'\. The model has conv, fc, full"),
        ({"layers": 3}, ModelError, r"`layers` must be a layer name, .* Received: layers=3\."),
        ({"layers": [3]}, ModelError, r"Received: layers=\[3\]"),
        ({"layers": []}, ModelError, r"a list of at least one.* Received: layers=\[\]"),
        ({"patterns": 3}, PatternError, r"`patterns` must be a pattern such as .* Received: patterns=3\."),
        ({"patterns": [3]}, PatternError, r"Received: patterns=\[3\]"),
        ({"patterns": []}, PatternError, r"a list of at least one.* Received: patterns=\[\]"),
        ({"sparsity": 80}, PatternError, "write 0.8 for 80 %"),
        ({"sparsity": 0.0}, PatternError, r"must be above 0, .*Received: sparsity=0\.0\."),
    ],
    ids=str,
)
def test_refusals(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tp.plot_masks(MODEL, **options)


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name.split(".")[0] == "matplotlib":
            raise ImportError("No module named 'matplotlib'")
        return original(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(OutputError, match=r"needs matplotlib. Received: No module.*pip install tfprune\[report\]"):
        tp.plot_masks(MODEL)


def test_drawing_loads_neither_pyplot_nor_keras() -> None:
    code = (
        "import sys, numpy as np, tfprune as tp; tp.plot_masks({'a': np.eye(8)});"
        "assert not {'matplotlib.pyplot', 'keras', 'tensorflow'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "pattern", [P.Groups(4, aligned=True), P.Groups(1, 4, along="input"), P.Filters(), P.Channels()]
)
def test_zeros_are_recognised(pattern: Any) -> None:
    weights = RANDOM.standard_normal((32, 64))
    matrix = to_matrix(weights * tp.select(weights, pattern, 0.75))
    found = described_by(compare(matrix, 0.75))
    assert found is not None
    assert found.pattern == pattern


def test_everyday_patterns_reach_every_rate() -> None:
    for target in (0.01, 0.5, 0.99):
        listed = everyday_patterns(MatrixShape(8, 9, 8), target)
        assert len({*listed}) == len(listed)
        assert {type(each).__name__ for each in listed} == {
            "Unstructured",
            "Groups",
            "BlockPunched",
            "BlockRowsColumns",
            "KernelPatterns",
            "KernelElements",
            "NofM",
            "Filters",
            "Channels",
        }
