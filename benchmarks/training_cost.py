# SPDX-License-Identifier: Apache-2.0
"""What pruning costs in training: a step with callback or penalty against one without, and one update of the masks.

    python benchmarks/training_cost.py --output benchmarks/results/training_cost.json

Two ResNet-20 of equal weights train on the same batch of CIFAR's shape, one step of each in turn, as `fit` runs a
step: callbacks before, the compiled function, callbacks behind. One of the two has the callback. Seconds of all cores
together say more than the clock where other work runs beside it.
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
from rich.console import Console
from rich.table import Table

import tfprune as tp
from arguments import SIZE
from results_file import Rows, training_facts, write_json
from tfprune.keras.pruning import Pruning
from tfprune.sparsity.penalties import Penalty

WARM_UP = 3
#: Largest share that a step may take longer: between updates, and over a run with an update every hundred steps.
MOST = {"between updates": 0.03, "a whole run": 0.05}
PARTS = ("callback", "penalties")
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


def updating(frequency: int) -> tp.PruningCallback:
    """A callback whose updates come within the steps that count; the first one, which loads code, is not among them.

    Args:
        frequency: Steps from one update to the next.
    """
    schedule = tp.schedules.PolynomialDecay(0.1, SPARSITY, end_step=NEVER, frequency=frequency)
    return tp.PruningCallback(tp.patterns.Groups(rows=4), schedule)


def penalising(penalty: Penalty, *, aligned: bool = False) -> tp.PruningCallback:
    """A callback whose penalty looks at the weights once, at the first step, and which never cuts.

    Args:
        penalty: The penalty.
        aligned: Whether the groups of four rows are those of a grid.
    """
    schedule = tp.schedules.ConstantSparsity(SPARSITY, begin_step=NEVER)
    return tp.PruningCallback(tp.patterns.Groups(rows=4, aligned=aligned), schedule, penalty=penalty)


def compare(callback: tp.PruningCallback, steps: int, batch: int, width: int) -> dict[str, Any]:
    """Interleaves steps with and without the callback.

    Args:
        callback: The callback.
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
    plain = Training(dense, data, [], NEVER)
    with_callback = Training(pruned, data, [callback], NEVER)
    for _ in range(WARM_UP):
        plain.step(), with_callback.step()
    seconds = np.array([_pair(plain, with_callback, each) for each in range(steps)])
    assert callback.report.step == WARM_UP + steps
    clock, cores = seconds[..., 0], seconds[..., 1]
    return {
        "steps": steps,
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


def callback_rows(steps: int, run_steps: int, updates: int, batch: int, width: int, resnet50: bool) -> Rows:
    """What the callback costs.

    Args:
        steps: Steps of each kind between updates.
        run_steps: Steps of each kind of a run with updates.
        updates: Updates to time by themselves.
        batch: Images a step.
        width: Channels of ResNet-20's first stage.
        resnet50: Whether to time updates of ResNet-50 too.

    Returns:
        Results by name.
    """
    rows = {
        "between updates": compare(updating(NEVER), steps, batch, width),
        "a whole run": compare(updating(FREQUENCY), run_steps, batch, width),
        "update of ResNet-20": update_seconds(lambda: resnet20(width), updates),
    }
    if resnet50:
        rows["update of ResNet-50"] = update_seconds(lambda: keras.applications.ResNet50(weights=None), updates)
    return rows


def penalty_rows(steps: int, batch: int, width: int) -> Rows:
    """What a step costs in which a penalty acts on every kernel that is pruned.

    Args:
        steps: Steps of each kind.
        batch: Images a step.
        width: Channels of ResNet-20's first stage.

    Returns:
        Results by name.
    """
    # Weak enough that the network stays what it is: zeros would not make it faster, but NaNs might.
    weak = tp.schedules.StrengthRamp(1e-6, end_step=0)
    reweighted = tp.penalties.ReweightedGroupPenalty(weak)
    callbacks = {
        "PriorMaskPenalty": penalising(tp.penalties.PriorMaskPenalty(weak)),
        "AdmmPenalty": penalising(tp.penalties.AdmmPenalty(weak)),
        "ReweightedGroupPenalty, unaligned": penalising(reweighted),
        "ReweightedGroupPenalty, aligned": penalising(reweighted, aligned=True),
    }
    return {name: compare(callback, steps, batch, width) for name, callback in callbacks.items()}


def show(part: str, rows: Rows) -> None:
    """Prints results.

    Args:
        part: What was measured.
        rows: Results by name.
    """
    console = Console()
    table = Table(title=f"A training step with the callback against one without: {part}")
    for heading in ("", "steps", "without", "with", "median of ratios", "ratio of totals", "of core seconds", "asked"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=not heading)
    for name, row in rows.items():
        if "steps" in row:
            table.add_row(
                name,
                f"{row['steps']}",
                f"{row['seconds without'] * 1e3:.1f} ms",
                f"{row['seconds with'] * 1e3:.1f} ms",
                f"{row['median of ratios']:.3f}",
                f"{row['ratio of totals']:.3f}",
                f"{row['ratio of core seconds']:.3f}",
                f"at most {1 + MOST[name]:.2f}" if name in MOST else "",
            )
    console.print(table)
    for name, row in rows.items():
        if "updates" in row:
            console.print(
                f"{name}: {row['median seconds']:.3f} s, at best {row['least seconds']:.3f} s "
                f"({row['kernels']} kernels, {row['weights']:,} weights, groups of four rows)"
            )


@click.command(help=__doc__)
@click.option("--part", type=click.Choice(PARTS), multiple=True, default=PARTS, help="What to measure; default: all.")
@click.option("--steps", type=SIZE, default=60, show_default=True, help="Steps of each kind between updates.")
@click.option("--run-steps", type=SIZE, default=200, show_default=True, help="Steps of each kind of the whole run.")
@click.option("--updates", type=SIZE, default=5, show_default=True, help="Updates to time by themselves.")
@click.option("--batch", type=SIZE, default=128, show_default=True, help="Images a step.")
@click.option("--width", type=SIZE, default=16, show_default=True, help="Channels of ResNet-20's first stage.")
@click.option("--resnet50/--no-resnet50", default=True, show_default=True, help="Whether to time its updates too.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="JSON file; other parts in it stay.")
def main(
    part: tuple[str, ...],
    steps: int,
    run_steps: int,
    updates: int,
    batch: int,
    width: int,
    resnet50: bool,
    output: Path | None,
) -> None:
    """Runs the measurements."""
    measured: dict[str, Callable[[], Rows]] = {
        "callback": lambda: callback_rows(steps, run_steps, updates, batch, width, resnet50),
        "penalties": lambda: penalty_rows(steps, batch, width),
    }
    for name in part:
        rows = measured[name]()
        show(name, rows)
        if output is not None:
            content = json.loads(output.read_text()) if output.exists() else {}
            content[name] = {**training_facts({"batch": batch, "width": width}), "rows": rows}
            write_json(output, content)


if __name__ == "__main__":
    main()
