# SPDX-License-Identifier: Apache-2.0
"""What a training that begins will not reach, said before its first step."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

from tfprune.keras.choice import MaskChooser
from tfprune.keras.progress import Progress


def foreseen_problems(progress: Sequence[Progress], chooser: MaskChooser, end: int | None) -> list[str]:
    """Looks for what cannot come true.

    Args:
        progress: The weights, their schedules without open ends.
        chooser: What chooses their masks.
        end: Step at which the training ends; None if unknown.

    Returns:
        What will not be reached, for one warning; empty if all is well.
    """
    late = [each for each in progress if end is not None and end < _enough(each)]
    unreached = [each for each in progress if not each.can_end]
    empty = [each for each in progress if each.ends_empty and not chooser.keeps_some(each.pattern)]
    return [
        *_late(late, len(progress), end),
        *(
            f"{pattern} cannot be as dense as sparsity {each[0].schedule.final:g}, so these stay dense: {_names(each)}"
            for pattern, each in _grouped(unreached)
        ),
        *(
            f"{pattern} keeps no cell at sparsity {each[0].schedule.final:g}, so all weights go (use smaller cells, a "
            f"lower sparsity or `filters`) of: {_names(each)}"
            for pattern, each in _grouped(empty)
        ),
    ]


def _enough(each: Progress) -> int:
    """The first step at which a training may end; one that goes back at the last cut must train after it."""
    return each.last_step + each.schedule.rewinds(each.last_step)


def _late(late: Sequence[Progress], count: int, end: int | None) -> Iterable[str]:
    """Schedules that end after the training does."""
    for last, members in _by(late, lambda each: each.last_step):
        finals = {each.schedule.final for each in members}
        text = f"sparsity {finals.pop():g}" if len(finals) == 1 else "sparsities"
        whose = "" if len(members) == count else f" of {_names(members)}"
        yield f"the schedule{whose} reaches its final {text} at step {last}, this training ends at step {end}"


def _grouped(progress: Sequence[Progress]) -> list[tuple[str, list[Progress]]]:
    """Weights of one pattern and final sparsity, with the pattern in words."""
    groups = _by(progress, lambda each: (each.pattern, each.schedule.final))
    return [(str(members[0].pattern), members) for _, members in groups]


def _by(progress: Sequence[Progress], key: Callable[[Progress], Hashable]) -> list[tuple[Hashable, list[Progress]]]:
    """Weights with the same key, in order of the first."""
    groups: dict[Hashable, list[Progress]] = {}
    for each in progress:
        groups.setdefault(key(each), []).append(each)
    return list(groups.items())


def _names(progress: Sequence[Progress]) -> str:
    """Names of layers, for messages."""
    return ", ".join(each.weight.layer for each in progress)
