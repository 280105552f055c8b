# SPDX-License-Identifier: Apache-2.0
"""Runs a dense and a sparse model on the same inputs and compares every output."""

from __future__ import annotations

import dataclasses
import numbers
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import RuntimeInputError
from tfprune.runtime.interpreter import Inputs, Interpreter, TensorSpec
from tfprune.runtime.model_file import read_model
from tfprune.runtime.random_inputs import random_inputs
from tfprune.tables import html_table, text_table

SEED = 0
# Batch 1 is what phones run; 3 is odd, so that leftovers of vectors and tiles are met.
RANDOM_BATCHES = (1, 3)
# Given inputs are run in batches of this size, which bounds memory for whole test sets.
LARGEST_BATCH = 32
HEADERS = ("output", "signature", "largest", "abs error", "rel error", "verdict")

Array = npt.NDArray[Any]
Feeds = dict[str, Array]


@dataclasses.dataclass(frozen=True)
class OutputCheck:
    """One output, compared over all examples.

    Attributes:
        name: the output's name.
        signature: the signature it belongs to, ``""`` in a file without signatures.
        largest: largest magnitude of the dense model's output.
        max_abs_error: largest ``|sparse - dense|``.
        max_rel_error: ``max_abs_error / largest``; 0 where both models agree exactly.
        passed: ``max_rel_error <= rtol``; for whole numbers and booleans: no difference at all.
    """

    name: str
    signature: str
    largest: float
    max_abs_error: float
    max_rel_error: float
    passed: bool


@dataclasses.dataclass(frozen=True)
class VerifyReport:
    """What :func:`verify` found. True in a condition when every output passed.

    Attributes:
        dense: name of the dense model.
        sparse: name of the sparse model.
        rtol: largest relative error that passes.
        outputs: one entry an output of each signature.
        batch_sizes: sizes of the batches that were run.
        examples: examples that were run, over all batches of one signature.
        seed: seed of the random inputs, None where inputs were given.
        notes: what weakens the result, e.g. an output that is zero throughout.
    """

    dense: str
    sparse: str
    rtol: float
    outputs: tuple[OutputCheck, ...]
    batch_sizes: tuple[int, ...]
    examples: int
    seed: int | None
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every output passed."""
        return all(output.passed for output in self.outputs)

    def __bool__(self) -> bool:
        """Whether every output passed."""
        return self.ok

    def __str__(self) -> str:
        """The table, the verdict and the notes, in plain text."""
        return "\n".join([text_table(HEADERS, self.rows()), self.summary(), *self.notes])

    def _repr_html_(self) -> str:
        return html_table(HEADERS, self.rows(), " ".join([self.summary(), *self.notes]))

    def rows(self) -> list[list[str]]:
        """The table's cells as text, a row for each output."""
        return [
            [
                output.name,
                output.signature or "-",
                f"{output.largest:.4g}",
                f"{output.max_abs_error:.2e}",
                f"{output.max_rel_error:.2e}",
                "equal" if output.passed else "DIFFERENT",
            ]
            for output in self.outputs
        ]

    def summary(self) -> str:
        """One line: the verdict, how many examples, and the rule."""
        verdict = "equal" if self.ok else "DIFFERENT"
        data = "given inputs" if self.seed is None else f"random inputs (seed {self.seed})"
        batches = ", ".join(str(size) for size in self.batch_sizes)
        return (
            f"{self.sparse} is {verdict} to {self.dense} within {self.rtol:g} relative, on {self.examples} examples of "
            f"{data}, batch {batches}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain data for JSON, with ``ok``."""
        return {"ok": self.ok, **dataclasses.asdict(self)}


def verify(
    dense: str | os.PathLike[str] | bytes,
    sparse: str | os.PathLike[str] | bytes,
    inputs: Inputs | None = None,
    *,
    rtol: float = 1e-4,
) -> VerifyReport:
    """Compares a sparse model with its dense twin, output by output.

    An output's error is ``max |sparse - dense| / max |dense|``, both taken over the whole output and all examples.
    Values that are not finite must stand at the same places in both models.

    Args:
        dense: the dense ``.tflite``: a path or bytes.
        sparse: the converted ``.tflite``: a path or bytes.
        inputs: data as for ``Interpreter.predict`` (an array, a dict by name or a list), run in batches of at most 32;
            leave it out for files with several signatures. Default: seeded random inputs, at batch 1 and 3 where the
            files' batch is open, else at the batch that the files declare. Random inputs exercise every layer, but
            are no substitute for data.
        rtol: largest relative error that passes, at least 0, default 1e-4.

    Returns:
        A report that is true when every output passed.

    Raises:
        RuntimeInputError: the models do not have the same signatures, inputs and outputs, or cannot take the inputs.
        ModelError: a file is not a model that LiteRT can load.
        DelegateError: a file holds tfprune ops and the library is missing.

    Example:
        >>> assert verify("dense.tflite", "pruned.tflite", images)  # doctest: +SKIP
    """
    _check_rtol(rtol)
    pair = (Interpreter(read_model(dense, "dense model")), Interpreter(read_model(sparse, "sparse model")))
    _check_same_interface(*pair)
    signatures = pair[0].signatures
    if inputs is not None:
        _check_one_signature(pair[0])
    outputs: list[OutputCheck] = []
    sizes: list[int] = []
    for signature in signatures:
        batches = list(_batches(pair[0].inputs(signature), inputs))
        sizes = [_batch_size(batch) for batch in batches]
        outputs += _compare(pair, signature, batches, float(rtol))
    return VerifyReport(
        dense=pair[0].name,
        sparse=pair[1].name,
        rtol=float(rtol),
        outputs=tuple(outputs),
        batch_sizes=tuple(dict.fromkeys(sizes)),
        examples=sum(sizes),
        seed=SEED if inputs is None else None,
        notes=tuple(_notes(outputs)),
    )


def _check_rtol(rtol: float) -> None:
    if isinstance(rtol, bool) or not isinstance(rtol, numbers.Real) or not 0 <= rtol < float("inf"):
        raise RuntimeInputError(f"rtol: must be a number from 0, got {rtol!r}")


def _check_one_signature(dense: Interpreter) -> None:
    if len(dense.signatures) != 1:
        raise RuntimeInputError(
            f"inputs: `{dense.name}` has {len(dense.signatures)} signatures ({', '.join(dense.signatures)}), and it is "
            "not said which one they are for; leave inputs out, or verify files with one signature"
        )


def _compare(
    pair: tuple[Interpreter, Interpreter], signature: str, batches: list[Feeds], rtol: float
) -> list[OutputCheck]:
    expected: dict[str, list[Array]] = {}
    received: dict[str, list[Array]] = {}
    for feeds in batches:
        for interpreter, kept in zip(pair, (expected, received), strict=True):
            result = interpreter.predict(feeds, signature=signature)
            named = result if isinstance(result, dict) else {interpreter.outputs(signature)[0].name: result}
            for name, value in named.items():
                kept.setdefault(name, []).append(value)
    return [_check(name, signature, expected[name], received[name], rtol) for name in expected]


def _check(name: str, signature: str, expected: list[Array], received: list[Array], rtol: float) -> OutputCheck:
    largest = error = 0.0
    for want, got in zip(expected, received, strict=True):
        if want.shape != got.shape:
            error = float("inf")
            continue
        largest = max(largest, _largest(want))
        error = max(error, _difference(want, got))
    # 0 / 0 is agreement; any error on an output of zeros is infinite, never hidden.
    relative = 0.0 if error == 0 else (error / largest if largest > 0 else float("inf"))
    exact = expected[0].dtype.kind != "f"
    return OutputCheck(name, signature, largest, error, relative, error == 0 if exact else relative <= rtol)


def _largest(values: Array) -> float:
    finite = np.abs(values[np.isfinite(values)].astype(np.float64))
    return float(finite.max(initial=0.0))


def _difference(want: Array, got: Array) -> float:
    want, got = want.astype(np.float64), got.astype(np.float64)
    finite = np.isfinite(want) & np.isfinite(got)
    if not np.array_equal(want[~finite], got[~finite], equal_nan=True):
        return float("inf")
    return float(np.abs(want[finite] - got[finite]).max(initial=0.0))


def _batches(specs: tuple[TensorSpec, ...], inputs: Inputs | None) -> Iterator[Feeds]:
    if inputs is None:
        open_batch = all(spec.shape and spec.shape[0] == -1 for spec in specs)
        for place, size in enumerate(RANDOM_BATCHES if open_batch else (None,)):
            yield random_inputs(specs, size, SEED + place)
        return
    feeds = _named(specs, inputs)
    sizes = {len(value) for value in feeds.values() if value.ndim}
    if len(sizes) != 1 or 0 in sizes:
        raise RuntimeInputError(
            f"inputs: every array must hold the same number of examples, at least one, got {sorted(sizes)}"
        )
    examples = sizes.pop()
    for start in range(0, examples, LARGEST_BATCH):
        yield {name: value[start : start + LARGEST_BATCH] for name, value in feeds.items()}


def _named(specs: tuple[TensorSpec, ...], inputs: Inputs) -> Feeds:
    if isinstance(inputs, Mapping):
        return {name: np.asarray(value) for name, value in inputs.items()}
    values: list[Any] = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    if len(values) != len(specs):
        names = ", ".join(f"`{spec.name}`" for spec in specs)
        raise RuntimeInputError(f"inputs: the models take {len(specs)} ({names}), got {len(values)}")
    return {spec.name: np.asarray(value) for spec, value in zip(specs, values, strict=True)}


def _batch_size(feeds: Feeds) -> int:
    return next((len(value) for value in feeds.values() if value.ndim), 1)


def _check_same_interface(dense: Interpreter, sparse: Interpreter) -> None:
    if dense.signatures != sparse.signatures:
        raise RuntimeInputError(
            f"verify: both models must have the same signatures, `{dense.name}` has {list(dense.signatures)} and "
            f"`{sparse.name}` has {list(sparse.signatures)}; give the sparse model and its own dense twin"
        )
    for signature in dense.signatures:
        for kind, left, right in (
            ("inputs", dense.inputs(signature), sparse.inputs(signature)),
            ("outputs", dense.outputs(signature), sparse.outputs(signature)),
        ):
            if _interface(left) != _interface(right):
                raise RuntimeInputError(
                    f"verify: both models must have the same {kind}, `{dense.name}` has {_interface(left)} and "
                    f"`{sparse.name}` has {_interface(right)}; give the sparse model and its own dense twin"
                )


def _interface(specs: tuple[TensorSpec, ...]) -> list[str]:
    return sorted(f"{spec.name}: {spec.dtype} {list(spec.shape)}" for spec in specs)


def _notes(outputs: list[OutputCheck]) -> Iterator[str]:
    for output in outputs:
        if output.largest == 0.0:
            yield f"Output `{output.name}` is zero throughout, so its check proves nothing; give inputs of your own."
