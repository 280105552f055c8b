# SPDX-License-Identifier: Apache-2.0
"""What must hold for any bytes and options: a typed error, or a file that computes what its twin does.

Files without float32 computation must give the same whole numbers, bit for bit. Elsewhere they may differ as the floats
do that they were rounded from.
"""

from __future__ import annotations

import dataclasses
import enum
import faulthandler
import os
import pickle
import resource
import signal
import traceback
from collections.abc import Callable
from typing import Any

import ai_edge_litert.interpreter  # noqa: F401  (loaded once here, not by every child)
import numpy as np

import tfprune
from tfprune.converter.graph import Graph
from tfprune.converter.weights import type_name, weight_values
from tfprune.errors import TfpruneError
from tfprune.runtime.library import load_library
from tfprune.runtime.random_inputs import random_inputs

Outputs = dict[str, np.ndarray]
SECONDS, MEMORY = 20, 8 << 30
TARGETS, PRECISIONS = ("delegate", "stock", "dense"), ("float32", "float16")
# Larger activations say nothing more and take long on one core.
_MOST_INPUT_VALUES = 1 << 16
# Error by the largest output: changed weights need not be well conditioned. Rounded weights leave more, and activations
# that dynamic-range layers round, each to 256 steps of a range that the layer before may have moved, most.
_TOLERANCE, _ROUNDED_TOLERANCE = 3e-3, 0.1


load_library()


class Outcome(enum.Enum):
    """What became of an input."""

    REFUSED = "refused"
    UNCHANGED = "nothing to convert"
    STOCK_FAILS = "stock LiteRT refuses, crashes or stops"
    EQUAL = "runs and equals its dense twin"
    NOT_COMPARED = "runs; too large or not finite"


class FuzzError(AssertionError):
    """An input that breaks a promise."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Those of ``convert`` that are drawn."""

    target: str = "delegate"
    precision: str = "float32"


def drawn_options(choose: Callable[[int, int], int]) -> Options:
    """Any target with any precision that files take."""
    return Options(TARGETS[choose(0, len(TARGETS) - 1)], PRECISIONS[choose(0, len(PRECISIONS) - 1)])


def check(data: bytes, options: Options | None = None) -> Outcome:
    """Converts, inspects, and runs; each run in a process of its own, where it may crash.

    A crash of stock LiteRT on a model without tfprune's ops is its own and ends the check. One on the other file is
    ours where this one ran.

    Raises:
        FuzzError: a crash, a stop, a wrong output, or an error that is not tfprune's.
    """
    options = options or Options()
    try:
        layers = tfprune.inspect(data, device="host", precision=options.precision).layers
        reference, other = _pair(data, options)
    except TfpruneError:
        return Outcome.REFUSED
    if reference == other:
        return Outcome.UNCHANGED
    expected = _alone(lambda: run(reference))
    if not isinstance(expected, dict):
        return Outcome.STOCK_FAILS
    found = _alone(lambda: run(other))
    if isinstance(found, str):
        raise FuzzError(f"one file {found}, the other runs; {options}")
    # What only packed files hold, such as geometry, is refused when they are loaded. And stock LiteRT divides what
    # reaches a fully connected layer by its inputs, and makes no row of too few.
    if isinstance(found, TfpruneError) and (other is data or any(not value.size for value in expected.values())):
        return Outcome.REFUSED
    if isinstance(found, dict) and not finite_constants(reference):
        return Outcome.NOT_COMPARED
    rounded = options.precision == "float16" or any(layer.precision == "dynamic" for layer in layers)
    return _compare(expected, found, _ROUNDED_TOLERANCE if rounded else _TOLERANCE, computes_floats(reference))


def _pair(data: bytes, options: Options) -> tuple[bytes, bytes]:
    """Two files that must compute the same; the second may fail on its own only where it is the input."""
    try:
        made = tfprune.convert(data, device="host", min_speedup=1e-6, **dataclasses.asdict(options))
    except tfprune.errors.AlreadyConvertedError:
        return tfprune.convert(data, target="dense").tflite, data
    if options.target == "dense" and made.report.layers:
        # It held tfprune's ops.
        return made.tflite, data
    if made.tflite != data:
        # What was just written must be readable.
        tfprune.inspect(made.tflite)
        tfprune.convert(made.tflite, target="dense")
    return data, made.tflite


def computes_floats(data: bytes) -> bool:
    """Whether an operator writes floats: whole numbers that follow from them need not be equal bit for bit."""
    graph = Graph(data)
    written = (graph.tensor(subgraph, int(y)) for subgraph, _, op in graph.operators() for y in op.outputs if y >= 0)
    return any(map(_holds_floats, written))


def finite_constants(data: bytes) -> bool:
    """Whether every float constant that an operator reads is; clips and maxima swallow a NaN, or pass it on."""
    graph = Graph(data)
    read = (graph.tensor(subgraph, int(x)) for subgraph, _, op in graph.operators() for x in op.inputs if x >= 0)
    constants = (weight_values(graph, tensor) for tensor in read if _holds_floats(tensor))
    return all(np.isfinite(values).all() for values in constants if values is not None)


def _holds_floats(tensor: Any) -> bool:
    return type_name(tensor).startswith(("float", "bfloat"))


def run(data: bytes) -> Outputs | None:
    """Outputs of every signature on seeded inputs; None for inputs that are too large."""
    model = tfprune.Interpreter(data)
    outputs: Outputs = {}
    for key in model.signatures:
        specs = model.inputs(key)
        if (
            sum(int(np.prod([max(1, size) for size in spec.shape], dtype=object)) for spec in specs)
            > _MOST_INPUT_VALUES
        ):
            return None
        result = model.predict(random_inputs(specs, None, 0), signature=key)
        named = result if isinstance(result, dict) else {"": result}
        outputs |= {f"{key}/{name}": value for name, value in named.items()}
    return outputs


def _compare(expected: Outputs, found: Any, tolerance: float, floats: bool) -> Outcome:
    """Whole numbers must be equal where no floats are computed, else within the tolerance and one more."""
    if not isinstance(found, dict):
        raise FuzzError(f"one file runs, the other does not: {found!r}")
    for name, value in expected.items():
        if name not in found or found[name].shape != value.shape or found[name].dtype != value.dtype:
            raise FuzzError(f"output {name}: {value.dtype} {value.shape} became {found.get(name, np.empty(0)).shape}")
        if value.dtype.kind not in "fiu" or not value.size:
            continue
        one, other = value.astype(np.float64), found[name].astype(np.float64)
        most = np.abs(one).max()
        if not np.isfinite(most) or most > 1e15:
            return Outcome.NOT_COMPARED
        error = np.abs(one - other).max()
        allowed = tolerance * max(most, 1e-6) if value.dtype.kind == "f" else floats * (1 + tolerance * most)
        if not error <= allowed:
            raise FuzzError(f"output {name}: {value.dtype} off by {error:g} of {most:g}, allowed {allowed:g}")
    return Outcome.EQUAL


def _alone(task: Callable[[], Any]) -> Any:
    """The result of a task in a child; its TfpruneError; or, as text, how the child ended otherwise."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _be_child(task, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        content = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return f"ended by signal {signal.Signals(os.WTERMSIG(status)).name}"
    return pickle.loads(content) if content else f"ended with status {os.waitstatus_to_exitcode(status)}"


def _be_child(task: Callable[[], Any], writer: int) -> None:
    """Runs the task under limits, sends what it gave and never returns."""
    try:
        faulthandler.disable()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            result = task()
        except TfpruneError as error:
            result = error
        # Anything else is sent as text, which no check takes for a result.
        except BaseException:
            result = traceback.format_exc()
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(result, pipe)
    finally:
        os._exit(0)
