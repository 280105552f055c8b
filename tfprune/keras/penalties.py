# SPDX-License-Identifier: Apache-2.0
"""Penalties on single kernels: what they read lies in variables, so that compiled steps see it change."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from keras import ops

from tfprune.errors import PruningError
from tfprune.keras.group_norms import BoxedGroups, GroupNorms, IndexedGroups
from tfprune.keras.layers import PrunableWeight, to_numpy
from tfprune.sparsity.blocks import Mask
from tfprune.sparsity.layouts import MatrixShape, from_matrix, to_matrix
from tfprune.sparsity.patterns import Pattern
from tfprune.sparsity.penalties import AdmmPenalty, Penalty, PriorMaskPenalty, ReweightedGroupPenalty
from tfprune.sparsity.penalties.admm import Splitting, draw_to
from tfprune.sparsity.penalties.cells import PenaltyCells, box_sizes, dropped_cells, most_dropped_runs, pattern_cells
from tfprune.sparsity.penalties.prior_mask import shrink_factor
from tfprune.sparsity.penalties.reweighted_group import threshold_factors
from tfprune.sparsity.scores import to_integers

State = dict[str, npt.NDArray[Any]]


class AddVariable(Protocol):
    """Makes a variable of zeros: ``add_variable`` of an optimizer, or something that takes the same arguments."""

    def __call__(self, *, shape: Sequence[int], dtype: str, name: str, layout: Any = None) -> Any:
        """The variable."""


class WeightPenalty(ABC):
    """A penalty on one kernel. It does nothing before the first `look`, and while its strength is 0.

    Args:
        penalty: Its configuration.
        weight: The kernel.
        pattern: The pattern it is trained towards.
        add_variable: Makes the variables.
    """

    #: Whether `look` needs a mask of the pattern at the final sparsity.
    needs_choice = True

    def __init__(self, penalty: Penalty, weight: PrunableWeight, pattern: Pattern, add_variable: AddVariable) -> None:
        """Makes the variables."""
        self.penalty = penalty
        self.weight = weight
        self.pattern = pattern
        self.active = False
        self._add = add_variable
        self.strength_now = 0.0
        self.strength = add_variable(shape=(), dtype="float32", name="penalty_strength")
        #: Everything that compiled steps read.
        self.variables = [self.strength]

    @abstractmethod
    def proximal(self, weights: Any, strength: Any, rate: Any) -> Any:
        """Weights after the proximal step of the term.

        Args:
            weights: Tensor.
            strength: Scalar float32 tensor above 0.
            rate: Learning rate, a scalar float32 tensor.

        Returns:
            Tensor of the same type.
        """

    @abstractmethod
    def loss(self, weights: Any) -> Any:
        """The term: a scalar float32 tensor with a gradient.

        Args:
            weights: float32 tensor of the kernel.
        """

    @abstractmethod
    def load(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Goes by what a look found, from the next step on.

        Args:
            state: The result of `look`.
        """
        self.active = True

    @abstractmethod
    def _found(self, mask: Mask | None) -> State:
        """What a look finds."""

    def look(self, mask: Mask | None) -> State:
        """Looks at the weights as they are now, and goes by that.

        Args:
            mask: The choice at the final sparsity, made from `values`; None where `needs_choice` is False.

        Returns:
            Arrays by name, for `load`.
        """
        state = self._found(mask)
        self.load(state)
        return state

    def values(self) -> npt.NDArray[Any]:
        """What the choice is made from: the weights."""
        return to_numpy(self.weight.variable)

    def set_strength(self, strength: float) -> None:
        """Sets how strong the penalty is from the next step on.

        Args:
            strength: A number of at least 0.
        """
        if strength != self.strength_now:
            self.strength_now = strength
            self.strength.assign(strength)

    def release(self) -> None:
        """Ends the penalty."""
        self.active = False
        self.set_strength(0.0)

    def _like_kernel(self, name: str, dtype: str = "float32") -> Any:
        """A variable of the kernel's shape, spread over devices as the kernel is."""
        kernel = self.weight.variable
        layout = getattr(kernel, "_layout", None)
        variable = self._add(shape=tuple(kernel.shape), dtype=dtype, name=name, layout=layout)
        self.variables.append(variable)
        return variable


class PriorMaskTerm(WeightPenalty):
    """``strength * sum((1 - M) * W ** 2)``."""

    def __init__(self, *arguments: Any) -> None:
        """Makes the variables."""
        super().__init__(*arguments)
        self._prior = self._like_kernel("prior_mask")

    def proximal(self, weights: Any, strength: Any, rate: Any) -> Any:
        """``W * (M + (1 - M) / (1 + 2 * rate * strength))``."""
        factor = ops.cast(shrink_factor(strength, rate), weights.dtype)
        return ops.where(ops.cast(self._prior, "bool"), weights, weights * factor)

    def loss(self, weights: Any) -> Any:
        """The term."""
        return ops.convert_to_tensor(self.strength) * ops.sum((1 - self._prior) * ops.square(weights))

    def load(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Takes the prior mask."""
        super().load(state)
        self._prior.assign(state["prior"].astype(np.float32))

    def _found(self, mask: Mask | None) -> State:
        """The choice is the prior mask."""
        assert mask is not None
        return {"prior": mask}


class AdmmTerm(WeightPenalty):
    """``strength / 2 * sum((W - Z + U) ** 2)``."""

    def __init__(self, *arguments: Any) -> None:
        """Makes the variables."""
        super().__init__(*arguments)
        self._target = self._like_kernel("admm_target")
        self._splitting: Splitting | None = None

    def proximal(self, weights: Any, strength: Any, rate: Any) -> Any:
        """``T + (W - T) / (1 + rate * strength)``."""
        target = ops.convert_to_tensor(self._target)
        return ops.cast(draw_to(ops.cast(weights, target.dtype), target, rate * strength), weights.dtype)

    def loss(self, weights: Any) -> Any:
        """The term."""
        return ops.convert_to_tensor(self.strength) / 2 * ops.sum(ops.square(weights - self._target))

    def values(self) -> npt.NDArray[Any]:
        """``W + U``."""
        weights = super().values()
        return weights if self._splitting is None else weights + self._splitting.dual

    def load(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Takes ``Z`` and ``U``."""
        super().load(state)
        self._splitting = Splitting(state["projected"], state["dual"])
        self._target.assign(self._splitting.target)

    def release(self) -> None:
        """Ends the penalty, and forgets how it went."""
        super().release()
        self._splitting = None

    def _found(self, mask: Mask | None) -> State:
        """Projects."""
        assert mask is not None
        weights = super().values().astype(np.float32)
        before = self._splitting
        after = Splitting.begin(weights, mask) if before is None else before.project(weights, mask)
        return {"projected": after.projected, "dual": after.dual}


class ReweightedGroupTerm(WeightPenalty):
    """``strength * sum_g coefficient_g * |W_g|``."""

    penalty: ReweightedGroupPenalty

    def __init__(self, *arguments: Any) -> None:
        """Makes the variables."""
        super().__init__(*arguments)
        weights = to_matrix(self.values(), self.weight.layout)
        shape = MatrixShape(*weights.shape)
        # Cells that a pattern finds from the weights change with them.
        known = self.pattern.fitted(to_integers(np.abs(weights))) is self.pattern
        self._fixed = pattern_cells(self.pattern, shape) if known else None
        self.needs_choice = self._fixed is None
        self._groups, self._ids = self._norms_of(self._fixed, shape)
        self._coefficients = self._add(shape=self._groups.shape, dtype="float32", name="penalty_coefficients")
        self.variables.append(self._coefficients)

    def proximal(self, weights: Any, strength: Any, rate: Any) -> Any:
        """``W_g * max(0, 1 - rate * strength * coefficient_g / |W_g|)``."""
        norms = self._groups.norms(ops.cast(weights, "float32"))
        factors = threshold_factors(norms, rate * strength * self._coefficients, ops)
        return self._groups.scale(weights, ops.cast(factors, weights.dtype))

    def loss(self, weights: Any) -> Any:
        """The term."""
        return ops.convert_to_tensor(self.strength) * ops.sum(self._coefficients * self._groups.norms(weights))

    def load(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Takes groups and coefficients."""
        super().load(state)
        if self._ids is not None:
            self._ids.assign(state["groups"])
        self._coefficients.assign(state["coefficients"].reshape(self._groups.shape))

    def _found(self, mask: Mask | None) -> State:
        """Counts groups by their norms now."""
        cells = self._fixed
        if cells is None:
            assert mask is not None
            cells = dropped_cells(self.pattern, to_matrix(mask, self.weight.layout))
        norms = cells.norms(to_matrix(self.values(), self.weight.layout))
        found = {"coefficients": self._groups.arrange(cells, self.penalty.coefficients(norms)).ravel()}
        if self._ids is not None:
            found["groups"] = from_matrix(cells.ids, tuple(self.weight.variable.shape), self.weight.layout)
        return found

    def _norms_of(self, fixed: PenaltyCells | None, shape: MatrixShape) -> tuple[GroupNorms, Any]:
        """How norms are found, and the variable of group numbers that this needs, or None."""
        if fixed is not None:
            blocks, most = box_sizes(fixed), fixed.count
        else:
            runs = most_dropped_runs(self.pattern, shape)
            blocks, most = ((1, 1, 1), shape.size) if runs is None else (None, runs)
        if blocks is not None:
            return BoxedGroups(tuple(self.weight.variable.shape), self.weight.layout, blocks), None
        ids = self._like_kernel("penalty_groups", "int32")
        return IndexedGroups(ids, most), ids


_TERMS: dict[type[Penalty], type[WeightPenalty]] = {
    PriorMaskPenalty: PriorMaskTerm,
    AdmmPenalty: AdmmTerm,
    ReweightedGroupPenalty: ReweightedGroupTerm,
}


def penalty_on(
    penalty: Penalty | None, weight: PrunableWeight, pattern: Pattern
) -> Callable[[AddVariable], WeightPenalty] | None:
    """What makes a penalty on one kernel, not active yet, once there is something to hold its variables.

    Args:
        penalty: Its configuration, or None.
        weight: The kernel.
        pattern: The pattern it is trained towards.

    Returns:
        A function of `AddVariable`; None for no penalty.

    Raises:
        PruningError: A penalty of another class.
    """
    if penalty is None:
        return None
    if type(penalty) not in _TERMS:
        raise PruningError(f"A penalty must be one of {[each.__name__ for each in _TERMS]}. Received: {penalty!r}.")
    return partial(_TERMS[type(penalty)], penalty, weight, pattern)
