# SPDX-License-Identifier: Apache-2.0
"""Single layers against MNN's sparse mode on this machine: the same zeros, interleaved in one process, one thread.

    pip install --no-deps --target build/mnn MNN
    python benchmarks/rival_mnn.py --output benchmarks/results/rival_mnn.json

MNN reads the dense one-op ``.tflite``. With ``--detectSparseSpeedUp`` its converter stores a layer sparse where MNN
expects to gain, else dense; a sparse file is smaller, which says what was chosen. The converter is called as a
function, because MNN's command ``mnnconvert`` installs packages for its telemetry with whichever pip comes first in the
path.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from rich.table import Table

from arguments import COUNT, SECONDS, SPARSITY
from cpu_layers import SPARSITIES, geometric_mean
from layer_cases import HEAVY, NETWORKS, PATTERNS, RTOL, Case, cases, chosen_layers, network_layers
from measure import REPOSITORY
from results_file import Rows, read_rows, write_rows
from tfprune.mapping.profiling.count_guest import random_input
from tfprune.mapping.profiling.timing import Model, interleaved, relative_error

PACKAGE = REPOSITORY / "build/mnn"
#: Share of the dense file's size below which a file of MNN's is sparse.
SPARSE_FILE = 0.98
#: MNN runs dense 3x3 convolutions by Winograd's transform, which costs it digits.
MNN_RTOL = 5e-3
Row = dict[str, Any]


class MnnModel:
    """A ``.tflite`` file converted and run by MNN, on the input that `measure.Model` takes."""

    def __init__(self, path: Path, layer_shape: tuple[int, ...], *options: str) -> None:
        import _tools
        import MNN

        converted = path.with_suffix(".mnn")
        files = ["-f", "TFLITE", "--modelFile", str(path), "--MNNModel", str(converted), "--bizCode", "benchmark"]
        with _quiet():
            _tools.mnnconvert(["mnnconvert", *files, "--keepInputFormat", *options])
            self._net = MNN.Interpreter(str(converted))
            self._session = self._net.createSession({"backend": "CPU", "numThread": 1, "precision": "high"})
        self.bytes = converted.stat().st_size
        data = random_input({"shape": np.array(layer_shape), "dtype": np.float32})
        if len(layer_shape) == 4:
            data = np.ascontiguousarray(data.transpose(0, 3, 1, 2))
        place = self._net.getSessionInput(self._session)
        place.copyFrom(MNN.Tensor(data.shape, MNN.Halide_Type_Float, data, MNN.Tensor_DimensionType_Caffe))
        self.invoke()

    def invoke(self) -> None:
        """Runs on the input."""
        self._net.runSession(self._session)

    def answer(self) -> npt.NDArray[Any]:
        """The output in TFLite's order of axes."""
        import MNN

        found = self._net.getSessionOutput(self._session)
        shape = found.getShape()
        copy = MNN.Tensor(shape, MNN.Halide_Type_Float, np.zeros(shape, np.float32), MNN.Tensor_DimensionType_Caffe)
        found.copyToHostTensor(copy)
        data = np.array(copy.getData(), np.float32).reshape(shape)
        return data.transpose(0, 2, 3, 1) if len(shape) == 4 else data


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """MNN's libraries write to standard output themselves."""
    sys.stdout.flush()
    kept = os.dup(1)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)


def measure(case: Case, seconds: float) -> Row:
    """Times LiteRT and MNN dense, MNN and tfprune sparse."""
    import MNN

    row: Row = {"pattern": case.pattern, "asked": case.sparsity, "layer": str(case.layer)}
    sparse = case.sparse("host")
    if sparse is None:
        return {**row, "encoding": None}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layer.tflite"
        path.write_bytes(case.dense())
        plain = MnnModel(path, case.layer.in_shape)
        rival = MnnModel(path, case.layer.in_shape, "--detectSparseSpeedUp")
    dense, ours = Model(case.dense()), Model(sparse.tflite)
    checks: list[tuple[str, Model | MnnModel, float]] = [("tfprune", ours, RTOL["float32"])]
    checks += [("MNN dense", plain, MNN_RTOL), ("MNN", rival, MNN_RTOL)]
    for name, model, rtol in checks:
        error = relative_error(dense.answer(), model.answer().reshape(dense.answer().shape))
        if not error <= rtol:
            raise SystemExit(f"{case.key}: the answer of {name} is off by {error:.1e}")
    rounds = interleaved([dense, plain, rival, ours], seconds)
    litert, mnn_dense, mnn, own = (np.median(column) * 1e6 for column in rounds.seconds.T)
    return {
        **row,
        "encoding": sparse.encoding,
        "mnn chose": "sparse" if rival.bytes < SPARSE_FILE * plain.bytes else "dense",
        "litert_dense_us": float(litert),
        "mnn_dense_us": float(mnn_dense),
        "mnn_us": float(mnn),
        "tfprune_us": float(own),
        "against mnn": float(np.median(rounds.seconds[:, 2] / rounds.seconds[:, 3])),
        "others": rounds.others,
        "mnn version": MNN.version(),
    }


def summary(rows: Rows) -> list[Row]:
    """Geometric means by pattern and sparsity, each layer as often as all networks have it."""
    counts = {str(layer): sum(by_network.values()) for layer, by_network in network_layers(NETWORKS).items()}
    timed = [row for row in rows.values() if row["encoding"] is not None]
    found = []
    for pattern, asked in dict.fromkeys((row["pattern"], row["asked"]) for row in timed):
        same = [row for row in timed if (row["pattern"], row["asked"]) == (pattern, asked)]
        mean = geometric_mean([row["against mnn"] for row in same], [counts[row["layer"]] for row in same])
        found.append(
            {
                "pattern": pattern,
                "sparsity": asked,
                "layers": len(same),
                "mnn sparse": sum(row["mnn chose"] == "sparse" for row in same),
                "against mnn": mean,
                "worst": min(row["against mnn"] for row in same),
            }
        )
    return found


def show(rows: Rows, means: list[Row], console: Console) -> None:
    """Prints layers and means."""
    names = ("litert_dense_us", "mnn_dense_us", "mnn_us", "tfprune_us")
    layers = Table("pattern", "layer", "asked", "LiteRT dense us", "MNN dense", "MNN", "is", "tfprune", "MNN / tfprune")
    for row in rows.values():
        if row["encoding"] is not None:
            litert, dense, mnn, own = (f"{row[name]:.0f}" for name in names)
            head = (row["pattern"], row["layer"], f"{row['asked']:g}")
            layers.add_row(*head, litert, dense, mnn, row["mnn chose"], own, f"{row['against mnn']:.2f}x")
    table = Table("pattern", "asked", "layers", "MNN sparse on", "MNN / tfprune", "worst", title="Geometric means")
    for row in means:
        numbers = (str(row["layers"]), str(row["mnn sparse"]), f"{row['against mnn']:.2f}x", f"{row['worst']:.2f}x")
        table.add_row(row["pattern"], f"{row['sparsity']:g}", *numbers)
    console.print(layers)
    console.print(table)


@click.command()
@click.option("--network", "networks", multiple=True, type=click.Choice(NETWORKS), help="Default: all.")
@click.option("--sparsity", "sparsities", multiple=True, type=SPARSITY, help=f"Default: {SPARSITIES}.")
@click.option("--pattern", "patterns", multiple=True, type=click.Choice(list(PATTERNS)), help="Default: groups4.")
@click.option("--min-macs", type=COUNT, default=HEAVY, show_default=True, help="Smaller layers are left out.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many layers.")
@click.option("--seconds", type=SECONDS, default=0.25, show_default=True, help="For the timing of one case.")
@click.option("--seed", type=COUNT, default=0, show_default=True)
@click.option("--package", default=PACKAGE, type=Path, show_default=True, help="Where MNN is installed.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Results as JSON, resumed.")
def main(
    networks: tuple[str, ...],
    sparsities: tuple[float, ...],
    patterns: tuple[str, ...],
    min_macs: int,
    limit: int | None,
    seconds: float,
    seed: int,
    package: Path,
    output: Path | None,
) -> None:
    """Measures and prints tables."""
    if not (package / "MNN").is_dir():
        raise SystemExit(f"{package}: no MNN; run `pip install --no-deps --target {package} MNN`")
    sys.path.append(str(package))
    layers = list(chosen_layers(network_layers(networks or NETWORKS), min_macs))[:limit]
    rows = read_rows(output) if output else {}
    for case in track(cases(layers, patterns or ("groups4",), sparsities or SPARSITIES, seed), "measuring"):
        if case.key not in rows:
            rows[case.key] = measure(case, seconds)
            if output:
                write_rows(output, rows, summary(rows))
    show(rows, summary(rows), Console(width=170))


if __name__ == "__main__":
    main()
