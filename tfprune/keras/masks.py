# SPDX-License-Identifier: Apache-2.0
"""Masks that hold inside the compiled training step, without a change to the model.

A variable's constraint runs right after every optimizer update, in the compiled step. The mask it reads is a variable
of the optimizer: compiled steps keep reading its current value, and the model's own weights and files are not touched.
What the optimizer saves leaves the masks out, so a reloaded model finds the optimizer state it expects. Prior masks and
the strength of a penalty are kept in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

from tfprune.keras.penalties import ProximalStep

_SAVE_METHODS = ("save_own_variables", "load_own_variables")


class MaskConstraint:
    """Applies the user's own constraint, then a penalty if there is one, then zeros what the mask removes.

    Args:
        mask: Optimizer variable of ones and zeros.
        inner: The constraint that was on the variable, or None.
        owner: The `MaskSet` that put it there.
        penalty: The penalty's proximal step, or None.
    """

    def __init__(
        self, mask: Any, inner: Callable[[Any], Any] | None, owner: MaskSet, penalty: ProximalStep | None = None
    ) -> None:
        """Stores the parts."""
        self.mask = mask
        self.inner = inner
        self.owner = owner
        self.penalty = penalty

    def __call__(self, weights: Any) -> Any:
        """Constrained weights; removed ones are +0.0, whatever they were."""
        constrained = weights if self.inner is None else self.inner(weights)
        constrained = ops.convert_to_tensor(constrained)
        if self.penalty is not None:
            constrained = self.penalty(constrained)
        return ops.where(ops.cast(self.mask, "bool"), constrained, ops.zeros_like(constrained))


class _WithoutMasks:
    """A saving or loading method of an optimizer that does not see mask variables."""

    def __init__(self, original: Callable[[Any], None], inner: Any) -> None:
        self._original = original
        self._inner = inner
        self.masks: list[Any] = []

    def __call__(self, store: Any) -> None:
        with _hidden(self._inner, self.masks):
            self._original(store)


@contextmanager
def _hidden(optimizer: Any, masks: Sequence[Any]) -> Iterator[None]:
    """Takes variables out of an optimizer's list for a moment."""
    held = list(masks)
    for mask in held:
        optimizer._untrack_variable(mask)
    try:
        yield
    finally:
        for mask in held:
            optimizer._track_variable(mask)
        _allow_export(optimizer)


def _allow_export(optimizer: Any) -> None:
    """Lets TensorFlow export the model again.

    Its wrapper of the optimizer's list remembers that something was taken out, and then refuses every SavedModel, also
    the one that the TFLite converter makes. The list is whole, so it may forget that.
    """
    variables = optimizer._variables
    if hasattr(variables, "_non_append_mutation"):
        variables._non_append_mutation = variables._external_modification = False
        variables._update_snapshot()


class MaskSet:
    """Masks on some variables of a model, held by its optimizer.

    Args:
        optimizer: The compiled optimizer, a `LossScaleOptimizer` included.
        variables: Variables to mask.
        trainable_variables: All trainable variables of the model, to build the optimizer with if it is not built.
        penalised: Whether each variable gets a prior mask as well; of ones, and with a strength of 0 to begin with.
    """

    def __init__(
        self,
        optimizer: Any,
        variables: Sequence[Any],
        trainable_variables: Sequence[Any],
        *,
        penalised: bool = False,
    ) -> None:
        """Adds one mask of ones a variable and puts the constraints on."""
        if not optimizer.built:
            optimizer.build(list(trainable_variables))
        self._optimizer = optimizer
        # Loss scaling keeps its slots, and applies its updates, in an inner optimizer.
        self._inner = getattr(optimizer, "inner_optimizer", optimizer)
        self._variables = list(variables)
        for variable in self._variables:
            # Left behind by a training that was interrupted.
            if isinstance(variable.constraint, MaskConstraint):
                variable.constraint.owner.remove()
        self._masks = self._add_masks("mask")
        self._priors = self._add_masks("prior_mask") if penalised else []
        self._strength = (
            self._inner.add_variable(shape=(), initializer="zeros", dtype="float32", name="penalty_strength")
            if penalised
            else None
        )
        self._owned = [*self._masks, *self._priors, *([] if self._strength is None else [self._strength])]
        for index, variable in enumerate(self._variables):
            step = ProximalStep(self._priors[index], self._strength, self._inner) if penalised else None
            variable.constraint = MaskConstraint(self._masks[index], variable.constraint, self, step)
        self._hook_saving()
        self.active = True

    def set_mask(self, index: int, mask: npt.NDArray[np.bool_]) -> None:
        """Replaces one mask and zeros what it removes.

        Args:
            index: Position of the variable.
            mask: True where a weight stays.
        """
        self._masks[index].assign(mask.astype(np.float32))
        self.apply(index)

    def set_prior(self, index: int, prior: npt.NDArray[np.bool_]) -> None:
        """Replaces one prior mask.

        Args:
            index: Position of the variable.
            prior: False where the penalty acts.
        """
        self._priors[index].assign(prior.astype(np.float32))

    def set_strength(self, strength: float) -> None:
        """Sets how strong the penalty is from the next step on.

        Args:
            strength: A number of at least 0.
        """
        assert self._strength is not None
        self._strength.assign(strength)

    def apply(self, index: int) -> None:
        """Zeros what the mask of one variable removes, outside the training step."""
        variable = self._variables[index]
        keep = ops.cast(self._masks[index], "bool")
        variable.assign(ops.where(keep, variable, ops.zeros_like(variable)))

    def remove(self) -> None:
        """Gives variables their own constraints back and the optimizer its own variables and methods."""
        if not self.active:
            return
        self.active = False
        for variable in self._variables:
            if isinstance(variable.constraint, MaskConstraint) and variable.constraint.owner is self:
                variable.constraint = variable.constraint.inner
        own = {id(variable) for variable in self._owned}
        for target in {id(each): each for each in (self._optimizer, self._inner)}.values():
            for name in _SAVE_METHODS:
                method = vars(target)[name]
                method.masks = [mask for mask in method.masks if id(mask) not in own]
                if not method.masks:
                    delattr(target, name)
        for variable in self._owned:
            self._inner._untrack_variable(variable)
        _allow_export(self._inner)

    def _add_masks(self, name: str) -> list[Any]:
        """One variable of ones for each masked variable."""
        return [
            self._inner.add_variable_from_reference(variable, name=name, initializer="ones")
            for variable in self._variables
        ]

    def _hook_saving(self) -> None:
        """Leaves the masks out of what the optimizer saves and loads."""
        for target in {id(each): each for each in (self._optimizer, self._inner)}.values():
            for name in _SAVE_METHODS:
                method = vars(target).get(name)
                if not isinstance(method, _WithoutMasks):
                    method = _WithoutMasks(getattr(target, name), self._inner)
                    setattr(target, name, method)
                method.masks = [*method.masks, *self._owned]
