# SPDX-License-Identifier: Apache-2.0
"""The moment when all callbacks of a ``fit`` have ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Ending:
    """Calls a function once, when the callback that made it and all others have ended.

    Callbacks end in the order of their list, and one behind ours may still replace the weights. Keras puts its
    `History` at the end of the list, so its end is the end of all. Where a user lists one, or none is there, our own
    end may come later, and counts.

    Args:
        model: The model, as training begins.
        function: What to call.
    """

    def __init__(self, model: Any, function: Callable[[], None]) -> None:
        """Waits for the history of this training."""
        self._function: Callable[[], None] | None = function
        history = getattr(model, "history", None)
        self._waiting = {"own"}
        # That of Keras 3 or of tf_keras.
        if any(kind.__name__ == "History" for kind in type(history).__mro__):
            self._waiting.add("history")
            self._watch(history)

    def reached(self, end: str = "own") -> None:
        """Call when one's own end is reached."""
        self._waiting.discard(end)
        function = self._function
        if not self._waiting and function is not None:
            self._function = None
            function()

    def _watch(self, history: Any) -> None:
        original = history.on_train_end

        def on_train_end(logs: Any = None) -> None:
            vars(history).pop("on_train_end", None)
            original(logs)
            self.reached("history")

        history.on_train_end = on_train_end
