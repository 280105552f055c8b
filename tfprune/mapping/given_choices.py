# SPDX-License-Identifier: Apache-2.0
"""Choices that a caller gives: candidates of layers, and whole mappings to begin with; checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tfprune.errors import MappingError
from tfprune.mapping.choice import Choice
from tfprune.mapping.mapping import Mapping as Mapped
from tfprune.mapping.network import Network


def given_candidates(network: Network, candidates: Any) -> dict[str, tuple[Choice, ...]]:
    """The candidates that a caller gives.

    Args:
        network: has the layers.
        candidates: choices by layer name.

    Raises:
        MappingError: an unknown layer, or something else than lists of choices by layer name.
    """
    if not isinstance(candidates, Mapping):
        raise MappingError(f"candidates must be lists of choices by layer name, got {candidates!r}")
    for name, choices in candidates.items():
        network.layer(name)
        if not isinstance(choices, Sequence) or isinstance(choices, str) or not all(map(_is_choice, choices)):
            raise MappingError(
                f"candidates of layer {name!r} must be a list of Choice, such as [Choice(Groups(4), 0.8)], got "
                f"{choices!r}"
            )
    return {name: tuple(choices) for name, choices in candidates.items()}


def given_mappings(network: Network, start: Any) -> tuple[dict[str, Choice], ...]:
    """The mappings that a caller gives: choices by layer name, or what rules or a search have found.

    Args:
        network: has the layers.
        start: the mappings; None: none.

    Raises:
        MappingError: an unknown layer, or something else than a list of mappings.
    """
    if start is None:
        return ()
    if isinstance(start, (str, Mapping, Mapped)) or not isinstance(start, Iterable):
        raise MappingError(
            f"start must be a list of mappings, got {type(start).__name__}; put one in a list: [mapping]"
        )
    return tuple(_choices_of(network, each) for each in start)


def _choices_of(network: Network, given: Any) -> dict[str, Choice]:
    choices = given.choices if isinstance(given, Mapped) else given
    if not isinstance(choices, Mapping) or not all(map(_is_choice, choices.values())):
        raise MappingError(
            f"start must be a list of mappings, each one of rules or Choice by layer name, got {given!r}"
        )
    for name in choices:
        network.layer(name)
    return dict(choices)


def _is_choice(value: Any) -> bool:
    return isinstance(value, Choice)
