# SPDX-License-Identifier: Apache-2.0
"""Orders of channels that put similar ones next to each other, so that groups of neighbours are worth more.

Two channels are similar if their large weights are at the same places. A group is one decision for all of its channels:
it keeps much where they agree. Where every few neighbours keep the same number of weights, the opposite is wanted:
large weights at different places.

Source: reordering output channels by similarity before unaligned groups are chosen is the "channel permutation" of
unaligned block-wise pruning (arXiv 2407.19644). Centred scores and the choice among several orders are tfprune's own.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Order: TypeAlias = npt.NDArray[np.intp]
"""Channel at each place: a permutation of ``0 .. channels - 1``."""


def candidate_orders(
    scores: npt.NDArray[np.floating], sparsity: float, group: int, *, alike: bool = True
) -> dict[str, Order]:
    """Orders worth trying for groups of neighbouring channels.

    Two views of the scores are compared: *kept*, what an unstructured mask of the same sparsity leaves of them; and
    *centred*, the scores less the mean over channels at each place.

    Args:
        scores: Non-negative scores ``[channels, places]``: all weights of each channel.
        sparsity: Fraction of weights to be removed, in [0, 1).
        group: Channels in a group, at least 2.
        alike: Whether neighbours are to be similar (default) or as different as possible.

    Returns:
        Orders by name: ``"norm"`` largest channel first, or dealt out to all groups in turn if they are to differ;
        ``"chain"`` each channel after those most like it, for groups that may start anywhere; ``"blocks"`` groups
        filled one by one, for aligned groups. The same input gives the same orders.
    """
    norms = scores.sum(axis=1)
    # A threshold instead of exact ranks: the order is only a proposal.
    least = np.quantile(scores, sparsity)
    views = {"kept": np.where(scores >= least, scores, 0), "centred": scores - scores.mean(axis=0)}
    by_norm = np.argsort(-norms, kind="stable")
    groups = -(-len(norms) // group)
    orders = {"norm": by_norm if alike else np.concatenate([by_norm[first::groups] for first in range(groups)])}
    for name, view in views.items():
        cosines = _cosines(view.astype(np.float32))
        similarity = cosines if alike else -cosines
        orders[f"chain, {name} scores"] = chain(similarity, int(norms.argmax()), group)
        orders[f"blocks, {name} scores"] = blocks(similarity, norms, group)
    return orders


def chain(similarity: npt.NDArray[np.floating], first: int, group: int) -> Order:
    """Adds, one by one, the channel most like the last ``group - 1``, of which nearer ones count more.

    Args:
        similarity: ``[channels, channels]``.
        first: Channel to begin with.
        group: Channels in a group, at least 2.

    Returns:
        The order.
    """
    count = len(similarity)
    order = np.empty(count, np.intp)
    left = np.zeros(count, similarity.dtype)  # -inf where placed
    order[0] = first
    left[first] = -np.inf
    nearness = np.arange(1, group, dtype=similarity.dtype)
    for place in range(1, count):
        last = order[max(0, place - group + 1) : place]
        order[place] = np.argmax(nearness[-len(last) :] @ similarity[last] + left)
        left[order[place]] = -np.inf
    return order


def blocks(similarity: npt.NDArray[np.floating], norms: npt.NDArray[np.floating], group: int) -> Order:
    """Fills groups one after the other: the largest channel left, then those most like the ones already in it.

    Args:
        similarity: ``[channels, channels]``.
        norms: Size of each channel.
        group: Channels in a group, at least 2.

    Returns:
        The order.
    """
    count = len(similarity)
    order = np.empty(count, np.intp)
    left = np.zeros(count, similarity.dtype)  # -inf where placed
    for place in range(count):
        filled = place % group
        likeness = similarity[order[place - filled : place]].sum(axis=0) if filled else norms
        order[place] = np.argmax(likeness + left)
        left[order[place]] = -np.inf
    return order


def _cosines(view: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Cosine of the angle between any two rows; 0 for rows of zeros."""
    norms = np.linalg.norm(view, axis=1, keepdims=True)
    unit = np.divide(view, norms, out=np.zeros_like(view), where=norms > 0)
    cosines: npt.NDArray[np.float32] = unit @ unit.T
    return cosines
