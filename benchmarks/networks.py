# SPDX-License-Identifier: Apache-2.0
"""MobileNetV1, MobileNetV2 and ResNet-50 at 224 px, pruned to 80 %: equality, size, speed, conversion time, memory.

    python benchmarks/networks.py --output benchmarks/results/networks.json

Every equality check has a twin in which one weight is changed and which must fail. Speed in detail, and more networks:
``cpu_models.py``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import tfprune as tp
from pruned_networks import PrunedNetwork
from tfprune.formats import HEADER_BYTES, unpack_header
from tfprune.mapping.profiling.instructions import AARCH64, aarch64_instructions
from tfprune.runtime.machine import machine_facts

NETWORKS = ("mobilenet_v1", "mobilenet_v2", "resnet50")
RTOL = 1e-4
SPARSITY = 0.8


def convert_alone(dense: str, sparse: str, device: str) -> None:
    """Converts in a process of its own and prints seconds and extra peak memory as JSON (``--convert-only``)."""
    content = Path(dense).read_bytes()
    before = peak_megabytes()
    start = time.perf_counter()
    converted = tp.convert(content, device=device)
    seconds = time.perf_counter() - start
    extra = peak_megabytes() - before
    converted.save(sparse, overwrite=True)
    print(json.dumps({"seconds": seconds, "extra_megabytes": extra, "report": converted.report.to_dict()}))


def peak_megabytes() -> float:
    """Peak resident memory of this process; ``ru_maxrss`` would also count the process that forked it."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def with_one_weight_changed(sparse: bytes) -> bytes:
    """The file with one weight changed, the largest of its first packed tensor: what an equality check must notice."""
    at = sparse.find(b"TFPK")
    header = unpack_header(sparse[at : at + HEADER_BYTES])
    first = at + header.counts.sections.values
    values = np.frombuffer(sparse, np.float32, header.value_count, first).copy()
    values[np.argmax(np.abs(values))] *= -4
    return sparse[:first] + values.tobytes() + sparse[first + values.nbytes :]


def intermediate_error(dense: bytes, sparse: bytes, batch: int, seed: int) -> tuple[int, float]:
    """Compares every tensor that both files name, on one random input; returns their number and largest error."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    image = np.random.default_rng(seed).uniform(-1, 1, (batch, 224, 224, 3)).astype("float32")
    found: list[dict[str, np.ndarray]] = []
    for content, delegates in ((dense, []), (sparse, [tp.delegate()])):
        interpreter = Interpreter(
            model_content=content,
            experimental_delegates=delegates,
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], image.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
        interpreter.invoke()
        produced = {index for op in interpreter._get_ops_details() for index in op["outputs"]}
        details = [item for item in interpreter.get_tensor_details() if item["index"] in produced]
        found.append({item["name"]: interpreter.get_tensor(item["index"]) for item in details})
    common = [name for name in found[0] if name in found[1] and found[0][name].dtype == np.float32]
    errors = [np.abs(found[0][name] - found[1][name]).max() / np.abs(found[0][name]).max() for name in common]
    return len(common), float(max(errors))


def study(name: str, device: str, runs: int, seed: int, folder: Path, library: Path | None) -> dict[str, Any]:
    """Everything the table shows of one network."""
    dense, sparse = folder / f"{name}.tflite", folder / f"{name}.sparse.tflite"
    keras_seconds = PrunedNetwork(name, SPARSITY, seed).write_dense(dense)
    command = [sys.executable, __file__, "--convert-only", str(dense), str(sparse), "--device", device]
    alone = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    dense_bytes, sparse_bytes = dense.read_bytes(), sparse.read_bytes()
    verified = {}
    for batch in (1, 3):
        images = np.random.default_rng(seed + batch).uniform(-1, 1, (batch, 224, 224, 3)).astype("float32")
        good = tp.verify(dense, sparse, images, rtol=RTOL)
        bad = tp.verify(dense, with_one_weight_changed(sparse_bytes), images, rtol=RTOL)
        count, error = intermediate_error(dense_bytes, sparse_bytes, batch, seed)
        verified[f"batch {batch}"] = {
            "equal": bool(good),
            "error": good.outputs[0].max_rel_error,
            "changed twin fails": not bad,
            "intermediate tensors": count,
            "intermediate error": error,
        }
    instructions = {}
    if library is not None:
        for_phone = tp.convert(dense_bytes, device="arm64").tflite
        counts = aarch64_instructions([(dense_bytes, for_phone)], AARCH64 / "root", library, runs=1)[0]
        instructions = {"aarch64 instructions": counts, "aarch64 ratio": counts[0] / counts[1]}
    timed = tp.benchmark(dense, sparse, num_threads=1, runs=runs)
    two = tp.benchmark(dense, sparse, num_threads=2, runs=runs)
    return {
        "network": name,
        "dense bytes": len(dense_bytes),
        "sparse bytes": len(sparse_bytes),
        "size": len(sparse_bytes) / len(dense_bytes),
        "speed-up, 1 thread": timed.timings[1].speedup,
        "speed-up quartiles, 1 thread": timed.timings[1].speedup_quartiles,
        "speed-up, 2 threads": two.timings[1].speedup,
        "kernel": timed.timings[1].kernel,
        "tflite converter seconds": keras_seconds,
        "tp.convert seconds": alone["seconds"],
        "tp.convert extra megabytes": alone["extra_megabytes"],
        **instructions,
        "verified": verified,
        "report": alone["report"],
    }


def show(results: list[dict[str, Any]]) -> None:
    """Prints the table."""
    facts = ", ".join(machine_facts().values())
    table = Table(title=f"80 % sparse, Groups(rows=4), against stock LiteRT with XNNPACK on {facts}")
    headers = [
        "network",
        "size",
        "1 thread",
        "2 threads",
        "convert s",
        "extra MB",
        "error b1 / b3",
        "tensors",
        "twins fail",
        "aarch64",
    ]
    for header in headers:
        table.add_column(header)
    for row in results:
        one, three = row["verified"]["batch 1"], row["verified"]["batch 3"]
        table.add_row(
            row["network"],
            f"{row['size']:.1%}",
            f"{row['speed-up, 1 thread']:.2f}x",
            f"{row['speed-up, 2 threads']:.2f}x",
            f"{row['tp.convert seconds']:.1f}",
            f"{row['tp.convert extra megabytes']:.0f}",
            f"{one['error']:.1e} / {three['error']:.1e}",
            f"{one['intermediate tensors']}, {max(one['intermediate error'], three['intermediate error']):.1e}",
            str(one["changed twin fails"] and three["changed twin fails"]),
            f"{row['aarch64 ratio']:.2f}x" if "aarch64 ratio" in row else "-",
        )
    Console(width=140).print(table)


@click.command()
@click.option("--network", "names", multiple=True, type=click.Choice(NETWORKS), help="Default: all three.")
@click.option("--device", default="host", show_default=True, help="Cost table of the verdicts.")
@click.option("--runs", default=30, show_default=True, help="Interleaved runs of a timing.")
@click.option(
    "--aarch64", type=click.Path(exists=True, path_type=Path), help="libtfprune for aarch64: count instructions."
)
@click.option("--seed", default=0, show_default=True)
@click.option("--output", type=click.Path(dir_okay=False), help="Results as JSON.")
@click.option("--convert-only", nargs=2, hidden=True)
def main(
    names: tuple[str, ...],
    device: str,
    runs: int,
    aarch64: Path | None,
    seed: int,
    output: str | None,
    convert_only: tuple[str, str] | None,
) -> None:
    """Measures the networks and prints one table."""
    if convert_only:
        convert_alone(*convert_only, device=device)
        return
    with tempfile.TemporaryDirectory() as folder:
        results = [study(name, device, runs, seed, Path(folder), aarch64) for name in names or NETWORKS]
    show(results)
    if output:
        facts = {"machine": machine_facts(), "command": " ".join(["python", *sys.argv]), "version": tp.__version__}
        Path(output).write_text(json.dumps({**facts, "results": results}, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()
