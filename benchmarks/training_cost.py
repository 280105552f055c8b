# SPDX-License-Identifier: Apache-2.0
"""What pruning costs while a model trains: a step with the callback against one without, and one update of the masks.

    python benchmarks/training_cost.py --output benchmarks/results/training_cost.json

Two ResNet-20 of equal weights train on the same batch of CIFAR's shape, one step of each in turn, as `fit` runs a
step: callbacks before, the compiled function, callbacks behind. One of the two has the callback. Seconds of all cores
together say more than the clock where other work runs beside it.
"""

from __future__ import annotations

import datetime
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
from rich.console import Console
from rich.table import Table

import tfprune as tp
from arguments import SIZE
from tfprune.files import write_file
from tfprune.keras.pruning import Pruning
from tfprune.runtime.machine import machine_facts

WARM_UP = 3
#: Largest share that a step may take longer: between updates, and over a run with an update every hundred steps.
MOST_BETWEEN, MOST_OVER_A_RUN = 0.03, 0.05
FREQUENCY = 100
SPARSITY = 0.8
NEVER = 10**9


def resnet20(width: int) -> Any:
    """ResNet-20 for images of 32 x 32 x 3: three stages of three blocks."""

    def convolution(x: Any, channels: int, size: int, stride: int = 1) -> Any:
        x = keras.layers.Conv2D(channels, size, strides=stride, padding="same", use_bias=False)(x)
        return keras.layers.BatchNormalization()(x)

    image = keras.Input((32, 32, 3))
    x = keras.layers.ReLU()(convolution(image, width, 3))
    for stage in range(3):
        for block in range(3):
            stride = 2 if stage and not block else 1
            channels = width << stage
            y = keras.layers.ReLU()(convolution(x, channels, 3, stride))
            shortcut = convolution(x, channels, 1, stride) if stride == 2 else x
            x = keras.layers.ReLU()(keras.layers.Add()([convolution(y, channels, 3), shortcut]))
    logits = keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, logits)


class Training:
    """The steps of one `fit`, one at a time.

    Args:
        model: Compiled model.
        batch: Inputs and labels of every step.
        callbacks: Its callbacks.
        steps: Steps in all.
    """

    def __init__(self, model: Any, batch: tuple[Any, Any], callbacks: list[Any], steps: int) -> None:
        """Begins the training."""
        import tensorflow as tf

        self._model = model
        self._batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
        self._callbacks = keras.callbacks.CallbackList(
            callbacks, add_history=True, model=model, epochs=1, steps=steps, verbose=0
        )
        model.make_train_function()
        self._callbacks.on_train_begin()
        self._callbacks.on_epoch_begin(0)
        self._step = 0

    def step(self) -> tuple[float, float]:
        """Runs one step and returns its seconds: by the clock, and of all cores together."""
        start = time.perf_counter(), time.process_time()
        self._callbacks.on_train_batch_begin(self._step)
        logs = self._model.train_function(self._batches)
        self._callbacks.on_train_batch_end(self._step, logs)
        seconds = time.perf_counter() - start[0], time.process_time() - start[1]
        self._step += 1
        return seconds

    def end(self) -> None:
        """Ends the training."""
        self._callbacks.on_train_end()


def compare(frequency: int, steps: int, batch: int, width: int) -> dict[str, Any]:
    """Interleaves steps with and without the callback.

    Args:
        frequency: Steps from one update to the next.
        steps: Steps of each kind, less those that warm up.
        batch: Images a step.
        width: Channels of the first stage.

    Returns:
        Medians, totals and their ratios.
    """
    random = np.random.default_rng(1)
    data = random.random((batch, 32, 32, 3), np.float32), random.integers(0, 10, batch)
    dense, pruned = _compiled(width), _compiled(width)
    pruned.set_weights(dense.get_weights())
    # Updates come within the steps that count; the first one, which loads code, is not among them.
    schedule = tp.schedules.PolynomialDecay(0.1, SPARSITY, end_step=NEVER, frequency=frequency)
    callback = tp.PruningCallback(tp.patterns.Groups(rows=4), schedule)
    plain = Training(dense, data, [], NEVER)
    with_callback = Training(pruned, data, [callback], NEVER)
    for _ in range(WARM_UP):
        plain.step(), with_callback.step()
    seconds = np.array([_pair(plain, with_callback, each) for each in range(steps)])
    assert callback.report.step == WARM_UP + steps
    clock, cores = seconds[..., 0], seconds[..., 1]
    return {
        "steps": steps,
        "updates": sum(schedule.should_prune(step) for step in range(WARM_UP, WARM_UP + steps)),
        "seconds without": float(np.median(clock[:, 0])),
        "seconds with": float(np.median(clock[:, 1])),
        "median of ratios": float(np.median(clock[:, 1] / clock[:, 0])),
        "ratio of totals": float(clock[:, 1].sum() / clock[:, 0].sum()),
        "ratio of core seconds": float(cores[:, 1].sum() / cores[:, 0].sum()),
    }


def _compiled(width: int) -> Any:
    model = resnet20(width)
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    return model


def _pair(first: Training, second: Training, turn: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """One step of each; who begins changes from turn to turn."""
    if turn % 2:
        behind = second.step()
        return first.step(), behind
    return first.step(), second.step()


def update_seconds(build: Callable[[], Any], updates: int) -> dict[str, Any]:
    """Times updates of all masks of a model.

    Args:
        build: Makes the model.
        updates: How many.

    Returns:
        Median and smallest time, and the weights that are pruned.
    """
    model = build()
    model.compile("sgd", "mse")
    schedule = tp.schedules.PolynomialDecay(0.3, SPARSITY, end_step=updates + 1, power=1, frequency=1)
    pruning = Pruning(model, tp.Rule(None, tp.patterns.Groups(rows=4), schedule=schedule))
    pruning.attach()
    pruning.plan(None)
    seconds = []
    for _ in range(updates + 1):
        start = time.perf_counter()
        pruning.prepare()
        seconds.append(time.perf_counter() - start)
        pruning.advance()
    pruned = [row for row in pruning.report().layers if row.status == "pruned"]
    pruning.detach()
    return {
        "updates": updates,
        "kernels": len(pruned),
        "weights": sum(row.total for row in pruned),
        "median seconds": float(np.median(seconds[1:])),
        "least seconds": min(seconds[1:]),
    }


def show(rows: dict[str, dict[str, Any]]) -> None:
    """Prints the results."""
    console = Console()
    table = Table(title="A training step with the callback against one without")
    for heading in (
        "updates",
        "steps",
        "without",
        "with",
        "median of ratios",
        "ratio of totals",
        "of core seconds",
        "asked",
    ):
        table.add_column(heading, justify="right")
    for name, bound in (("between updates", MOST_BETWEEN), ("a whole run", MOST_OVER_A_RUN)):
        row = rows[name]
        table.add_row(
            f"{row['updates']}",
            f"{row['steps']}",
            f"{row['seconds without'] * 1e3:.1f} ms",
            f"{row['seconds with'] * 1e3:.1f} ms",
            f"{row['median of ratios']:.3f}",
            f"{row['ratio of totals']:.3f}",
            f"{row['ratio of core seconds']:.3f}",
            f"at most {1 + bound:.2f}",
        )
    console.print(table)
    for name in ("update of ResNet-20", "update of ResNet-50"):
        if name in rows:
            row = rows[name]
            console.print(
                f"{name}: {row['median seconds']:.3f} s, at best {row['least seconds']:.3f} s "
                f"({row['kernels']} kernels, {row['weights']:,} weights, groups of four rows)"
            )


@click.command(help=__doc__)
@click.option("--steps", type=SIZE, default=60, show_default=True, help="Steps of each kind between updates.")
@click.option("--run-steps", type=SIZE, default=200, show_default=True, help="Steps of each kind of the whole run.")
@click.option("--updates", type=SIZE, default=5, show_default=True, help="Updates to time by themselves.")
@click.option("--batch", type=SIZE, default=128, show_default=True, help="Images a step.")
@click.option("--width", type=SIZE, default=16, show_default=True, help="Channels of ResNet-20's first stage.")
@click.option("--resnet50/--no-resnet50", default=True, show_default=True, help="Whether to time its updates too.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="JSON file for the results.")
def main(steps: int, run_steps: int, updates: int, batch: int, width: int, resnet50: bool, output: Path | None) -> None:
    """Runs all measurements."""
    rows = {
        "between updates": compare(NEVER, steps, batch, width),
        "a whole run": compare(FREQUENCY, run_steps, batch, width),
        "update of ResNet-20": update_seconds(lambda: resnet20(width), updates),
    }
    if resnet50:
        rows["update of ResNet-50"] = update_seconds(lambda: keras.applications.ResNet50(weights=None), updates)
    show(rows)
    if output is not None:
        import tensorflow as tf

        versions = {"keras": keras.__version__, "tensorflow": tf.__version__, "tfprune": tp.__version__}
        today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        command = " ".join(["python", *sys.argv])
        content = {"machine": machine_facts(), **versions, "command": command, "date": today, "rows": rows}
        write_file(output, (json.dumps(content, indent=1) + "\n").encode(), overwrite=True)


if __name__ == "__main__":
    main()
