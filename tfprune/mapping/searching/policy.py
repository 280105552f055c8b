# SPDX-License-Identifier: Apache-2.0
"""The policy-gradient agent: it chooses layer by layer, and learns by REINFORCE from how good whole mappings are.

With ``p`` the probabilities of a layer's choices in the state that the choices before it have led to, a mapping of
reward ``r`` moves the parameters along ``sum_layers (r - b) / s * grad log p[chosen] + h * grad entropy(p)``; ``b`` and
``s`` are moving averages of the rewards and of their distance from ``b``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tfprune.mapping.searching.space import Floats, Space

_NEVER = -1e9


@dataclasses.dataclass(frozen=True)
class PolicyOptions:
    """How the agent learns.

    Attributes:
        hidden: units of the network's hidden layer.
        rate: step of its parameters.
        own_rate: step of the parameter that each choice of each layer has of its own.
        entropy: weight of the entropy at the start; it falls with ``1 / sqrt(rewards seen)``.
        memory: share of the moving averages that a new reward leaves as it is.
    """

    hidden: int = 24
    rate: float = 0.03
    own_rate: float = 0.15
    entropy: float = 0.02
    memory: float = 0.9


class Policy:
    """Probabilities of choices, and how they change.

    A choice's logit comes from a network with one hidden layer, the same for all layers, and a number of its own. The
    network reads facts of the layer and of the choice, the choice of the layer before, what is used of the budget, and
    what would be left if all layers behind were as fast as they can be. A choice that cannot end within the budget has
    probability 0.

    Args:
        space: the choices.
        features: as `features_of` returns them.
        seed: of the first parameters.
        options: how it learns.
    """

    def __init__(
        self, space: Space, features: dict[str, Floats], seed: int, options: PolicyOptions | None = None
    ) -> None:
        """Begins with nearly equal probabilities."""
        self._space = space
        self._options = options or PolicyOptions()
        self._features = [features[name] for name in space.layers]
        self._shares = [space.shares[name] for name in space.layers]
        # What the layers from each place on take at least.
        least = [float(shares.min()) for shares in self._shares]
        self._least = np.concatenate([np.cumsum(least[::-1])[::-1], [0.0]])
        width = self._features[0].shape[1]
        generator = np.random.default_rng(seed)
        inputs = 2 * width + 2
        self._parameters = [
            generator.normal(0, 1 / np.sqrt(inputs), (inputs, self._options.hidden)),
            np.zeros(self._options.hidden),
            generator.normal(0, 0.1 / np.sqrt(self._options.hidden), self._options.hidden),
            *(np.zeros(len(shares)) for shares in self._shares),
        ]
        rates = [self._options.rate] * 3 + [self._options.own_rate] * len(self._shares)
        self._optimizer = Adam(self._parameters, rates)
        self._baseline = self._spread = 0.0
        self._seen = 0

    def sample(self, generator: np.random.Generator, heat: float = 1.0) -> list[int]:
        """Draws a mapping.

        Args:
            generator: of random numbers.
            heat: above 1 probabilities are drawn closer together, as their logits divided by it say.

        Returns:
            Places of choices, layer by layer.
        """
        chosen: list[int] = []
        for layer in range(len(self._shares)):
            powers = self._step(layer, chosen)[2] ** (1 / heat)
            probabilities = powers / powers.sum()
            chosen.append(int(generator.choice(len(probabilities), p=probabilities)))
        return chosen

    def best(self) -> list[int]:
        """The mapping of the most probable choices."""
        chosen: list[int] = []
        for layer in range(len(self._shares)):
            chosen.append(int(np.argmax(self._step(layer, chosen)[2])))
        return chosen

    def learn(self, chosen: Sequence[int], reward: float) -> None:
        """Makes a mapping more probable where it is better than usual, else less."""
        self._seen += 1
        if self._seen == 1:
            self._baseline = reward
        distance = abs(reward - self._baseline)
        memory = min(self._options.memory, 1 - 1 / self._seen)
        self._spread = memory * self._spread + (1 - memory) * distance
        advantage = (reward - self._baseline) / self._spread if self._spread > 0 else 0.0
        self._baseline = memory * self._baseline + (1 - memory) * reward
        self._move(chosen, float(np.clip(advantage, -3, 3)))

    def scold(self, chosen: Sequence[int], over: float) -> None:
        """Makes a mapping less probable that is over the budget, by what it is over.

        Args:
            chosen: the mapping.
            over: share of the budget beyond it, above 0.
        """
        self._move(chosen, -min(1 + over, 3.0))

    def _move(self, chosen: Sequence[int], advantage: float) -> None:
        gradients = [np.zeros_like(each) for each in self._parameters]
        entropy_weight = self._options.entropy / np.sqrt(max(1, self._seen))
        for layer, place in enumerate(chosen):
            inputs, hidden, probabilities = self._step(layer, chosen[:layer])
            logs = np.log(np.maximum(probabilities, 1e-12))
            entropy = -float(probabilities @ logs)
            slope = -probabilities * advantage
            slope[place] += advantage
            slope -= entropy_weight * probabilities * (logs + entropy)
            into = np.outer(slope, self._parameters[2]) * (1 - np.square(hidden))
            gradients[0] += inputs.T @ into
            gradients[1] += into.sum(axis=0)
            gradients[2] += hidden.T @ slope
            gradients[3 + layer] += slope
        self._optimizer.ascend(gradients)

    def _step(self, layer: int, before: Sequence[int]) -> tuple[Floats, Floats, Floats]:
        """The network's inputs, its hidden values and the probabilities of a layer's choices, a row a choice."""
        features = self._features[layer]
        used = self._space.rest + sum(float(self._shares[place][choice]) for place, choice in enumerate(before))
        last = self._features[layer - 1][before[-1]] if before else np.zeros(features.shape[1])
        ends = used + self._shares[layer] + self._least[layer + 1]
        rows = len(features)
        state = np.broadcast_to(np.concatenate([last, [used]]), (rows, len(last) + 1))
        inputs = np.concatenate([features, state, (1 - ends)[:, None]], axis=1)
        hidden = np.tanh(inputs @ self._parameters[0] + self._parameters[1])
        logits = hidden @ self._parameters[2] + self._parameters[3 + layer]
        allowed = ends <= 1 + 1e-9
        if not allowed.any():
            allowed = ends <= ends.min()
        logits = np.where(allowed, logits, _NEVER)
        powers = np.exp(logits - logits.max())
        return inputs, hidden, powers / powers.sum()


class Adam:
    """Adam, upwards.

    Args:
        parameters: changed in place.
        rates: the step of each.
    """

    def __init__(self, parameters: Sequence[Floats], rates: Sequence[float]) -> None:
        """Begins with moments of 0."""
        self._parameters = parameters
        self._rates = rates
        self._first = [np.zeros_like(each) for each in parameters]
        self._second = [np.zeros_like(each) for each in parameters]
        self._count = 0

    def ascend(self, gradients: Sequence[npt.NDArray[np.float64]]) -> None:
        """Moves the parameters along their gradients."""
        self._count += 1
        for place, gradient in enumerate(gradients):
            first, second = self._first[place], self._second[place]
            first += 0.1 * (gradient - first)
            second += 0.01 * (np.square(gradient) - second)
            step = first / (1 - 0.9**self._count) / (np.sqrt(second / (1 - 0.99**self._count)) + 1e-8)
            self._parameters[place] += self._rates[place] * step
