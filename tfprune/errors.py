# SPDX-License-Identifier: Apache-2.0
"""The errors of tfprune: one hierarchy, so that one ``except`` catches them all.

A message names its subject, the rule, what was received and what to do. Mistakes in a user's input are also
``ValueError``; a new class is added only where a caller could want to handle the case differently.
"""


class TfpruneError(Exception):
    """Root of every error that tfprune raises on purpose."""


class PatternError(TfpruneError, ValueError):
    """A pattern, sparsity or weight shape that does not fit together."""


class ScheduleError(TfpruneError, ValueError):
    """A pruning schedule whose arguments contradict each other."""


class PruningError(TfpruneError, ValueError):
    """A Keras model or callback that cannot be pruned as asked."""


class RecipeError(PruningError):
    """A recipe that cannot be read, contradicts itself or does not fit the layers it is for.

    Args:
        message: The text.
        field: The part of a rule that is wrong, such as ``"sparsity"``; None: no single one.
        line: Line in the file, from 1; None: not from a file.
        column: Column in the line, from 1.
    """

    def __init__(
        self, message: str, *, field: str | None = None, line: int | None = None, column: int | None = None
    ) -> None:
        """Stores the place."""
        super().__init__(message)
        self.field = field
        self.line = line
        self.column = column


class ModelError(TfpruneError, ValueError):
    """An input that is not a model tfprune can read."""


class ConversionError(TfpruneError, ValueError):
    """A model that could be read but not be converted as asked."""


class NotModelledError(ConversionError):
    """A layer on whose precision or operator the cost table was not fitted."""


class AlreadyConvertedError(ConversionError):
    """A ``.tflite`` file that already holds tfprune ops."""


class OutputError(TfpruneError, ValueError):
    """An output path that must not or cannot be written."""


class PackedFormatError(TfpruneError, ValueError):
    """Packed weights that break a rule of ``docs/formats.md``."""


class DelegateError(TfpruneError, ValueError):
    """The ``libtfprune`` delegate cannot be found or refuses its options."""


class RuntimeInputError(TfpruneError, ValueError):
    """Inputs that do not fit the model they are given to."""


class MappingError(TfpruneError, ValueError):
    """A model, budget or rule that a mapping cannot be made of."""


class ProfileError(TfpruneError, ValueError):
    """A latency profile that cannot be measured, or was measured on something else."""
