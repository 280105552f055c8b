# SPDX-License-Identifier: Apache-2.0
"""What a pruned convolution costs beside the dense one of the same layer, counted by Oclgrind.

``counts.py UNDER_OCLGRIND LAYER [--limits] [--layer "HEIGHT WIDTH IN OUT KERNEL STRIDE ROWS SPARSITY BALANCE"]...``

For each layer, the ratios pruned / dense of multiply-adds, of bytes of activations and of bytes of weights with their
places, each loaded by all work-items of a launch, and the share of idle lanes (``tasks/cells.h``). With ``--limits`` a
ratio above what the kernels promise is an error. The counts are exact and the same on every machine.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator

LAYERS = (
    "14 14 128 128 1 1 4 0.75 balanced",
    "7 7 256 256 1 1 4 0.75 balanced",
    "14 14 128 256 1 1 8 0.75 balanced",
    "14 14 32 128 3 1 4 0.75 balanced",
    "14 14 32 256 3 2 4 0.75 balanced",
    "14 14 128 128 1 1 4 0.75 unbalanced",
    "14 14 128 128 1 1 4 0.9 balanced",
    "14 14 128 128 1 1 4 0.9 unbalanced",
)
# For balanced weights at LIMITED: of (1 - sparsity) for multiply-adds and weights, of the dense kernel for activations.
LIMITED = "0.75 balanced"
MOST_MULTIPLY_ADDS, MOST_WEIGHTS, MOST_ACTIVATIONS, MOST_IDLE = 1.05, 1.15, 1.3, 0.05
VECTOR, FLOAT_BYTES = 4, 4


def histograms(output: str) -> Iterator[dict[str, tuple[int, int]]]:
    """The instructions of each launch of the kernel ``Conv``: name to (count, bytes)."""
    for part in output.split("Instructions executed for kernel ")[1:]:
        if part.startswith("'Conv'"):
            rows = re.findall(r"^ *(\d+) - (.+?)(?: \((\d+) bytes\))?$", part, re.MULTILINE)
            yield {name: (int(count), int(size or 0)) for count, name, size in rows}


def costs(histogram: dict[str, tuple[int, int]]) -> tuple[int, int, int]:
    """Multiply-adds, bytes of activations, bytes of weights and their places of one launch.

    Activations are loaded by ``vload4`` or by ``Gather``, four values each. Other loads of global memory are weights
    and their places, but for one bias for each ``StorePixels``.
    """

    def count(pattern: str) -> int:
        return sum(number for name, (number, _) in histogram.items() if re.search(pattern, name))

    gathered = count(r"^call Gather\(") * VECTOR * FLOAT_BYTES
    activations = count(r"^call .*vload4") * VECTOR * FLOAT_BYTES + gathered
    bias = count(r"^call StorePixels\(") * FLOAT_BYTES
    return count(r"llvm\.fmuladd\.v4f32") * VECTOR, activations, histogram["load global"][1] - gathered - bias


def measure(under: str, program: str, layer: str) -> tuple[float, float, float, float]:
    """Ratios pruned / dense of multiply-adds, activations and weights, and the idle lanes, of one layer."""
    environment = {**os.environ, "OCLGRIND_INST_COUNTS": "1"}
    output = subprocess.run(
        [under, program, *layer.split()], env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    if "device Oclgrind" not in output:
        raise SystemExit(f"{layer}: the layer ran on another device than Oclgrind.\n{output}")
    dense, sparse = (costs(histogram) for histogram in histograms(output))
    idle = float(output.split("idle lanes ")[1].split()[0])
    return sparse[0] / dense[0], sparse[1] / dense[1], sparse[2] / dense[2], idle


def main() -> None:
    """Prints a table of all layers."""
    parser = argparse.ArgumentParser(description="Counts of pruned and dense convolutions under Oclgrind.")
    parser.add_argument("under")
    parser.add_argument("program")
    parser.add_argument("--limits", action="store_true")
    parser.add_argument("--layer", action="append")
    options = parser.parse_args()
    failures = []
    print("| h w in out kernel stride rows sparsity | multiply-adds | weights | activations | idle lanes |")
    print("|---|---|---|---|---|")
    for layer in options.layer or LAYERS:
        multiply_adds, activations, weights, idle = measure(options.under, options.program, layer)
        kept = 1 - float(layer.split()[7])
        print(f"| {layer} | {multiply_adds:.3f} | {weights:.3f} | {activations:.3f} | {idle:.3f} |", flush=True)
        if layer.endswith(LIMITED) and (
            multiply_adds > MOST_MULTIPLY_ADDS * kept
            or weights > MOST_WEIGHTS * kept
            or activations > MOST_ACTIVATIONS
            or idle > MOST_IDLE
        ):
            failures.append(layer)
    if options.limits and failures:
        sys.exit("above the limits: " + "; ".join(failures))


if __name__ == "__main__":
    main()
