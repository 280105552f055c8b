# SPDX-License-Identifier: Apache-2.0
"""The rows of a report, counted from the weights as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tfprune.keras.choice import MaskChooser
from tfprune.keras.layers import PrunableWeight, SkippedWeight, kernel_name, to_numpy
from tfprune.keras.progress import Progress
from tfprune.keras.report import LayerReport
from tfprune.sparsity.measure import density

# Where something has filled zeros in.
_REPLACED = "something replaced its weights after the last step (see `reproject`)"


def count_rows(
    progress: Sequence[Progress], skipped: Sequence[SkippedWeight], chooser: MaskChooser, *, goes_on: bool
) -> Iterator[LayerReport]:
    """Counts weights.

    Args:
        progress: Weights that are pruned.
        skipped: Weights that are not.
        chooser: What chooses the masks.
        goes_on: Whether the schedules still count: masks are not held.

    Yields:
        One row a weight.
    """
    for each in progress:
        status, reason = each.status
        notes = (
            _REPLACED if each.is_refilled else "",
            reason or chooser.shape_reason(each.weight),
            each.unfinished if status == "pruned" and goes_on else "",
            each.weight.note,
        )
        pattern = f"{each.pattern}{chooser.note(each.pattern)}"
        reason = "; ".join(filter(None, notes))
        yield _row(each.weight, pattern=pattern, target=each.target, status=status, reason=reason)
    for weight in skipped:
        yield _row(weight, pattern=None, target=None, status="skipped", reason=weight.reason)


def _row(
    weight: PrunableWeight | SkippedWeight, *, pattern: str | None, target: float | None, status: str, reason: str
) -> LayerReport:
    """A report's line on a weight, counted now."""
    found = density(to_numpy(weight.variable) if isinstance(weight, SkippedWeight) else weight.effective)
    return LayerReport(
        layer=weight.layer,
        variable=kernel_name(weight.variable),
        shape=tuple(weight.variable.shape),
        pattern=pattern,
        target=target,
        achieved=found.sparsity,
        kept=found.kept,
        total=found.total,
        status=status,
        reason=reason,
    )
