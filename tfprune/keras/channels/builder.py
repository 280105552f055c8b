# SPDX-License-Identifier: Apache-2.0
"""Walks the graph of a Keras model and follows the channels of each tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import tree

from tfprune.errors import PruningError
from tfprune.keras.channels.graph import ChannelGraph, ChannelSpace, Member
from tfprune.keras.channels.spaces import Axis, Spaces, places
from tfprune.keras.layers import unwrapped

PRODUCER, CONSUMER, CARRIED = "producer", "consumer", "carried"


class UnknownUseError(Exception):
    """A rule's way to say that channels must stay where they are; the message is the reason."""


@dataclass(frozen=True)
class Call:
    """One call of a layer or op in the graph.

    Args:
        operation: The layer or op.
        name: Its name, behind the names of the models around it.
        args: Positional arguments, symbolic tensors included.
        constants: Arguments of any kind that are no symbolic tensors, out of their lists.
        tensors: The symbolic tensors among all arguments, in order.
        inputs: The channels of each of these.
        outputs: The symbolic results.
    """

    operation: Any
    name: str
    args: tuple[Any, ...]
    constants: tuple[Any, ...]
    tensors: tuple[Any, ...]
    inputs: tuple[Axis, ...]
    outputs: tuple[Any, ...]

    @property
    def input(self) -> Axis:
        """The channels of the one input tensor.

        Raises:
            UnknownUseError: There are several.
        """
        if len(self.inputs) != 1:
            raise UnknownUseError(f"called with {len(self.inputs)} tensors")
        return self.inputs[0]

    @property
    def rank(self) -> int:
        """Rank of the first input tensor."""
        return len(self.tensors[0].shape)

    def __str__(self) -> str:
        """Class and name, for reasons."""
        return f"{type(self.operation).__name__} {self.name!r}"


Rule = Callable[["GraphBuilder", Call], Sequence[Axis]]
"""From a call to the channels of its results. Says with `GraphBuilder` what happens to spaces and variables."""


class GraphBuilder:
    """Collects spaces, and the variables that lie on them, while it walks a model.

    Args:
        find_rule: Gives the rule for a layer or op, or raises `UnknownUseError`.
    """

    def __init__(self, find_rule: Callable[[Any], Rule]) -> None:
        """Begins with an empty graph."""
        self.spaces = Spaces()
        self._find_rule = find_rule
        # By (id of variable, axis).
        self._members: dict[tuple[int, int], tuple[str, str, Any, Axis]] = {}
        # By id of variable. Variables stay alive as long as their model does.
        self._known: set[int] = set()
        self._sealed: dict[int, str] = {}

    def build(self, model: Any) -> ChannelGraph:
        """Follows all tensors from the inputs of a model to its outputs.

        Args:
            model: Keras model with a graph.

        Returns:
            The graph.
        """
        function = graph_of(model)
        assert function is not None
        inputs = [self.opaque(tensor, f"input {tensor.name!r} of the model") for tensor in function.inputs]
        for axis in self.walk(function, inputs, ""):
            self.spaces.pin(axis, "output of the model")
        return self._result()

    def walk(self, function: Any, inputs: Sequence[Axis], prefix: str) -> list[Axis]:
        """Follows tensors through a graph.

        Args:
            function: Functional model.
            inputs: Channels of its inputs.
            prefix: What stands before the names of its layers.

        Returns:
            Channels of its outputs.
        """
        channels = {id(tensor): axis for tensor, axis in zip(function.inputs, inputs, strict=True)}
        for node in nodes_between(function.inputs, function.outputs):
            arguments = node.arguments
            given = tree.flatten((arguments.args, arguments.kwargs))
            operation = unwrapped(node.operation)
            call = Call(
                operation=operation,
                name=prefix + operation.name,
                args=arguments.args,
                constants=tuple(each for each in given if not isinstance(each, keras.KerasTensor)),
                tensors=tuple(node.input_tensors),
                inputs=tuple(channels[id(tensor)] for tensor in node.input_tensors),
                outputs=tuple(node.outputs),
            )
            for tensor, axis in zip(call.outputs, self._follow(call), strict=True):
                channels[id(tensor)] = axis
        return [channels[id(tensor)] for tensor in function.outputs]

    def produce(self, call: Call, layer: Any, variable: Any, axis: int) -> Axis:
        """The channels that a kernel makes; a kernel that is used twice makes the same ones."""
        axis %= len(variable.shape)
        known = self._members.get((id(variable), axis))
        channels = known[3] if known else (self.spaces.new(int(variable.shape[axis])),)
        self.attach(call, layer, variable, axis, channels, PRODUCER)
        return channels

    def attach(self, call: Call, layer: Any, variable: Any, axis: int, channels: Axis, role: str = CARRIED) -> None:
        """Says that channels lie along an axis of a variable.

        Args:
            call: The call that says so.
            layer: The layer that has the variable.
            variable: The variable.
            axis: Its axis.
            channels: The channels.
            role: `PRODUCER`, `CONSUMER` or `CARRIED`.

        Raises:
            UnknownUseError: The lengths differ.
        """
        axis %= len(variable.shape)
        if self.spaces.size(channels) != variable.shape[axis]:
            raise UnknownUseError(f"{variable.name} has length {variable.shape[axis]} along axis {axis}")
        self._known.add(id(variable))
        known = self._members.setdefault((id(variable), axis), (role, call.name, variable, channels))
        self.spaces.unify(known[3], channels)
        if id(variable) in self._sealed:
            self.spaces.pin(channels, self._sealed[id(variable)])

    def accept(self, variable: Any) -> None:
        """Says that the values of a variable have nothing to do with channels."""
        self._known.add(id(variable))

    def opaque(self, tensor: Any, reason: str) -> Axis:
        """Channels of a tensor of which nothing is known but that they must stay where they are."""
        return (self.spaces.new(last_size(tensor) or 0, pinned=reason),)

    def _follow(self, call: Call) -> Sequence[Axis]:
        """Channels of the results of a call."""
        try:
            if isinstance(call.operation, (keras.Model, keras.Function)):
                return self._follow_nested(call)
            rule = self._find_rule(call.operation)
            outputs = rule(self, call)
            self._check_variables(call.operation)
            return outputs
        except UnknownUseError as problem:
            return self._pin(call, f"{call}: {problem}")

    def _follow_nested(self, call: Call) -> list[Axis]:
        """Channels of the results of a model in a model."""
        function = graph_of(call.operation)
        if function is None:
            raise UnknownUseError("its own code says what it computes, not a graph")
        # Keras has no public way to ask for the structure of the inputs; dictionaries are matched by name.
        same_kind = isinstance(call.args[0], dict) == isinstance(function._inputs_struct, dict)
        if not same_kind or len(function.inputs) != len(call.inputs):
            raise UnknownUseError("its inputs are given in another structure than its own")
        if any(last_size(ours) != last_size(own) for ours, own in zip(call.tensors, function.inputs, strict=True)):
            raise UnknownUseError("its inputs are reshaped on the way in")
        return self.walk(function, call.inputs, call.name + "/")

    def _pin(self, call: Call, reason: str) -> list[Axis]:
        """Fixes everything that a call touches."""
        for axis in call.inputs:
            self.spaces.pin(axis, reason)
        given = [each for each in call.constants if isinstance(each, keras.Variable)]
        for variable in (*getattr(call.operation, "variables", ()), *given):
            self._sealed.setdefault(id(variable), reason)
        for _, _, variable, channels in self._members.values():
            if id(variable) in self._sealed:
                self.spaces.pin(channels, reason)
        return [self.opaque(tensor, reason) for tensor in call.outputs]

    def _check_variables(self, operation: Any) -> None:
        """A layer may have variables that its rule knows nothing of, such as those of LoRA or quantization."""
        seeds = {id(each.state) for each in getattr(operation, "_seed_generators", ())}
        unknown = [
            variable.name
            for variable in getattr(operation, "variables", ())
            if id(variable) not in self._known and id(variable) not in seeds
        ]
        if unknown:
            raise UnknownUseError(f"has other variables than usual: {', '.join(unknown)}")

    def _result(self) -> ChannelGraph:
        """The spaces that variables lie on, in the order in which they were made."""
        members: dict[int, dict[str, list[Member]]] = {}
        for (_, axis), (role, layer, variable, channels) in self._members.items():
            for space, offsets in places(self.spaces.resolve(channels), self.spaces).items():
                roles = members.setdefault(space, {PRODUCER: [], CONSUMER: [], CARRIED: []})
                roles[role].append(Member(layer, variable, axis, tuple(offsets)))
        found = []
        for index, space in enumerate(sorted(members)):
            pinned, fixed_size = self.spaces.reasons(space)
            roles = members[space]
            found.append(
                ChannelSpace(
                    index=index,
                    size=self.spaces.size((space,)),
                    producers=tuple(roles[PRODUCER]),
                    consumers=tuple(roles[CONSUMER]),
                    carried=tuple(roles[CARRIED]),
                    pinned_reason=pinned,
                    fixed_size_reason=fixed_size,
                )
            )
        return ChannelGraph(tuple(found))


def graph_of(model: Any) -> Any | None:
    """The functional graph that runs when a model is called; None where code of its own runs."""
    if not isinstance(model, (keras.Sequential, keras.Function)) or not type(model).call.__module__.startswith(
        "keras."
    ):
        return None
    # Keras has no public way to reach the graph that a sequential model builds for itself.
    return model._functional if isinstance(model, keras.Sequential) else model


def require_graph(model: Any) -> None:
    """Checks that a model has a graph to follow channels along.

    Raises:
        PruningError: It is not a Keras model, not built, or subclassed.
    """
    name = getattr(model, "name", None)
    if not isinstance(model, keras.Model):
        raise PruningError(f"`model` must be a Keras model. Received: {type(model).__name__}.")
    if isinstance(model, keras.Sequential) and not model.built:
        raise PruningError(
            f"The model {name!r} must be built, so that its channels are known. Received: a Sequential model without "
            "weights yet. Call model.build(input_shape), or begin it with keras.Input."
        )
    if graph_of(model) is None:
        raise PruningError(
            "Channels can be followed only through a model whose graph Keras knows: functional or Sequential. "
            f"Received: {name!r} of class {type(model).__name__}, whose own code says what it computes. Build the "
            "model with the functional API."
        )


def nodes_between(inputs: Sequence[Any], outputs: Sequence[Any]) -> Iterator[Any]:
    """The calls that lead from some symbolic tensors to others, each after those it depends on.

    Args:
        inputs: Tensors to begin at.
        outputs: Tensors to reach.

    Yields:
        Keras nodes.
    """
    known = {id(tensor) for tensor in inputs}
    waiting = list(reversed(outputs))
    while waiting:
        tensor = waiting[-1]
        if id(tensor) in known:
            waiting.pop()
            continue
        # Keras has no public way to ask where a symbolic tensor comes from.
        operation, index, _ = tensor._keras_history
        node = operation._inbound_nodes[index]
        missing = [each for each in node.input_tensors if id(each) not in known]
        if missing:
            waiting.extend(reversed(missing))
            continue
        known.update(id(each) for each in node.outputs)
        yield node


def last_size(tensor: Any) -> int | None:
    """Length of a tensor's last axis; None if it is not known or there is none."""
    return tensor.shape[-1] if len(tensor.shape) else None
