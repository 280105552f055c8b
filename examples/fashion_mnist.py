# SPDX-License-Identifier: Apache-2.0
"""From a Keras network to a smaller, faster .tflite: Fashion-MNIST, pruned while it trains, on stock LiteRT.

Trains a ResNet-20-style network, trains on while pruning it to 80 % in unaligned groups of four output channels,
converts it, runs all test images through the dense and the sparse file on stock LiteRT, times both and every layer,
and writes tables to the terminal and to ``report.html``::

    python examples/fashion_mnist.py
    python examples/fashion_mnist.py --quick
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# TensorFlow reads this once, when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click
import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

import tfprune as tp
from fashion import data, evaluation, network, report, training
from fashion.results import LAYER_HEADERS, SUMMARY_HEADERS, Accuracies, Results, Rows
from tfprune.converter.layer_timing import LayerTiming, time_layers

QUICK_IMAGES = 16_000
RUNS = 200
LAYER_RUNS = 50
SHOWN_LAYER = "stage3_block2_conv2"


class Demo:
    """The steps of the demo, each with its name on the terminal and its time kept."""

    def __init__(self, console: Console, options: dict[str, Any]) -> None:
        self._console = console
        self._options = options
        self._seconds: dict[str, float] = {}
        self._history = training.History(dense_epochs=options["epochs"])

    def run(self, output: Path) -> bool:
        """Runs everything, writes the files into ``output`` and returns whether the sparse file equals the dense."""
        with self._part("reading the data"):
            images = data.load()
            if self._options["quick"]:
                images = images.first(QUICK_IMAGES)
        keras.utils.set_random_seed(self._options["seed"])
        model = network.resnet20(self._options["width"])
        with self._part("training"), self._steps(images, self._options["epochs"]) as recorder:
            training.train(model, images, self._options["epochs"], [recorder])
        model.save(output / "trained.keras")
        keras_dense = evaluation.keras_accuracy(model, images.test)
        with self._part("pruning while training on"), self._steps(images, self._options["prune_epochs"]) as recorder:
            pruning = training.train_and_prune(model, images, self._options["prune_epochs"], [recorder])
        keras_pruned = evaluation.keras_accuracy(model, images.test)
        model.save(output / "pruned.keras")
        with self._part("converting"):
            converted = tp.convert(model, device="host")
            converted.save(output / "pruned.tflite", overwrite=True)
            converted.save_dense(output / "dense.tflite", overwrite=True)
        with self._part("all test images on LiteRT"):
            dense = evaluation.litert_logits(converted.dense, images.test, sparse=False)
            sparse = evaluation.litert_logits(converted.tflite, images.test, sparse=True)
        with self._part("timing"):
            benchmark = tp.benchmark(output / "dense.tflite", output / "pruned.tflite", runs=RUNS)
            timings = self._time_layers(converted)
        accuracies = Accuracies(
            keras_dense,
            keras_pruned,
            evaluation.accuracy(dense, images.test),
            evaluation.accuracy(sparse, images.test),
        )
        results = Results(
            options=self._options,
            accuracies=accuracies,
            comparison=evaluation.compare(dense, sparse),
            benchmark=benchmark,
            conversion=converted.report,
            timings=timings,
            pruning=pruning,
            history=self._history,
            source=images.source,
            seconds=self._seconds,
        )
        kernel = model.get_layer(SHOWN_LAYER).kernel.numpy()
        report.write(output / "report.html", results, kernel, SHOWN_LAYER)
        self._print(results)
        return results.comparison.ok

    @contextlib.contextmanager
    def _part(self, name: str) -> Iterator[None]:
        self._console.print(f"[bold]{name}[/bold]")
        start = time.perf_counter()
        yield
        self._seconds[name] = time.perf_counter() - start
        self._console.print(f"  {self._seconds[name]:.0f} s")

    @contextlib.contextmanager
    def _steps(self, images: data.FashionMnist, epochs: int) -> Iterator[training.Recorder]:
        """A progress bar over training steps, and a line an epoch where there is no terminal to draw it."""
        with self._progress(epochs * training.steps_per_epoch(images.train)) as advance:

            def epoch_done(accuracy: float, sparsity: float) -> None:
                self._console.print(f"  test accuracy {accuracy:.2%}, sparsity {sparsity:.1%}")

            yield training.Recorder(self._history, advance, epoch_done)

    @contextlib.contextmanager
    def _progress(self, total: int) -> Iterator[Callable[[], None]]:
        columns = (TextColumn("  "), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(
            *columns, console=self._console, transient=True, disable=not self._console.is_terminal
        ) as progress:
            task = progress.add_task("", total=total)
            yield lambda: progress.advance(task)

    def _time_layers(self, converted: Any) -> tuple[LayerTiming, ...]:
        layers = len(converted.report.layers)
        with self._progress(layers) as advance:
            return time_layers(converted.dense, converted.tflite, runs=LAYER_RUNS, progress=lambda *_: advance())

    def _print(self, results: Results) -> None:
        self._console.print(_table("A verdict for each layer", LAYER_HEADERS, results.layer_rows(), left_last=True))
        for note in results.layer_notes():
            self._console.print(note)
        self._console.print(_table("Dense and pruned", SUMMARY_HEADERS, results.summary_rows()))
        self._console.print(results.summary_caption())
        colour = "green" if results.comparison.ok else "red"
        self._console.print(f"[{colour}]{results.comparison_line()}[/{colour}]")
        facts = ", ".join(f"{name} {value}" for name, value in results.benchmark.machine.items())
        self._console.print(f"{facts}; {sum(self._seconds.values()):.0f} s in all")


def _table(title: str, headers: tuple[str, ...], rows: Rows, *, left_last: bool = False) -> Table:
    table = Table(title=title, title_justify="left")
    for place, header in enumerate(headers):
        left = place == 0 or (left_last and place == len(headers) - 1)
        table.add_column(header, justify="left" if left else "right", no_wrap=True)
    for row in rows:
        style = "dim" if row[-1].startswith("dense:") else "red" if row[-1].endswith("SLOWER") else ""
        table.add_row(*row, style=style)
    return table


@click.command(context_settings={"show_default": True})
@click.option("--width", type=click.IntRange(min=4), default=16, help="Channels of the first stage.")
@click.option("--epochs", type=click.IntRange(min=1), default=2, help="Epochs before pruning.")
@click.option("--prune-epochs", type=click.IntRange(min=1), default=2, help="Epochs with pruning.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Start of all random numbers.")
@click.option(
    "--quick", is_flag=True, help=f"One epoch of each on {QUICK_IMAGES:,} images: minutes less, points worse."
)
@click.option(
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build/fashion_mnist"),
    help="Where the models and report.html go.",
)
@click.pass_context
def main(
    ctx: click.Context, width: int, epochs: int, prune_epochs: int, seed: int, quick: bool, output_dir: Path
) -> None:
    """Train, prune, convert and compare a network on Fashion-MNIST; exit code 1 if sparse and dense files differ."""
    if quick:
        epochs = prune_epochs = 1
    output_dir.mkdir(parents=True, exist_ok=True)
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    options = {"width": width, "epochs": epochs, "prune_epochs": prune_epochs, "seed": seed, "quick": quick}
    equal = Demo(console, options).run(output_dir)
    console.print(f"models and report.html are in {output_dir}", soft_wrap=True)
    if not equal:
        ctx.exit(1)


if __name__ == "__main__":
    main()
