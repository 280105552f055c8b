# SPDX-License-Identifier: Apache-2.0
"""Looking at what layers get while a model runs, in any kind of model and on every back end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

#: Takes a layer's own ``call`` and the arguments, and returns the layer's output.
Hook = Callable[..., Any]


class Stop(BaseException):
    """Ends a run of a model early; no `Exception`, or Keras would wrap it."""


@contextlib.contextmanager
def hooked(hooks: Mapping[Any, Hook]) -> Iterator[None]:
    """Puts hooks round the ``call`` of layers.

    Args:
        hooks: For each layer ``hook(call, inputs, *rest, **named)``.

    Yields:
        Nothing; afterwards the layers are as before.
    """
    try:
        for layer, hook in hooks.items():
            # Past the layer's own __setattr__, which would look for variables in it.
            object.__setattr__(layer, "call", _wrapped(layer.call, hook))
        yield
    finally:
        for layer in hooks:
            vars(layer).pop("call", None)


def _wrapped(call: Callable[..., Any], hook: Hook) -> Callable[..., Any]:
    def run(*args: Any, **named: Any) -> Any:
        # Keras may hand the inputs over by name.
        inputs, rest = (args[0], args[1:]) if args else (named.pop(next(iter(named))), ())
        return hook(call, inputs, *rest, **named)

    return run


def run(model: Any, inputs: Any) -> None:
    """Runs a model as for predictions, operation by operation, or until a hook stops it.

    Args:
        model: Built Keras model.
        inputs: A batch as the model takes it.
    """
    with contextlib.suppress(Stop):
        model(inputs, training=False)
