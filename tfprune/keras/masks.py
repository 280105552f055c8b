# SPDX-License-Identifier: Apache-2.0
"""Masks that hold inside the compiled training step, without a change to the model.

A variable's constraint runs right after every optimizer update, in the compiled step. The mask it reads is a variable
of the optimizer: compiled steps keep reading its current value, and the model's own weights and files are not touched.
What the optimizer saves leaves the masks out, so a reloaded model finds the optimizer state it expects. What penalties
read is kept in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

from tfprune.keras.backends import average_of, optimizer_of, placement, value_of
from tfprune.keras.legacy import set_constraint
from tfprune.keras.penalising import ProximalStep
from tfprune.keras.penalties import AddVariable, WeightPenalty

_SAVE_METHODS = ("save_own_variables", "load_own_variables")


class MaskConstraint:
    """Applies the user's own constraint, then a penalty if there is one, then zeros what the mask removes.

    Args:
        mask: Optimizer variable of ones and zeros; None: a wrapper masks the variable, which stays dense.
        inner: The constraint that was on the variable, or None.
        owner: The `MaskSet` that put it there.
        penalty: The penalty's proximal step, or None.
        average: The optimizer's moving average of the variable, masked as well, or None.
    """

    def __init__(
        self,
        mask: Any,
        inner: Callable[[Any], Any] | None,
        owner: MaskSet,
        penalty: ProximalStep | None = None,
        average: Any = None,
    ) -> None:
        """Stores the parts."""
        self.mask = mask
        self.inner = inner
        self.owner = owner
        self.penalty = penalty
        self.average = average
        self.was_called = False

    def __call__(self, weights: Any) -> Any:
        """Constrained weights; removed ones are +0.0, whatever they were."""
        self.was_called = True
        constrained = weights if self.inner is None else self.inner(weights)
        constrained = ops.convert_to_tensor(constrained)
        if self.penalty is not None:
            constrained = self.penalty(constrained)
        if self.mask is None:
            return constrained
        if self.average is not None:
            # It has taken in the weights as they were before this constraint, and others may read it at any time.
            self.average.assign(_masked(self.average, self.mask))
        return _masked(constrained, self.mask)


def _masked(value: Any, mask: Any) -> Any:
    """A tensor or variable, with +0.0 where its mask has zeros."""
    value = ops.convert_to_tensor(value)
    return ops.where(ops.cast(mask, "bool"), value, ops.zeros_like(value))


class _WithoutMasks:
    """A saving or loading method of an optimizer that does not see mask variables.

    Args:
        original: The method.
        inner: What holds the variables: the optimizer, or the one that it scales.
        tells: Whether watchers are called first.
    """

    def __init__(self, original: Callable[[Any], None], inner: Any, tells: bool) -> None:
        self._original = original
        self._inner = inner
        self._tells = tells
        #: Who put it there; it goes with the last of them.
        self.users: list[MaskSet] = []

    def __call__(self, store: Any) -> None:
        for user in self.users if self._tells else ():
            if user.watcher is not None:
                user.watcher()
        with _hidden(self._inner, [variable for user in self.users for variable in user.owned]):
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
    """Masks on some variables of a model, held by its optimizer, or by wrappers in the model.

    Args:
        optimizer: The compiled optimizer, a `LossScaleOptimizer` included.
        variables: Variables to mask.
        trainable_variables: All trainable variables of the model, to build the optimizer with if it is not built.
        held: Mask variables of wrappers, by position of the variable: these variables stay dense.
        penalties: What makes the penalty of each variable, None for those without one; None: no penalties.
    """

    def __init__(
        self,
        optimizer: Any,
        variables: Sequence[Any],
        trainable_variables: Sequence[Any],
        *,
        held: Mapping[int, Any] = MappingProxyType({}),
        penalties: Sequence[Callable[[AddVariable], WeightPenalty] | None] | None = None,
    ) -> None:
        """Adds one mask of ones a variable and puts the constraints on."""
        self._optimizer = optimizer
        # Loss scaling keeps its slots, and applies its updates, in an inner optimizer.
        self._inner = getattr(optimizer, "inner_optimizer", optimizer)
        self._first_iteration = None if self._inner is optimizer else self._iteration()
        self._variables = list(variables)
        for variable in self._variables:
            # Left behind by a training that was interrupted.
            if isinstance(variable.constraint, MaskConstraint):
                variable.constraint.owner.remove()
        self._held = held
        with placement(self._inner):
            if not optimizer.built:
                optimizer.build(list(trainable_variables))
            own = {
                index: self._inner.add_variable_from_reference(variable, name="mask", initializer="ones")
                for index, variable in enumerate(self._variables)
                if index not in held
            }
            #: The penalty of each variable, or None.
            self.penalties = [
                None if make is None else make(self._inner.add_variable)
                for make in penalties or [None] * len(self._variables)
            ]
        self._masks = {**own, **held}
        self._averages = [average_of(self._inner, variable) for variable in self._variables]
        #: Variables that it added to the optimizer.
        self.owned = [*own.values(), *(each for penalty in self.penalties if penalty for each in penalty.variables)]
        for index, (variable, penalty) in enumerate(zip(self._variables, self.penalties, strict=True)):
            step = None if penalty is None else ProximalStep(penalty, optimizer_of(self._inner, variable))
            average = self._averages[index]
            set_constraint(variable, MaskConstraint(own.get(index), variable.constraint, self, step, average))
        #: Called whenever the optimizer is saved, as a part of its model or alone.
        self.watcher: Callable[[], None] | None = None
        self._hook_saving()
        self.active = True

    def set_mask(self, index: int, mask: npt.NDArray[np.bool_]) -> None:
        """Replaces one mask and, unless a wrapper holds it, zeros what it removes.

        Args:
            index: Position of the variable.
            mask: True where a weight stays.
        """
        self._masks[index].assign(mask if index in self._held else mask.astype(np.float32))
        self.apply(index)

    @property
    def were_read(self) -> bool:
        """Whether a training step that knows the masks has run, or has been compiled, since they are in place."""
        return any(
            variable.constraint.was_called
            for variable in self._variables
            if isinstance(variable.constraint, MaskConstraint)
        )

    @property
    def may_wait(self) -> bool:
        """Whether no step may have reached the masks yet: loss scaling skips updates that overflow."""
        return self._first_iteration is not None and self._iteration() == self._first_iteration

    def _iteration(self) -> int:
        """Updates that the optimizer has made; those that loss scaling skipped are none."""
        return int(value_of(self._inner.iterations))

    def apply(self, index: int) -> None:
        """Zeros what the mask of one variable removes, outside the training step; under a wrapper it stays dense.

        The optimizer's average of the variable, if it keeps one, is masked with it: a callback that swaps the two may
        have put either in the place of the other.
        """
        if index in self._held:
            return
        for each in (self._variables[index], self._averages[index]):
            if each is not None:
                each.assign(_masked(each, self._masks[index]))

    def remove(self) -> None:
        """Gives variables their own constraints back and the optimizer its own variables and methods."""
        if not self.active:
            return
        self.active = False
        for variable in self._variables:
            if isinstance(variable.constraint, MaskConstraint) and variable.constraint.owner is self:
                set_constraint(variable, variable.constraint.inner)
        for target in {id(each): each for each in (self._optimizer, self._inner)}.values():
            for name in _SAVE_METHODS:
                method = vars(target)[name]
                method.users.remove(self)
                if not method.users:
                    delattr(target, name)
        for variable in self.owned:
            self._inner._untrack_variable(variable)
        _allow_export(self._inner)

    def _hook_saving(self) -> None:
        """Leaves the masks out of what the optimizer saves and loads."""
        for target in {id(each): each for each in (self._optimizer, self._inner)}.values():
            for name in _SAVE_METHODS:
                method = vars(target).get(name)
                if not isinstance(method, _WithoutMasks):
                    tells = target is self._optimizer and name == _SAVE_METHODS[0]
                    method = _WithoutMasks(getattr(target, name), self._inner, tells)
                    setattr(target, name, method)
                method.users.append(self)
