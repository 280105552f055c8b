# SPDX-License-Identifier: Apache-2.0
"""Whole networks on this machine's OpenCL device: what runs there, answers, start-up, and time by the driver's clock.

    python benchmarks/gpu_models.py --output benchmarks/results/gpu_models.json
    python benchmarks/gpu_models.py --network mobilenet_v2 --precision int8 --size 96

Networks come from ``pruned_networks.py``: every convolution but the first pruned with unaligned groups of 4 output
channels. Each runs as a dense file, zeros among its weights, and as ``tp.convert`` makes it when no layer may stay
dense for its speed. Float32 files run with tensors of float32 and of float16, int8 ones are float32 files that the AI
Edge Quantizer has quantised. Answers are compared with LiteRT's on the CPU for the dense file.

An int8 file differs from its float32 one, and untrained networks amplify that: "int8 costs" is that difference for
LiteRT. The device rounds where a network ends, LiteRT behind every operator; so the two differ as well, and what is
held is that the device is not further from the float32 file than LiteRT is, by a quarter at most.

Start-up is from the file to the first answer, with an empty folder of compiled programs and with the full one; caches
of the driver are off where there is a known way. Where the device is no GPU the first line says so.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

import tfprune as tp
from arguments import COUNT, SECONDS, SIZE, SPARSITY
from gpu_measure import Device, GpuModel, device_rounds, find_device, without_driver_caches
from layer_cases import ANY_SPEED
from pruned_networks import CACHE, IMAGE_SIZE, SMALL_SIZE, WITH_SMALL, PrunedNetwork
from real_models import quantized_file
from results_file import read_rows, write_rows
from tfprune.converter.verify import HALF_GPU_RTOL, RTOL
from tfprune.mapping.profiling.count_guest import random_input
from tfprune.mapping.profiling.timing import relative_error

#: How the device stores tensors, and the largest error by the largest magnitude; of int8 files it is the largest error
#: against the float32 file by that of LiteRT's own answer.
PRECISIONS = {"float32": ("f32", RTOL), "float16": ("f16", HALF_GPU_RTOL), "int8": ("f32", 1.25)}
#: Start-ups from the program cache; one fills it.
CACHED_STARTS = 3
Row = dict[str, Any]


def dense_file(network: PrunedNetwork, precision: str, cache: Path) -> Path:
    """The ordinary ``.tflite``; int8 is the float32 one quantised, kept in the cache as well."""
    path = network.dense_tflite(cache)
    if precision != "int8":
        return path
    quantized = path.with_suffix(".int8.tflite")
    if not quantized.exists():
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            copy = shutil.copy(path, folder)
            quantized_file(Path(copy), "int8").replace(quantized)
    return quantized


class Expected:
    """What LiteRT answers on the CPU for a dense file, as real numbers.

    Attributes:
        image: the input, normal numbers like those that int8 files were calibrated on.
        int8_costs: error of an int8 file against its float32 one; None for others.
    """

    def __init__(self, content: bytes, precision: str, original: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_content=content)
        (self._output,), (given,) = interpreter.get_output_details(), interpreter.get_input_details()
        self._most = PRECISIONS[precision][1]
        self.image = _stored(random_input({**given, "dtype": np.float32}), given)
        self._answer = _real(_predicted(content, self.image), self._output)
        self._original = _predicted(original, _real(self.image, given).astype(np.float32))
        self.int8_costs = relative_error(self._original, self._answer) if precision == "int8" else None

    def errors(self, answer: npt.NDArray[Any], what: str) -> Row:
        """Of another answer for the same file or its sparse twin; an int8 file's against the float32 one as well."""
        real = _real(answer, self._output)
        found = {"error": relative_error(self._answer, real)}
        if self.int8_costs is None:
            right = found["error"] <= self._most
        else:
            found["error against float32"] = relative_error(self._original, real)
            right = found["error against float32"] <= self._most * self.int8_costs
        if not right:
            raise SystemExit(f"{what}: the answer is off, {found}, LiteRT's own int8 answer: {self.int8_costs}")
        return found


def _predicted(content: bytes, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(tp.Interpreter(content).predict(image))


def _stored(values: npt.NDArray[Any], details: dict[str, Any]) -> npt.NDArray[Any]:
    """Numbers as a tensor stores them."""
    scale, zero = details["quantization"]
    if not scale:
        return values
    limits = np.iinfo(details["dtype"])
    steps = np.clip(np.round(values / scale) + zero, limits.min, limits.max)
    return np.asarray(steps, details["dtype"])


def _real(values: npt.NDArray[Any], details: dict[str, Any]) -> npt.NDArray[np.float64]:
    """The numbers that a tensor's values mean."""
    scale, zero = details["quantization"]
    real: npt.NDArray[np.float64] = (values.astype(np.float64) - zero) * (scale or 1.0)  # 0 for a float
    return real


def measure(network: PrunedNetwork, precision: str, device: Device, seconds: float, cache: Path) -> Row:
    """Converts, starts, checks and times one network in one precision."""
    converted = tp.convert(dense_file(network, precision, cache), min_speedup=ANY_SPEED)
    expected = Expected(converted.dense, precision, network.dense_tflite(cache).read_bytes())
    row: Row = {
        "device": device.name,
        "is gpu": device.is_gpu,
        "network": network.name,
        "size": network.size,
        "precision": precision,
        "sparsity": network.sparsity,
        "int8 costs": expected.int8_costs,
        "sparse layers": sum(layer.verdict == "sparse" for layer in converted.report.layers),
    }
    if not row["sparse layers"]:
        raise SystemExit(f"{network}, {precision}: no layer was converted, so nothing can be compared")
    models = {}
    for name, content in (("dense", converted.dense), ("sparse", converted.tflite)):
        models[name], start_up = started(content, PRECISIONS[precision][0], expected.image)
        errors = expected.errors(models[name].answer(), f"{network}, {precision}, {name}")
        row[name] = {**described(models[name]), **start_up, **errors}
    return row | times(list(models.values()), device, seconds)


def started(content: bytes, storage: str, image: npt.NDArray[Any]) -> tuple[GpuModel, Row]:
    """The model, and what its start took with and without compiled programs."""
    with tempfile.TemporaryDirectory() as folder:
        seconds = []
        for _ in range(1 + CACHED_STARTS):
            start = time.perf_counter()
            model = GpuModel(content, storage, Path(folder), image)
            seconds.append(time.perf_counter() - start)
        programs = sum(1 for path in Path(folder).iterdir() if path.is_file())
    compiled, cached = seconds[0], float(np.median(seconds[1:]))
    return model, {
        "programs": programs,
        "compiled seconds": compiled,
        "cached seconds": cached,
        "start-up ratio": compiled / cached,
    }


def described(model: GpuModel) -> Row:
    """Where the operators run and why, launches and bytes of constants."""
    placement = model.interpreter.placement()
    if not placement.on("gpu"):
        raise SystemExit(f"nothing runs on the device: {placement.caption()}")
    return {
        "gpu operators": len(placement.on("gpu")),
        "cpu operators": len(placement.on("cpu")),
        "reasons": dict(Counter(node.reason for node in placement.on("cpu"))),
        "launches": len(model.kernels()),
        "kernels": dict(Counter(name.removeprefix("gpu/") for name in model.kernels())),
        "constant bytes": sum(layer.weights_repacked for layer in model.interpreter.delegate_layers()),
    }


def times(models: list[GpuModel], device: Device, seconds: float) -> Row:
    """Time of one run of the dense and the sparse model, in turns."""
    rounds = device_rounds(models, seconds, device)
    dense_ms, sparse_ms = np.median(rounds.launches, axis=0) * 1e3
    ratios = rounds.launches[:, 0] / rounds.launches[:, 1]
    return {
        "rounds": len(ratios),
        "dense_ms": float(dense_ms),
        "sparse_ms": float(sparse_ms),
        "speedup": float(np.median(ratios)),
        "speedup_quartiles": [float(value) for value in np.quantile(ratios, (0.25, 0.75))],
        "wall speedup": float(np.median(rounds.wall[:, 0] / rounds.wall[:, 1])),
    }


def show(rows: list[Row], device: Device, console: Console) -> None:
    """Prints a line a file, and the reasons of what stays on the CPU."""
    headers = ("network", "px", "precision", "file", "GPU / CPU ops", "launches", "constants MB", "error")
    starts = ("programs", "compiled s", "cached s", "ratio")
    table = Table(*headers, *starts, device.times() + "ms", device.times() + "speed-up", title=device.headline())
    for row in rows:
        for name in ("dense", "sparse"):
            found = row[name]
            table.add_row(
                row["network"],
                str(row["size"]),
                row["precision"],
                name if name == "dense" else f"{row['sparsity']:.0%} zeros",
                f"{found['gpu operators']} / {found['cpu operators']}",
                str(found["launches"]),
                f"{found['constant bytes'] / 1e6:.2f}",
                f"{found['error']:.1e}",
                str(found["programs"]),
                f"{found['compiled seconds']:.2f}",
                f"{found['cached seconds']:.3f}",
                f"{found['start-up ratio']:.0f}x",
                f"{row[f'{name}_ms']:.2f}",
                "" if name == "dense" else f"{row['speedup']:.2f}x",
            )
    console.print(table)
    reasons = [reason for row in rows for name in ("dense", "sparse") for reason in row[name]["reasons"]]
    for reason in dict.fromkeys(reasons):
        console.print(f"on the CPU: {reason}", highlight=False)


@click.command()
@click.option("--network", "networks", multiple=True, type=click.Choice(list(WITH_SMALL)), help="Default: all.")
@click.option("--precision", "precisions", multiple=True, type=click.Choice(list(PRECISIONS)), help="Default: all.")
@click.option("--sparsity", type=SPARSITY, default=0.75, show_default=True)
@click.option("--seconds", type=SECONDS, default=3.0, show_default=True, help="For the timing of one network.")
@click.option("--size", type=SIZE, default=IMAGE_SIZE, show_default=True, help="Rows and columns of an image.")
@click.option("--seed", type=COUNT, default=0, show_default=True)
@click.option("--cache", default=CACHE, type=Path, show_default=True, help="Folder of the dense files.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Results as JSON. Networks that the same library has measured there on the same device already are kept.",
)
def main(
    networks: tuple[str, ...],
    precisions: tuple[str, ...],
    sparsity: float,
    seconds: float,
    size: int,
    seed: int,
    cache: Path,
    output: Path | None,
) -> None:
    """Measures the networks and prints one table."""
    without_driver_caches()
    console = Console(width=200)
    device = find_device(console)
    rows = read_rows(output) if output else {}
    for name in networks or WITH_SMALL:
        network = PrunedNetwork(name, sparsity, seed, SMALL_SIZE if name == "resnet20" else size)
        for precision in precisions or PRECISIONS:
            key = f"{network}, {precision}, {device.name}"
            if key not in rows:
                rows[key] = measure(network, precision, device, seconds, cache)
                if output:
                    write_rows(output, rows)
    show(list(rows.values()), device, console)


if __name__ == "__main__":
    main()
