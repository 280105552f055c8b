# SPDX-License-Identifier: Apache-2.0
"""Which patterns, block sizes and rates each layer of a network may have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tfprune.errors import MappingError, PatternError
from tfprune.mapping.choice import DENSE, Choice
from tfprune.mapping.documents import Document, mapping_errors, open_document
from tfprune.mapping.network import KINDS, Network, NetworkLayer
from tfprune.recipe import DEFAULT_MIN_WEIGHTS
from tfprune.recipe.document import Node
from tfprune.recipe.reading import check_mapping, read_object
from tfprune.sparsity.patterns import Pattern
from tfprune.sparsity.patterns.base import check_sparsity

#: Shares of zeros that a layer may have.
RATES = (0.5, 0.6, 0.7, 0.8, 0.9)
_SUBJECT = "file of candidates"


def candidates(
    network: Network,
    *,
    rates: Sequence[float] = RATES,
    min_weights: int = DEFAULT_MIN_WEIGHTS,
    patterns: Document | None = None,
) -> dict[str, tuple[Choice, ...]]:
    """What each layer of a network may become.

    Args:
        network: the model.
        rates: shares of zeros, each in (0, 1). A pattern with a rate of its own has only that.
        min_weights: layers with fewer weights stay dense.
        patterns: YAML or JSON file, or dictionary: patterns by kind of layer. None (default): ``candidates.yaml`` of
            tfprune.

    Returns:
        Choices by layer name, :data:`~tfprune.mapping.choice.DENSE` first. It is the only one of layers that cannot be
        sparse, that are spared, such as the last ``Dense`` layer, that are small, or whose kind is not listed.

    Raises:
        MappingError: rates that are none, or what is wrong in the file, with its line.
    """
    checked = _checked_rates(rates)
    known = read_patterns(patterns)
    return {
        layer.name: (DENSE, *_choices(layer, known.get(layer.kind, ()), checked, min_weights))
        for layer in network.layers
    }


def read_patterns(source: Document | None = None) -> dict[str, tuple[Pattern, ...]]:
    """Reads patterns by kind of layer.

    Args:
        source: as for :func:`candidates`.

    Raises:
        MappingError: what is wrong, and where.
    """
    with mapping_errors():
        document = open_document(source, "candidates.yaml", _SUBJECT)
        check_mapping(document, f"a {_SUBJECT}", KINDS)
        return {kind: listed_patterns(node, kind) for kind, node in document.value.items()}


def listed_patterns(node: Node, key: str) -> tuple[Pattern, ...]:
    """The patterns of a list in a document.

    Args:
        node: the list.
        key: where it stands, for messages.

    Raises:
        RecipeError: it is no list, or holds something else.
    """
    if not isinstance(node.value, list) or not node.value:
        node.place.refuse(
            f"`{key}` must be a list of patterns, such as [{{Groups: {{rows: 4}}}}]. Received: {node.plain()!r}."
        )
    return tuple(read_object(each, "pattern") for each in node.value)


def choices_at(layer: NetworkLayer, pattern: Pattern, rates: Iterable[float]) -> tuple[Choice, ...]:
    """The choices that a layer has with one pattern.

    Args:
        layer: the layer.
        pattern: the pattern.
        rates: shares of zeros.

    Returns:
        A choice for each rate that leaves something and removes something; none where the pattern does not apply to the
        layer, or its blocks are larger than the layer, where a smaller block does the same.
    """
    shape, matrix = layer.weights.shape, layer.matrix_shape
    try:
        pattern.check(matrix)
    except PatternError:
        return ()
    if pattern.extent[0] > matrix.rows or pattern.extent[1] > matrix.cols:
        return ()
    own = pattern.own_sparsity(matrix)
    wanted = rates if own is None else (own,)
    return tuple(
        Choice(pattern, rate)
        for rate in wanted
        if pattern.reaches(rate, shape, layer.layout)
        and 0 < pattern.count_cells(rate, matrix) * pattern.cell_size(matrix) < matrix.size
    )


def _choices(
    layer: NetworkLayer, patterns: Iterable[Pattern], rates: tuple[float, ...], min_weights: int
) -> tuple[Choice, ...]:
    if not layer.pruned_by_default(min_weights):
        return ()
    return tuple(choice for pattern in patterns for choice in choices_at(layer, pattern, rates))


def _checked_rates(rates: Sequence[float]) -> tuple[float, ...]:
    try:
        checked = tuple(sorted({check_sparsity(rate, "rates") for rate in rates}))
    except (PatternError, TypeError) as error:
        raise MappingError(f"rates must be numbers in (0, 1), got {rates!r}") from error
    if not checked or checked[0] == 0:
        raise MappingError(f"rates must be at least one number in (0, 1), got {rates!r}; DENSE is always a candidate")
    return checked
