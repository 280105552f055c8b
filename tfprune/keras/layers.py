# SPDX-License-Identifier: Apache-2.0
"""Which kernels of a Keras model can be pruned, and why the others are not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError, PruningError
from tfprune.keras.backends import value_of
from tfprune.recipe import LayerFilters, LayerInfo, Match, Recipe, Rule
from tfprune.sparsity.layouts import LAYOUTS, Layout, einsum_layout
from tfprune.sparsity.patterns import Unstructured

# Class of layers, of Keras or of tf_keras (Keras 2): its kernels, each with its layout.
_KERNELS: dict[str, tuple[tuple[str, str], ...]] = {
    "Dense": (("kernel", "dense"),),
    "EinsumDense": (),  # by its equation
    "Conv1D": (("kernel", "conv1d"),),
    "Conv2D": (("kernel", "conv2d"),),
    "Conv2DTranspose": (("kernel", "conv2d_transpose"),),
    # In tf_keras their kernels have the other name.
    "DepthwiseConv1D": (("kernel", "depthwise_conv1d"), ("depthwise_kernel", "depthwise_conv1d")),
    "DepthwiseConv2D": (("kernel", "depthwise_conv2d"), ("depthwise_kernel", "depthwise_conv2d")),
    "SeparableConv1D": (("depthwise_kernel", "depthwise_conv1d"), ("pointwise_kernel", "conv1d")),
    "SeparableConv2D": (("depthwise_kernel", "depthwise_conv2d"), ("pointwise_kernel", "conv2d")),
    # A product of one-hot words with the table: a row of the matrix is a feature, a column a word.
    "Embedding": (("embeddings", "dense"),),
}
# Their loops are layers of their own, without kernels.
_KERNELS |= dict.fromkeys(
    ("LSTMCell", "GRUCell", "SimpleRNNCell"), (("kernel", "dense"), ("recurrent_kernel", "dense"))
)
_LIBRARIES = ("keras", "tf_keras")
#: Ends the reason of a kernel that a rule prunes only where it names it.
UNLESS_NAMED = " (name it in `filters` to prune it)"
_DENSE = ("Dense", "EinsumDense")


@dataclass(frozen=True)
class PrunableWeight:
    """A kernel that is going to be pruned.

    Args:
        layer: Name of its layer; the whole path where names repeat.
        variable: The Keras variable.
        layout: How its axes make a matrix.
        named: Whether its rule names it, rather than everything that is pruned by default.
        rule: Its rule.
        note: Which further rules matched it; empty if none did.
        held_mask: Mask variable of the `Pruned` wrapper round its layer, under which it stays dense; None: there is
            none, and removed weights become zeros.
    """

    layer: str
    variable: Any
    layout: Layout
    named: bool
    rule: Rule
    note: str = ""
    held_mask: Any = None

    @property
    def size(self) -> int:
        """Number of weights."""
        return math.prod(self.variable.shape)

    @property
    def effective(self) -> npt.NDArray[Any]:
        """What its layer computes with: its value, without what a wrapper masks."""
        value = to_numpy(self.variable)
        return value if self.held_mask is None else np.where(self.held_mask.numpy(), value, 0)


@dataclass(frozen=True)
class SkippedWeight:
    """A weight that stays dense.

    Args:
        layer: Name of its layer.
        variable: The Keras variable.
        reason: Why.
    """

    layer: str
    variable: Any
    reason: str


def walk_layers(layer: Any) -> Iterator[Any]:
    """All layers below a model or layer, depth first in definition order, each once.

    Args:
        layer: Keras model or layer.

    Yields:
        Layers, the argument itself excluded, and of `Pruned` wrappers only what is in them: a wrapped layer is found
        under the same name as without the wrapper.
    """
    seen = {id(layer)}

    def below(parent: Any) -> Iterator[Any]:
        # Keras has no public way to reach layers held by a layer that is not a model.
        for child in parent._flatten_layers(include_self=False, recursive=False):
            if id(child) not in seen:
                seen.add(id(child))
                if unwrapped(child) is child:
                    yield child
                yield from below(child)

    return below(layer)


def unwrapped(layer: Any) -> Any:
    """What a `Pruned` wrapper holds; other layers, models and ops as they are.

    Args:
        layer: Keras layer or op.
    """
    return layer.layer if hasattr(layer, "masked_kernels") else layer


def wrappers_in(model: Any) -> list[Any]:
    """The `Pruned` wrappers of a model, also those in other layers.

    Args:
        model: Keras model.
    """
    return [each for each in model._flatten_layers(include_self=False) if unwrapped(each) is not each]


def find_weights(
    model: Any, filters: LayerFilters, min_weights: int
) -> tuple[list[PrunableWeight], list[SkippedWeight]]:
    """Sorts a model's weights into those that one rule would prune and those that stay dense.

    Args:
        model: Built Keras model.
        filters: `layers` of the rule.
        min_weights: Kernels with fewer weights stay dense.

    Returns:
        As `match_weights`.

    Raises:
        PruningError: As `match_weights`.
    """
    return match_weights(model, Recipe(Rule(filters, Unstructured(), 0.0, min_weights=min_weights)))


def match_weights(model: Any, recipe: Recipe) -> tuple[list[PrunableWeight], list[SkippedWeight]]:
    """Sorts a model's weights into those to prune, each with its rule, and those that stay dense.

    Args:
        model: Built Keras model.
        recipe: The rules.

    Returns:
        ``(prunable, skipped)``; weights of rank 0 and 1 (biases, BatchNorm) of unnamed layers are not listed.

    Raises:
        PruningError: The model is not built; a part of a rule's `layers` matches no layer, or none that can be pruned.
    """
    layers = list(walk_layers(model))
    unbuilt = [layer.name for layer in (model, *layers) if not layer.built]
    if unbuilt:
        raise PruningError(
            "The model must be built before it is pruned, so that its kernels exist. Received: layers without "
            f"weights yet: {unbuilt}. Call the model once on a batch, or call model.build(input_shape)."
        )
    infos = [layer_info(layer) for layer in layers]
    matches = {(match.layer, match.kernel): match for match in recipe.match(infos)}
    spared: dict[int, str] = {}
    _spare(model, None, spared)
    names = [layer.name for layer in layers]
    prunable: list[PrunableWeight] = []
    skipped: list[SkippedWeight] = []
    owners: dict[int, str] = {}
    held = {id(kernel): mask for wrapper in wrappers_in(model) for kernel, mask in wrapper.masked_kernels}
    for place, (layer, info) in enumerate(zip(layers, infos, strict=True)):
        label = layer.name if names.count(layer.name) == 1 else _path(layer)
        kernels = [] if info.obstacle else kernels_of(layer)
        if info.obstacle:
            skipped.append(SkippedWeight(label, _stored_kernel(layer), info.obstacle))
        elif not kernels:
            named = any(rule.layers is not None and not rule.skip and rule.matches(info) for rule in recipe.rules)
            skipped += _other_weights(layer, label, named)
        for kernel, layout in kernels:
            match = matches[place, kernel_name(kernel)]
            reason = _rule_reason(recipe, match)
            if reason is None:
                assert match.rule is not None
                least = recipe.rules[match.rule].least_weights
                reason = _reason(layer, kernel, layout, match.named, spared.get(id(layer)), least)
            if reason is None and id(kernel) in owners:
                reason = f"shares its weights with {owners[id(kernel)]}"
            note = _later_rules(match)
            if reason is not None:
                skipped.append(SkippedWeight(label, kernel, "; ".join(filter(None, (reason, note)))))
                continue
            assert match.rule is not None
            owners[id(kernel)] = label
            rule = recipe.rules[match.rule]
            prunable.append(PrunableWeight(label, kernel, layout, match.named, rule, note, held.get(id(kernel))))
    return prunable, skipped


def layer_info(layer: Any) -> LayerInfo:
    """What a recipe may ask of a Keras layer.

    Args:
        layer: Built Keras layer.

    Returns:
        The description.
    """
    obstacle = _obstacle(layer)
    return LayerInfo(
        name=layer.name,
        path=_path(layer),
        class_names=tuple(
            each.__name__
            for each in type(layer).__mro__
            if hasattr(each, "_flatten_layers") and each.__name__ != "Layer"
        ),
        kernels=() if obstacle else tuple(kernel_name(kernel) for kernel, _ in kernels_of(layer)),
        obstacle=obstacle,
        layer=layer,
    )


def _obstacle(layer: Any) -> str:
    """Why a layer of a supported kind has no kernel to train: it computes it from other variables; else empty."""
    if kind_of(layer) is None:
        return ""
    if getattr(layer, "lora_enabled", False):
        return "low-rank adapters (enable_lora) are added to its kernel: merge them into it first"
    mode = getattr(layer, "quantization_mode", None)
    # In float8 the kernel stays a float32 variable that trains.
    return "" if mode in (None, "float8") else f"quantized to {mode}: prune first, then quantize"


def _stored_kernel(layer: Any) -> Any:
    """The variable that a layer with adapters or quantized weights keeps as its kernel."""
    names = [name for name, _ in _layouts(layer)]
    return min(layer.variables, key=lambda each: (kernel_name(each) not in names, len(each.shape) < 2))


def _path(layer: Any) -> str:
    """Names of what a layer lies in and its own; tf_keras knows only that."""
    return getattr(layer, "path", None) or str(layer.name)


def _rule_reason(recipe: Recipe, match: Match) -> str | None:
    """Why the rules leave a kernel dense, or None."""
    if match.rule is None:
        return "not selected by `filters` or a rule"
    return f"by rule {match.rule + 1}" if recipe.rules[match.rule].skip else None


def _later_rules(match: Match) -> str:
    """The rules that name a kernel which another rule has already; empty if there are none."""
    if not match.later:
        return ""
    return f"{', '.join(f'rule {each + 1}' for each in match.later)} matched as well, but came later"


def _spare(layer: Any, index: int | None, spared: dict[int, str]) -> None:
    """Adds the ids of the dense layers that make output `index` (None: any output), each with the reason.

    The graph of a functional model and the list of a sequential one say which they are. The code of other models and
    layers says nothing, so of theirs the last one in definition order counts.
    """
    layer = unwrapped(layer)
    outputs = [tensor for tensor in getattr(layer, "outputs", None) or () if hasattr(tensor, "_keras_history")]
    if kind_of(layer) in _DENSE:
        spared[id(layer)] = f"last {kind_of(layer)} layer: it makes an output of the model"
    elif outputs:
        for tensor in outputs if index is None else outputs[index : index + 1]:
            _spare_behind(tensor, spared)
    elif isinstance(layer, keras.Sequential):
        for each in reversed(layer.layers):
            if each.weights:
                _spare(each, index, spared)
                return
    elif hasattr(layer, "_flatten_layers"):
        dense = [each for each in walk_layers(layer) if kind_of(each) in _DENSE]
        if dense:
            text = f"last {kind_of(dense[-1])} layer to be defined; the order of calls is not known"
            spared.setdefault(id(dense[-1]), text)


def _spare_behind(tensor: Any, spared: dict[int, str]) -> None:
    """Goes back from a symbolic tensor over softmax, reshape and the like: one input, no weights."""
    while True:
        # Keras has no public way to ask where a symbolic tensor comes from.
        operation, node, index = tensor._keras_history
        found = operation._inbound_nodes[node]
        inputs = getattr(found, "keras_inputs", None) or found.input_tensors
        if len(inputs) != 1 or getattr(operation, "weights", None):
            return _spare(operation, index, spared)
        tensor = inputs[0]


def kind_of(layer: Any) -> str | None:
    """The class with kernels that a layer is of, or that its class derives from; None: another layer.

    Args:
        layer: Layer of Keras or tf_keras.

    Returns:
        The name of the class.
    """
    for each in type(layer).__mro__:
        if each.__name__ in _KERNELS and each.__module__.split(".")[0] in _LIBRARIES:
            return each.__name__
    return None


def kernels_of(layer: Any) -> list[tuple[Any, Layout]]:
    """The kernel variables of a supported layer, each with its layout."""
    found: list[tuple[Any, Layout]] = [(getattr(layer, name, None), layout) for name, layout in _layouts(layer)]
    # Quantised and LoRA layers compute their kernel from other variables.
    return [
        (kernel, layout)
        for kernel, layout in found
        if hasattr(kernel, "assign") and len(kernel.shape) == layout.rank  # variables of TensorFlow in tf_keras
    ]


def kernel_name(kernel: Any) -> str:
    """The name of a kernel in its layer, which tf_keras writes behind the layer's and before a number.

    Args:
        kernel: Variable of Keras or TensorFlow.
    """
    return str(kernel.name).rsplit("/", 1)[-1].split(":")[0]


def _layouts(layer: Any) -> list[tuple[str, Layout]]:
    """Names of a layer's kernels and their layouts."""
    kind = kind_of(layer)
    if kind == "EinsumDense":
        try:
            return [("kernel", einsum_layout(layer.equation))]
        except PatternError:  # such as a kernel without output channels
            return []
    return [(name, LAYOUTS[layout]) for name, layout in _KERNELS.get(kind or "", ())]


def _reason(layer: Any, kernel: Any, layout: Layout, named: bool, spared: str | None, min_weights: int) -> str | None:
    """Why a kernel is not pruned, or None."""
    size = math.prod(kernel.shape)
    if not any(kernel is variable for variable in layer.trainable_variables):
        return "not trainable"
    # Said before the size: for these kernels it is the better reason.
    if layout.name.startswith("depthwise") and not named:
        return f"depthwise kernel: few weights, one input channel an output{UNLESS_NAMED}"
    if kind_of(layer) == "Embedding" and not named:
        return f"embedding table: no sparse kernel reads it{UNLESS_NAMED}"
    if size < min_weights:
        return f"{size} weights, fewer than min_weights={min_weights}"
    if spared is not None and not named:
        return f"{spared}{UNLESS_NAMED}"
    if getattr(layer, "groups", 1) > 1 and not named:
        return f"grouped convolution, groups={layer.groups}{UNLESS_NAMED}"
    return None


def _other_weights(layer: Any, label: str, named: bool) -> list[SkippedWeight]:
    """Weights of a layer without a supported kernel that are worth a line in the report."""
    children = {
        id(variable)
        for child in layer._flatten_layers(include_self=False, recursive=False)
        for variable in child.variables
    }
    return [
        SkippedWeight(label, variable, f"{type(layer).__name__} weights are not supported")
        for variable in layer.trainable_variables
        if id(variable) not in children and (named or len(variable.shape) >= 2)
    ]


def to_numpy(variable: Any) -> npt.NDArray[Any]:
    """The value of a variable; bfloat16, which numpy does not know, as float32.

    Args:
        variable: Keras variable.
    """
    value = value_of(variable)
    return value if value.dtype.kind == "f" else value.astype(np.float32)
