# SPDX-License-Identifier: Apache-2.0
"""Our dense convolutions on the OpenCL device against the GPU accelerator of LiteRT's Python wheel, layer by layer.

    python benchmarks/rival_litert_gpu.py --output benchmarks/results/rival_litert_gpu.json
    VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json python benchmarks/rival_litert_gpu.py --limit 3

LiteRT's accelerator is WebGPU on Vulkan: it wants ``libvulkan.so.1`` and a driver. Where there is no GPU, the second
line runs it on SwiftShader, a Vulkan on the processor that Debian has in ``chromium-common`` (with ``libvulkan1``);
Mesa's, ``mesa-vulkan-drivers`` 22.3, is refused by WebGPU.

Both compute the same file, and both answers are compared with LiteRT's on the CPU. The time is that of a call, with the
way of input and output to the device and back, because WebGPU tells no other; both move the same bytes. "f32" makes
the rival compute in float32; "f16" leaves it its default, halves where the device has them, against our storage in
halves. Where the rival does not run, the row is what it said.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from arguments import COUNT, SECONDS
from cpu_layers import geometric_mean
from gpu_layers import LARGE, RTOL
from gpu_measure import STORAGES, Device, GpuModel, find_device
from layer_cases import NETWORKS, chosen_layers, network_layers
from results_file import Rows, read_rows, write_rows
from tfprune.mapping.profiling.count_guest import random_input
from tfprune.mapping.profiling.layer_sizes import LayerSizes
from tfprune.mapping.profiling.one_op import dense_model
from tfprune.mapping.profiling.timing import Model, interleaved, relative_error
from vulkan_devices import vulkan_devices

#: The rival may add up in halves where we add in float32.
RIVAL_RTOL = {"f32": 1e-4, "f16": 2e-2}
ERRORS = ("error", "rival error")
Row = dict[str, Any]


class RivalError(Exception):
    """The accelerator does not run; the message holds what its log said."""


class RivalModel:
    """A one-op file on LiteRT's GPU accelerator, on the input that `measure.Model` takes; it has run once."""

    def __init__(self, content: bytes, layer: LayerSizes, storage: str) -> None:
        from ai_edge_litert.compiled_model import CompiledModel, GpuOptions, HardwareAccelerator, Options

        options = Options(
            hardware_accelerators=HardwareAccelerator.GPU, gpu_options=GpuOptions(enforce_f32=storage == "f32")
        )
        self._shape = layer.out_shape
        self._input = random_input({"shape": layer.in_shape, "dtype": np.float32})
        with _captured() as log:
            try:
                self._model = CompiledModel.from_buffer(content, options=options)
                self._inputs = self._model.create_input_buffers(0)
                self._outputs = self._model.create_output_buffers(0)
                self.invoke()
            except RuntimeError as error:
                raise RivalError(_reasons(log) or str(error)) from error
        if not self._model.is_fully_accelerated():
            raise RivalError("the accelerator leaves the layer to the CPU")

    def invoke(self) -> None:
        """Writes the input, runs, and reads the output."""
        self._inputs[0].write(self._input)
        self._model.run_by_index(0, self._inputs, self._outputs)
        self._answer = self._outputs[0].read(int(np.prod(self._shape)), np.float32)

    def answer(self) -> npt.NDArray[np.float32]:
        """The output."""
        return np.asarray(self._answer).reshape(self._shape)


@contextlib.contextmanager
def _captured() -> Iterator[BinaryIO]:
    """What libraries write to standard error, which is where they say why."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield log
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _reasons(log: BinaryIO) -> str:
    """The lines of errors, and the warnings of WebGPU itself, which name what a driver lacks."""
    log.seek(0)
    lines = [line.strip() for line in log.read().decode(errors="replace").splitlines()]
    return "; ".join(line for line in lines if line.startswith(("ERROR: ", "Warning: ")))


def measure(layer: LayerSizes, storage: str, device: Device, vulkan: str, seconds: float, seed: int) -> Row:
    """Checks and times one layer on both."""
    row: Row = {
        "device": device.name,
        "is gpu": device.is_gpu,
        "vulkan devices": vulkan,
        "layer": str(layer),
        "storage": storage,
    }
    weights = np.random.default_rng(seed).normal(size=(layer.out_channels, layer.columns)).astype(np.float32)
    content = dense_model(layer, weights)
    expected = Model(content).answer()
    ours = GpuModel(content, storage)
    try:
        rival = RivalModel(content, layer, storage)
    except RivalError as failure:
        return {**row, "failure": str(failure)}
    errors = [relative_error(expected, model.answer()) for model in (ours, rival)]
    for name, error, most in zip(("tfprune", "LiteRT"), errors, (RTOL[storage], RIVAL_RTOL[storage]), strict=True):
        if not error <= most:
            raise SystemExit(f"{layer}, {storage}: the answer of {name} is off by {error:.1e}")
    rounds = interleaved([ours, rival], seconds)
    own_us, rival_us = np.median(rounds.seconds, axis=0) * 1e6
    return {
        **row,
        "error": errors[0],
        "rival error": errors[1],
        "rounds": len(rounds.seconds),
        "others": rounds.others,
        "own_us": float(own_us),
        "rival_us": float(rival_us),
        "rival by own": float(np.median(rounds.seconds[:, 1] / rounds.seconds[:, 0])),
    }


def summary(rows: Rows) -> list[Row]:
    """Geometric means by devices and storage, and what the rival said where it does not run."""
    counts = {str(layer): sum(by_network.values()) for layer, by_network in network_layers(NETWORKS).items()}
    names = ("device", "is gpu", "vulkan devices", "storage")
    found: list[Row] = []
    for row in rows.values():
        setting = {name: row[name] for name in names}
        if any(setting.items() <= mean.items() for mean in found):
            continue
        same = [other for other in rows.values() if setting.items() <= other.items()]
        ran = [other for other in same if "failure" not in other]
        mean: Row = {**setting, "layers": len(ran)}
        mean["failures"] = list(dict.fromkeys(other["failure"] for other in same if "failure" in other))
        if ran:
            ratios = [other["rival by own"] for other in ran]
            mean |= {"rival by own": geometric_mean(ratios, [counts[other["layer"]] for other in ran])}
            mean |= {"least": min(ratios), **{name: max(other[name] for other in ran) for name in ERRORS}}
        found.append(mean)
    return found


def show(rows: Rows, device: Device, console: Console) -> None:
    """Prints a line a layer."""
    times = [device.times() + name for name in ("tfprune us", "LiteRT us", "LiteRT / tfprune")]
    table = Table("layer", "Vulkan", "storage", "error", "LiteRT's error", *times, title=device.headline())
    for row in rows.values():
        if "failure" in row:
            table.add_row(row["layer"], row["vulkan devices"], row["storage"], "", escape(row["failure"]))
            continue
        numbers = (f"{row['own_us']:.0f}", f"{row['rival_us']:.0f}", f"{row['rival by own']:.2f}x")
        head = (row["layer"], row["vulkan devices"], row["storage"])
        table.add_row(*head, f"{row['error']:.1e}", f"{row['rival error']:.1e}", *numbers)
    console.print(table)
    for mean in summary(rows):
        if mean["layers"]:
            ratio = f"{mean['rival by own']:.2f}x"
            console.print(f"{mean['storage']}: {device.times()}LiteRT / tfprune {ratio}, {mean['layers']} layers")


@click.command()
@click.option("--network", "networks", multiple=True, type=click.Choice(NETWORKS), help="Default: all.")
@click.option("--storage", "storages", multiple=True, type=click.Choice(STORAGES), default=STORAGES)
@click.option("--min-macs", type=COUNT, default=LARGE, show_default=True, help="Smaller layers are left out.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many layers.")
@click.option("--seconds", type=SECONDS, default=0.25, show_default=True, help="For the timing of one layer.")
@click.option("--seed", type=COUNT, default=0, show_default=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Results as JSON, resumed.")
def main(
    networks: tuple[str, ...],
    storages: tuple[str, ...],
    min_macs: int,
    limit: int | None,
    seconds: float,
    seed: int,
    output: Path | None,
) -> None:
    """Measures and prints a table."""
    console = Console(width=180)
    device, vulkan = find_device(console), ", ".join(vulkan_devices()) or "none"
    console.print(f"Vulkan: {vulkan}", highlight=False)
    layers = list(chosen_layers(network_layers(networks or NETWORKS), min_macs))[:limit]
    rows = read_rows(output) if output else {}
    for layer in track(layers, "measuring"):
        for storage in storages:
            key = f"{layer}, {storage}, seed {seed}, {device.name}, {vulkan}"
            if key not in rows:
                rows[key] = measure(layer, storage, device, vulkan, seconds, seed)
                if output:
                    write_rows(output, rows, summary(rows))
    show(rows, device, console)


if __name__ == "__main__":
    main()
