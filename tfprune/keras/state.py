# SPDX-License-Identifier: Apache-2.0
"""Where a pruning stands, apart from any model, and its file.

The file is numpy's ``.npz`` without pickled objects: a header of JSON and the masks, one bit a weight. It holds no
weights. It knows the weights that it belongs to by a digest instead, so a state never meets weights of another step.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PruningError
from tfprune.files import write_file
from tfprune.sparsity.blocks import Mask

_FORMAT = "tfprune pruning state"
_VERSION = 1


@dataclass(frozen=True)
class PackedMask:
    """A mask in one bit a weight.

    Args:
        bits: Bytes, the first weight in the highest bit.
        shape: Shape of the mask.
    """

    bits: npt.NDArray[np.uint8]
    shape: tuple[int, ...]

    @classmethod
    def pack(cls, mask: Mask) -> PackedMask:
        """Packs a mask.

        Args:
            mask: True where a weight stays.

        Returns:
            The packed mask.
        """
        return cls(np.packbits(mask), mask.shape)

    def unpack(self) -> Mask:
        """Undoes `pack`.

        Returns:
            The mask.
        """
        size = math.prod(self.shape)
        return np.unpackbits(self.bits, count=size).astype(np.bool_).reshape(self.shape)


@dataclass(frozen=True)
class WeightState:
    """Where one weight stands.

    Args:
        name: Layer and variable.
        shape: Its shape.
        pattern: Its pattern, as text.
        schedule: Its schedule with all ends set, as text.
        penalty: Its penalty with all ends set, as text.
        target: Sparsity asked for so far.
        reason: Why it is dense; empty if it is not.
        mask: Its mask.
        penalty_state: What its penalty goes by, arrays by name; None: none acts.
    """

    name: str
    shape: tuple[int, ...]
    pattern: str
    schedule: str
    penalty: str
    target: float
    reason: str
    mask: PackedMask
    penalty_state: Mapping[str, npt.NDArray[Any]] | None


@dataclass(frozen=True)
class PruningState:
    """Where a pruning stands between two steps.

    Args:
        step: Training steps done.
        checked_step: The last step whose turn has been looked at.
        looked_step: The last step at which penalties that were due have looked at the weights.
        chosen_step: The step whose sparsity the masks have; None before the first choice.
        planned_steps: Length of the training that set the schedules' open ends; None if there were none.
        weights: One entry a pruned weight.
        digest: Digest of the values of these weights, see `digest_of`.
        held: Why masks stay as they are from now on; empty if they do not.
        armed: Whether the accuracy has been within the bounds of `stop_below`.
        values: Saved values that weights may go back to, see `Rewinding`.
    """

    step: int
    checked_step: int
    looked_step: int
    chosen_step: int | None
    planned_steps: int | None
    weights: tuple[WeightState, ...]
    digest: str
    held: str = ""
    armed: bool = False
    values: Mapping[int, npt.NDArray[Any]] = field(default_factory=dict)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the state as a whole or not at all; an older file is replaced.

        Args:
            path: Where to; its folder must exist.

        Raises:
            OutputError: The file cannot be written.
        """
        arrays: dict[str, npt.NDArray[Any]] = {}
        for index, weight in enumerate(self.weights):
            arrays[f"mask_{index}"] = weight.mask.bits
            for name, value in (weight.penalty_state or {}).items():
                arrays[f"penalty_{index}_{name}"] = np.packbits(value) if value.dtype == np.bool_ else value
        for key, value in self.values.items():
            # Of the types that Keras trains, numpy's files hold all but bfloat16, which float32 holds.
            arrays[f"value_{key}"] = value if value.dtype.kind == "f" else value.astype(np.float32)
        header = {"format": _FORMAT, "version": _VERSION, **_plain(self)}
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
        content = io.BytesIO()
        np.savez(content, **arrays)  # type: ignore[arg-type]  # the stubs take the keywords for options
        write_file(path, content.getvalue(), overwrite=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PruningState:
        """Undoes `save`.

        Args:
            path: The file.

        Returns:
            The state.

        Raises:
            PruningError: The file is missing, damaged, or no state of a pruning.
        """
        name = os.fspath(path)
        try:
            with np.load(io.BytesIO(Path(path).read_bytes()), allow_pickle=False) as file:
                arrays = {key: file[key] for key in file.files}
            header = json.loads(arrays.pop("header").tobytes())
            found = header.pop("format"), header.pop("version")
        except FileNotFoundError as error:
            raise PruningError(f"A pruning goes on from a file. Received: {name!r}, which is missing.") from error
        except (OSError, ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
            raise _damaged(name, error) from error
        if found != (_FORMAT, _VERSION):
            raise PruningError(
                f"The file must hold the {_FORMAT}, version {_VERSION}. Received: {name!r} with {found[0]!r}, version "
                f"{found[1]!r}. Was it written by a newer tfprune?"
            )
        try:
            return _rebuild(header, arrays)
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(name, error) from error


def digest_of(values: Iterable[npt.NDArray[Any]]) -> str:
    """A digest of weights: equal bytes in the same order give the same one.

    Args:
        values: The weights.

    Returns:
        Hexadecimal digits.
    """
    digest = hashlib.blake2b(digest_size=16)
    for value in values:
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def check_same_pruning(saved: Sequence[WeightState], now: Sequence[WeightState]) -> None:
    """Refuses a state of another model or another way of pruning it.

    Args:
        saved: The weights of the state that is to be taken up.
        now: Those of the pruning that is to take it up.

    Raises:
        PruningError: Weights, shapes, patterns, schedules or penalties differ; the message names the first difference.
    """
    names, expected = [each.name for each in saved], [each.name for each in now]
    if names != expected:
        missing = [name for name in names if name not in expected]
        added = [name for name in expected if name not in names]
        raise _other("weights", f"{missing or names} only in the state, {added or expected} only in this pruning")
    for old, new in zip(saved, now, strict=True):
        for part in ("shape", "pattern", "schedule", "penalty"):
            before, after = getattr(old, part), getattr(new, part)
            if before != after:
                raise _other(f"the {part} of {old.name!r}", f"{before} in the state, {after} in this pruning")


def _plain(state: PruningState) -> dict[str, Any]:
    """All fields but the masks, as plain values."""
    weights = [{**vars(weight)} for weight in state.weights]
    for weight in weights:
        del weight["mask"], weight["penalty_state"]
    return {**{key: value for key, value in vars(state).items() if key != "values"}, "weights": weights}


def _rebuild(header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> PruningState:
    """Undoes `_plain`, with the masks."""
    weights = []
    for index, plain in enumerate(header["weights"]):
        shape = tuple(plain["shape"])
        mask = _packed(arrays[f"mask_{index}"], shape)
        known = {**plain, "shape": shape}
        weights.append(
            WeightState(**known, mask=mask, penalty_state=_penalty_state(arrays, f"penalty_{index}_", shape))
        )
    values = {int(key.removeprefix("value_")): value for key, value in arrays.items() if key.startswith("value_")}
    return PruningState(**{**header, "weights": tuple(weights)}, values=values)


def _penalty_state(
    arrays: Mapping[str, npt.NDArray[Any]], prefix: str, shape: tuple[int, ...]
) -> dict[str, npt.NDArray[Any]] | None:
    """What a penalty goes by; None if nothing is there."""
    found = {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
    # Only masks are bytes.
    state = {
        name: _packed(value, shape).unpack() if value.dtype == np.uint8 else value for name, value in found.items()
    }
    wrong = {name: value.shape for name, value in state.items() if value.ndim > 1 and value.shape != shape}
    if wrong:
        raise ValueError(f"the penalty of a weight of shape {shape} has arrays of other shapes: {wrong}")
    return state or None


def _packed(bits: npt.NDArray[Any], shape: tuple[int, ...]) -> PackedMask:
    if bits.dtype != np.uint8 or bits.shape != (-(-math.prod(shape) // 8),):
        raise ValueError(f"a mask of shape {shape} has {bits.shape} bytes of type {bits.dtype}")
    return PackedMask(bits, shape)


def _damaged(name: str, error: Exception) -> PruningError:
    return PruningError(
        f"The file must hold the {_FORMAT}. Received: {name!r}, which is damaged or something else ({error}). Delete "
        "it to begin anew."
    )


def _other(subject: str, received: str) -> PruningError:
    return PruningError(
        f"A pruning goes on from a state of the same model, pruned in the same way. {subject[0].upper()}{subject[1:]} "
        f"differ: {received}. Use the arguments of then, or begin anew without this state (delete its file)."
    )
