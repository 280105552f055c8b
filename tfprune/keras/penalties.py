# SPDX-License-Identifier: Apache-2.0
"""The penalty of a prior mask inside the compiled training step."""

from __future__ import annotations

from typing import Any

from keras import ops

from tfprune.sparsity.penalties import shrink_factor


class ProximalStep:
    """Shrinks what a prior mask removes, by the learning rate that the optimizer has now.

    It runs after the optimizer's update of the variable and before the optimizer counts the step, so it sees the
    learning rate of that very update. Between the updates of an optimizer that accumulates gradients it does nothing.

    Args:
        prior: Optimizer variable of ones and zeros.
        strength: Optimizer variable, a number.
        optimizer: The optimizer that applies the updates.
    """

    def __init__(self, prior: Any, strength: Any, optimizer: Any) -> None:
        """Stores the parts."""
        self.prior = prior
        self.strength = strength
        self.optimizer = optimizer

    def __call__(self, weights: Any) -> Any:
        """``W * (M + (1 - M) / (1 + 2 * learning_rate * strength))``, of the type of the weights."""
        rate = ops.cast(ops.convert_to_tensor(self.optimizer.learning_rate), "float32")
        factor = shrink_factor(self._strength_now(), rate)
        return ops.where(ops.cast(self.prior, "bool"), weights, weights * ops.cast(factor, weights.dtype))

    def _strength_now(self) -> Any:
        strength = ops.convert_to_tensor(self.strength)
        together = self.optimizer.gradient_accumulation_steps
        if not together:
            return strength
        # The public counter counts updates, and this step may be on the way to one.
        is_update = ops.equal((ops.convert_to_tensor(self.optimizer._iterations) + 1) % together, 0)
        return ops.where(is_update, strength, ops.zeros_like(strength))
