# SPDX-License-Identifier: Apache-2.0
"""The state of a pruning on disk, in step with weights that others save."""

from __future__ import annotations

import os

from tfprune.errors import OutputError, PruningError
from tfprune.files import check_target
from tfprune.keras.pruning import Pruning
from tfprune.keras.state import PruningState


class Checkpoint:
    """The two latest states of a pruning: whenever a process is killed, one of them belongs to the weights it saved.

    A state is written each time the model is saved, before its weights are. So the latest belongs to weights that may
    never have reached the disk; those that did then belong to the one before. Digests of the weights tell.

    Args:
        path: File of the latest state; the one before is beside it, with ``.previous`` at the end of its name.

    Raises:
        OutputError: No file can be written there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Looks at the path, and writes nothing."""
        self.path = check_target(path, overwrite=True)
        self._previous = self.path.with_name(self.path.name + ".previous")
        self._latest_digest: str | None = None
        self._latest_lost = False

    def write(self, state: PruningState) -> None:
        """Writes a state.

        Args:
            state: The state.

        Raises:
            OutputError: It cannot be written.
        """
        if state.digest != self._latest_digest and not self._latest_lost and self.path.exists():
            try:
                os.replace(self.path, self._previous)
            except OSError as error:
                raise OutputError(f"`{self._previous}`: cannot be written: {error.strerror}") from error
        state.save(self.path)
        self._latest_digest, self._latest_lost = state.digest, False

    def find(self, pruning: Pruning) -> PruningState | None:
        """The state that belongs to the weights that a model has now.

        Args:
            pruning: A started pruning of the model. If it has trained it already, weights may be others by now.

        Returns:
            The state; None if there is no file, or if only the pruning knows more.

        Raises:
            PruningError: A file is damaged, or of another model or pruning, or neither belongs to these weights.
        """
        states = [PruningState.load(path) for path in (self.path, self._previous) if path.exists()]
        for state in states:
            pruning.check_state(state)
        digest = pruning.digest()
        found = next((state for state in states if state.digest == digest), None)
        # The latest belongs to weights that were never saved: the next one takes its place, not that of the one before.
        self._latest_lost = found is not None and found is not states[0]
        if states and found is None and not pruning.step_count:
            steps = " and ".join(f"{state.step}" for state in states)
            raise PruningError(
                f"A pruning goes on with the weights that its state was saved with. Received: {os.fspath(self.path)!r} "
                f"with the state after {steps} steps, and a model with other weights. Load the model saved then "
                "(BackupAndRestore does), or delete the file to begin anew."
            )
        return found
