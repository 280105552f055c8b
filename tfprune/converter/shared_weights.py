# SPDX-License-Identifier: Apache-2.0
"""Operators that share weights: packed once where one encoding serves all, dense where something needs them so."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from tfprune.converter.capability import Layer, Refused
from tfprune.converter.finding import Finding
from tfprune.converter.graph import Graph
from tfprune.converter.plan import SIZE_WEIGHT, Plan, affordable

#: A finding with a plan, and its layer or matrix of gates.
_User = tuple[Finding, Layer, Plan]


def settle(graph: Graph, findings: Sequence[Finding], min_speedup: float) -> None:
    """Changes the outcome of findings that share weights.

    Where the dense weights have to stay for another use, or the packed ones together would not be smaller, all of them
    stay dense. An LSTM whose one matrix stays dense keeps the other one too.

    Args:
        graph: the model; not changed.
        findings: all findings; their outcomes are changed.
        min_speedup: least predicted speed-up of a layer.
    """
    pending = True
    while pending:
        by_buffers = _users(findings)
        taken = Counter(buffer for buffers, users in by_buffers.items() for buffer in buffers * len(users))
        refused = [
            (finding, reason)
            for buffers, users in by_buffers.items()
            if (reason := _reason(users, max(graph.buffer_uses(each) - taken[each] for each in buffers), min_speedup))
            for finding, *_ in users
        ]
        for finding, reason in refused:
            for each in findings:
                if (each.subgraph, each.index) == (finding.subgraph, finding.index):
                    each.outcome = reason
        pending = bool(refused)


def _users(findings: Iterable[Finding]) -> dict[tuple[int, ...], list[_User]]:
    """Findings that would be packed, by the buffers of their weights."""
    users: dict[tuple[int, ...], list[_User]] = defaultdict(list)
    for finding in findings:
        layer = finding.prunable
        if layer is not None and isinstance(finding.outcome, Plan):
            users[finding.buffers].append((finding, layer, finding.outcome))
    return users


def _reason(users: list[_User], others: int, min_speedup: float) -> Refused | None:
    """Why the users of the same weights stay dense; None where they do not. Gives them common plans where that pays.

    Args:
        users: all that would be packed.
        others: other uses of the weights.
        min_speedup: least predicted speed-up of a layer.
    """
    if others > 0:
        return Refused("shared_weights", f"the weights are also used in {others} place(s) that stay dense")
    alike: dict[object, list[_User]] = defaultdict(list)
    for user in users:
        alike[user[1].meaning()].append(user)
    packed = [plans for group in alike.values() for plans in _distinct(_agree(group, min_speedup))]
    total, dense = sum(plan.packed_bytes for plan in packed), users[0][0].dense_bytes
    # What is packed once was compared with the dense weights before.
    if len(packed) > 1 and total >= dense:
        text = f"packed {total} bytes for {len(packed)} operators that share the weights, dense {dense}"
        return Refused("not_smaller", text)
    return None


def _agree(users: list[_User], min_speedup: float) -> list[Plan]:
    """The plans of operators whose packed weights mean the same: one for all, or each its own where that costs less."""
    own = [plan for *_, plan in users]
    if len(_distinct(own)) == 1 or any(finding.known is None or finding.layer is None for finding, *_ in users):
        return own
    known = [
        {plan.encoding_name: plan for plan in (*affordable(finding.known, min_speedup), outcome)}
        for finding, _, outcome in users
        if finding.known is not None
    ]
    common = [name for name in known[0] if all(name in plans for plans in known)]
    choices = [own, *([plans[name] for plans in known] for name in common)]
    small = [plans for plans in choices if _bytes(plans) < users[0][0].dense_bytes]
    best = min(small or [own], key=lambda plans: sum(plan.sparse_time for plan in plans) * _bytes(plans) ** SIZE_WEIGHT)
    for (finding, *_), plan in zip(users, best, strict=True):
        finding.outcome = plan
    return best


def _distinct(plans: Iterable[Plan]) -> list[Plan]:
    return list({plan.encoding_name: plan for plan in plans}.values())


def _bytes(plans: Iterable[Plan]) -> int:
    return sum(plan.packed_bytes for plan in _distinct(plans))
