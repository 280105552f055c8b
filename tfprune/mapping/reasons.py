# SPDX-License-Identifier: Apache-2.0
"""Why the rules chose what they chose, in sentences with numbers."""

from __future__ import annotations

from tfprune.converter.columns import amount
from tfprune.mapping.choice import Choice
from tfprune.mapping.rule_plan import Decision, OpenLayer


def reason(layer: OpenLayer, decision: Decision, *, unit: str, tolerance: float, verdict: str) -> str:
    """Why a layer takes what it takes.

    Args:
        layer: the layer with its rule.
        decision: what was decided.
        unit: of times.
        tolerance: of the comparison with coarse structured pruning, as a share.
        verdict: what the converter says of the layer at a high rate; ``""`` where it makes it sparse.
    """
    if not decision.cost.sparse:
        return f"stays dense: {verdict or f'{decision.pattern} at {decision.rate:.0%} zeros gains nothing'}"
    parts = [f"{layer.rule.because}; {_chosen(decision, unit)}", _compared(decision, unit, tolerance)]
    if decision.rate >= layer.limit.most_rate:
        parts.append(f"at most {layer.limit.most_rate:.0%} zeros: {layer.limit.because}")
    if decision.alternative is not None:
        parts.append(_kept(decision, decision.alternative))
    return "; ".join(parts)


def _chosen(decision: Decision, unit: str) -> str:
    return f"{decision.pattern} at {decision.rate:.0%} zeros: {amount(decision.cost.time)} {unit}"


def _compared(decision: Decision, unit: str, tolerance: float) -> str:
    coarse = f"{amount(decision.coarse)} {unit} of a dense layer with {decision.rate:.0%} of the filters less"
    slower = ", ".join(f"{pattern} {amount(time)}" for pattern, time in decision.passed)
    passed = f"; too slow: {slower}" if slower else ""
    if decision.forced:
        return f"the fastest of all: with slower ones the budget is not met ({coarse})"
    if decision.bound is not None:
        return (
            f"no pattern comes within {tolerance:.0%} of the {coarse}; this is the finest within {tolerance:.0%} of "
            f"the fastest one, {amount(decision.bound)}{passed}"
        )
    return f"the finest within {tolerance:.0%} of the {coarse}{passed}"


def _kept(decision: Decision, alternative: Choice) -> str:
    own, other = decision.kept
    said = f"{alternative.pattern} at {alternative.sparsity:.0%} zeros"
    if decision.choice == alternative:
        return f"{said} instead: no slower, and it keeps {other:.1%} of the magnitude and not {own:.1%}"
    return f"in the same time {said} would keep {other:.1%} of the magnitude, this keeps {own:.1%}"
