# SPDX-License-Identifier: Apache-2.0
"""What the step of a group penalty costs on one kernel: groups summed over boxes against sums by group number.

    python benchmarks/group_norms.py --output benchmarks/results/group_norms.json
    KERAS_BACKEND=jax python benchmarks/group_norms.py --output benchmarks/results/group_norms.json

Both ways run in alternation on a 3x3 convolution, compiled, and give the same weights.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
from keras import ops
from rich.console import Console

import tfprune as tp
from arguments import SIZE
from results_file import training_facts, write_json
from tfprune.keras.group_norms import BoxedGroups, GroupNorms, IndexedGroups
from tfprune.sparsity.layouts import LAYOUTS, from_matrix, matrix_shape
from tfprune.sparsity.penalties.cells import PenaltyCells, box_sizes, pattern_cells
from tfprune.sparsity.penalties.reweighted_group import threshold_factors

PATTERNS = {"groups of four": tp.patterns.Groups(rows=4, aligned=True), "single weights": tp.patterns.Unstructured()}
LAYOUT = LAYOUTS["conv2d"]
PULL = 1e-3


def compiled(groups: GroupNorms, cells: PenaltyCells, variables: list[Any]) -> Callable[[], Any]:
    """The step as a compiled function.

    Args:
        groups: How norms are found.
        cells: The groups.
        variables: The kernel, and what else `groups` reads.
    """
    held = [*variables, keras.Variable(groups.arrange(cells, np.ones(cells.count)))]

    def step() -> Any:
        weights, coefficients = ops.convert_to_tensor(held[0]), ops.convert_to_tensor(held[-1])
        return groups.scale(weights, threshold_factors(groups.norms(weights), PULL * coefficients, ops))

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        run = tf.function(step)
        return lambda: run().numpy()
    import jax

    def stateless(values: Any) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(held, values, strict=True))):
            return step()

    run, values = jax.jit(stateless), [each.value for each in held]
    return lambda: np.asarray(run(values))


def compare(pattern: tp.patterns.Pattern, size: int, rounds: int) -> dict[str, float]:
    """Times both ways.

    Args:
        pattern: Its cells are boxes.
        size: Input and output channels.
        rounds: Steps of each.

    Returns:
        Medians, and the median of the ratios.
    """
    shape = (3, 3, size, size)
    kernel = keras.Variable(np.random.default_rng(1).standard_normal(shape), dtype="float32")
    cells = pattern_cells(pattern, matrix_shape(shape, LAYOUT))
    assert cells is not None
    blocks = box_sizes(cells)
    assert blocks is not None
    ids = keras.Variable(from_matrix(cells.ids, shape, LAYOUT), dtype="int32", trainable=False)
    by_number = compiled(IndexedGroups(ids, cells.count), cells, [kernel, ids])
    by_box = compiled(BoxedGroups(shape, LAYOUT, blocks), cells, [kernel])
    np.testing.assert_allclose(by_number(), by_box(), rtol=1e-5, atol=1e-7)
    seconds = np.array([[_seconds(by_number), _seconds(by_box)] for _ in range(rounds)])
    numbered, boxed = np.median(seconds, axis=0)
    ratio = float(np.median(seconds[:, 1] / seconds[:, 0]))
    return {"seconds by number": float(numbered), "seconds by box": float(boxed), "median of ratios": ratio}


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


@click.command(help=__doc__)
@click.option("--size", type=SIZE, default=512, show_default=True, help="Input and output channels.")
@click.option("--rounds", type=SIZE, default=25, show_default=True, help="Steps of each kind.")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="JSON file; other back ends in it stay."
)
def main(size: int, rounds: int, output: Path | None) -> None:
    """Runs the measurements on the back end that Keras has."""
    rows = {name: compare(pattern, size, rounds) for name, pattern in PATTERNS.items()}
    backend = keras.backend.backend()
    for name, row in rows.items():
        Console().print(f"{backend}, {name}: boxes take {row['median of ratios']:.2f} times what sums by number take")
    if output is not None:
        content = json.loads(output.read_text()) if output.exists() else {}
        content[backend] = {**training_facts({"size": size, "rounds": rounds}), "rows": rows}
        write_json(output, content)


if __name__ == "__main__":
    main()
