# SPDX-License-Identifier: Apache-2.0
"""Penalties as a term of a loss: value and gradient against numpy, in compiled steps of every back end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import tfprune as tp
from tfprune.errors import PruningError, RecipeError
from tfprune.keras.layers import to_numpy
from tfprune.keras.penalty_loss import PenaltyLoss
from tfprune.sparsity import patterns
from tfprune.sparsity.layouts import MatrixShape
from tfprune.sparsity.penalties import AdmmPenalty, Penalty, PriorMaskPenalty, ReweightedGroupPenalty
from tfprune.sparsity.penalties.cells import pattern_cells
from tfprune.sparsity.schedules import StrengthRamp
from tfprune.sparsity.select import select

pytestmark = pytest.mark.backends

GRID = patterns.Groups(rows=4, aligned=True)
SHAPE = (6, 8)


def model_of(weights: np.ndarray) -> Any:
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, name="hidden"), keras.layers.Dense(1)])
    model.get_layer("hidden").kernel.assign(weights)
    return model


def kernel(model: Any) -> np.ndarray:
    return to_numpy(model.get_layer("hidden").kernel).astype(np.float64)


def term_of(penalty: Penalty, pattern: patterns.Pattern = GRID, **options: Any) -> PenaltyLoss:
    return PenaltyLoss(penalty, pattern, 0.5, **{"filters": "hidden", "min_weights": 1, **options})


def constant(strength: float) -> StrengthRamp:
    return StrengthRamp(strength, end_step=0)


def compiled(term: PenaltyLoss, model: Any) -> Callable[[], tuple[float, np.ndarray]]:
    """The term and its gradient by the hidden kernel, in a step that is compiled once."""
    variable = model.get_layer("hidden").kernel
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        @tf.function
        def step() -> Any:
            with tf.GradientTape() as tape:
                loss = term(model)
            return loss, tape.gradient(loss, variable.value)

        return lambda: tuple(np.asarray(each) for each in step())  # type: ignore[return-value]
    if keras.backend.backend() == "jax":
        import jax

        place = next(index for index, each in enumerate(model.trainable_variables) if each is variable)
        value = jax.jit(jax.value_and_grad(lambda *values: term.stateless_call(model, *values)))

        def run() -> tuple[float, np.ndarray]:
            loss, gradients = value(
                [each.value for each in model.trainable_variables], [each.value for each in term.variables]
            )
            return float(loss), np.asarray(gradients[place])

        return run

    def plain() -> tuple[float, np.ndarray]:
        variable.value.grad = None
        loss = term(model)
        loss.backward()
        return float(loss.detach()), variable.value.grad.numpy()

    return plain


def group_term(weights: np.ndarray, old: np.ndarray, eps: float) -> tuple[float, np.ndarray]:
    cells = pattern_cells(GRID, MatrixShape(8, 1, 6))
    assert cells is not None
    ids = cells.ids[:, 0].T
    total, gradient = 0.0, np.zeros_like(weights)
    for number in range(cells.count):
        group = ids == number
        coefficient, norm = 1 / (np.linalg.norm(old[group]) + eps), float(np.linalg.norm(weights[group]))
        total += coefficient * norm
        if norm:
            gradient[group] = coefficient * weights[group] / norm
    return total, gradient


def test_value_and_gradient_follow_the_formula_step_by_step() -> None:
    rng = np.random.default_rng(5)
    old, new = rng.standard_normal(SHAPE).astype(np.float32), rng.standard_normal(SHAPE).astype(np.float32)
    old[0, :4] = new[1, 4:] = 0.0  # a group whose norm is 0 at the look, and one that becomes 0
    mask = select(old, GRID, 0.5)
    ramp = StrengthRamp(4.0, end_step=2, initial=2.0)
    squared = 2.0 * (new * ~mask), 2 * 2.0 * (new * ~mask)
    cases: dict[Penalty, tuple[float, np.ndarray]] = {
        PriorMaskPenalty(ramp): (float((squared[0] * new).sum()), squared[1]),
        AdmmPenalty(ramp): (float(((new - old * mask) ** 2).sum()), 2.0 * (new - old * mask)),
        ReweightedGroupPenalty(ramp, eps=0.5): tuple(2.0 * each for each in group_term(new, old, 0.5)),  # type: ignore[misc]
    }
    for penalty, (value, gradient) in cases.items():
        model = model_of(old)
        term = term_of(penalty)
        term.update(model, 0)
        step = compiled(term, model)
        step()
        model.get_layer("hidden").kernel.assign(new)
        found = step()
        assert float(found[0]) == pytest.approx(value, rel=1e-5)
        np.testing.assert_allclose(found[1], gradient, rtol=1e-4, atol=1e-5)
        # The compiled step sees what `update` changes: the strength, and at a refresh what is penalised.
        term.update(model, 1)
        assert float(step()[0]) == pytest.approx(1.5 * value, rel=1e-5)
        term.refresh(model)
        assert float(step()[0]) != pytest.approx(1.5 * value, rel=1e-2)


def test_the_gradient_is_finite_where_everything_is_zero() -> None:
    model = model_of(np.zeros(SHAPE))
    term = term_of(ReweightedGroupPenalty(constant(1.0)))
    term.update(model, 0)
    loss, gradient = compiled(term, model)()
    assert float(loss) == 0
    np.testing.assert_array_equal(gradient, np.zeros(SHAPE))


def test_of_unaligned_groups_what_is_kept_has_no_gradient() -> None:
    weights = np.random.default_rng(5).standard_normal(SHAPE)
    model, pattern = model_of(weights), patterns.Groups(rows=4)
    term = term_of(ReweightedGroupPenalty(constant(1.0)), pattern)
    term.update(model, 0)
    _, gradient = compiled(term, model)()
    np.testing.assert_array_equal(gradient == 0, select(weights.astype(np.float32), pattern, 0.5))


def test_update_refreshes_when_the_penalty_is_due() -> None:
    model = model_of(np.random.default_rng(5).standard_normal(SHAPE))
    term = term_of(PriorMaskPenalty(StrengthRamp(1.0, begin_step=2, end_step=2), refresh=3))
    values = []
    for step in range(7):
        term.update(model, step)
        values.append(float(keras.ops.convert_to_numpy(term(model))))
        if step == 3:  # what was kept is small now, but the choice is as old as step 2
            mask = select(kernel(model), GRID, 0.5)
            model.get_layer("hidden").kernel.assign(np.where(mask, 0.001, kernel(model)))
    assert values[:2] == [0, 0]
    assert values[2] == values[3] == values[4] > 0
    assert values[5] == values[6] != values[2]
    # A training that begins in the middle looks at once.
    late = term_of(PriorMaskPenalty(constant(1.0)))
    late.update(model, 40)
    assert float(keras.ops.convert_to_numpy(late(model))) > 0


def test_several_layers_and_half_precision() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = model_of(np.ones(SHAPE))
    term = PenaltyLoss(PriorMaskPenalty(constant(1.0)), patterns.Unstructured(), 0.5, filters="*", min_weights=1)
    term.update(model, 0)
    loss = term(model)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    head = to_numpy(model.layers[-1].kernel)
    dropped = head[~select(head, patterns.Unstructured(), 0.5)]
    assert float(keras.ops.convert_to_numpy(loss)) == pytest.approx(24 + (dropped**2).sum())
    assert len(term.variables) == 4


def test_what_is_wrong_is_said() -> None:
    model, other = model_of(np.ones(SHAPE)), model_of(np.ones(SHAPE))
    term = term_of(PriorMaskPenalty(constant(1.0)))
    with pytest.raises(PruningError, match=r"look at the weights .* without an `update"):
        term(model)
    term.update(model, 0)
    with pytest.raises(PruningError, match="belongs to one model"):
        term.update(other, 0)
    for step in (-1, 1.5, "x"):
        with pytest.raises(PruningError, match=rf"`step` of PenaltyLoss\.update .* at least 0\. Received: {step!r}\."):
            term.update(model, step)  # type: ignore[arg-type]
    with pytest.raises(PruningError, match="`model` must be a Keras model"):
        term_of(PriorMaskPenalty(constant(1.0))).update(None, 0)
    with pytest.raises(PruningError, match="needs an end"):
        term_of(PriorMaskPenalty(StrengthRamp(1.0)))
    with pytest.raises(PruningError, match="`penalty` of `PenaltyLoss`"):
        PenaltyLoss(3.0, GRID, 0.5)  # type: ignore[arg-type]
    with pytest.raises(PruningError, match="final sparsity"):
        PenaltyLoss(PriorMaskPenalty(constant(1.0)), GRID, filters="hidden", min_weights=1).update(other, 0)
    with pytest.raises(PruningError, match=r"no layer to penalise.*fewer than"):
        PenaltyLoss(PriorMaskPenalty(constant(1.0)), GRID, 0.5).update(other, 0)
    model.get_layer("hidden").kernel.assign(np.full(SHAPE, np.nan))
    with pytest.raises(PruningError, match=r"finite.*'hidden'"):
        term.refresh(model)
    with pytest.raises(RecipeError, match="scores"):
        term_of(PriorMaskPenalty(constant(1.0)), scores="l7")
    assert tp.penalties.PenaltyLoss is PenaltyLoss
