# SPDX-License-Identifier: Apache-2.0
"""Frozen dataclasses whose fields are their configuration, with the checks that fields share."""

from __future__ import annotations

import dataclasses
import math
import numbers
import operator
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from tfprune.errors import TfpruneError

C = TypeVar("C", bound="Configured")


def as_whole(value: object) -> int | None:
    """A whole number of Python's, numpy's or a tensor's type as an int; None for anything else and for bools."""
    try:
        return None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]  # what it is for
    except TypeError:
        return None


def as_float(value: object) -> float:
    """A real number as a float: infinite beyond the largest float, NaN for anything else and for bools."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return -math.inf if value < 0 else math.inf


class Configured:
    """Base of frozen dataclasses that a plain dictionary rebuilds."""

    #: Class of every complaint about the fields.
    error: ClassVar[type[TfpruneError]]
    #: Largest whole number that a field may have; None: any.
    most: ClassVar[int | None] = None

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the object.

        Returns:
            A dictionary of plain values: ``type(x).from_config(x.get_config()) == x``.
        """
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_config(cls: type[C], config: Mapping[str, Any]) -> C:
        """Undoes `get_config`.

        Args:
            config: Arguments of the class.

        Returns:
            The object.

        Raises:
            TfpruneError: An argument is missing, unknown or wrong; of the class's own kind.
        """
        try:
            return cls(**config)
        except TypeError as error:
            raise cls.error(f"{cls._misfit(config) or error}. Received: {config!r}.") from error

    @classmethod
    def _misfit(cls, config: Mapping[str, Any]) -> str:
        """Which argument a configuration has too many or too few; empty if it is something else."""
        if not isinstance(config, Mapping):
            return f"The arguments of `{cls.__name__}` must be a dictionary"
        fields = {each.name: each for each in dataclasses.fields(cls) if each.init}  # type: ignore[arg-type]
        for name in config:
            if name not in fields:
                return f"`{cls.__name__}` has no argument {name!r}: it has {', '.join(fields)}"
        for name, field in fields.items():
            if name not in config and field.default is field.default_factory is dataclasses.MISSING:
                return f"`{cls.__name__}` must be given `{name}`, as in {{{cls.__name__}: {{{name}: ...}}}}"
        return ""

    def _set_whole(self, field: str, least: int = 1) -> None:
        """Checks a whole-number field of at least `least` and stores it as an int."""
        value = getattr(self, field)
        number = as_whole(value)
        if number is None or number < least:
            raise self.error(
                f"`{field}` of `{type(self).__name__}` must be a whole number of at least {least}. "
                f"Received: {field}={value!r}."
            )
        if self.most is not None and number > self.most:
            raise self.error(
                f"`{field}` of `{type(self).__name__}` must be at most {self.most}. Received: {field}={value!r}."
            )
        object.__setattr__(self, field, number)

    def _set_positive(self, field: str, *, zero: bool = False) -> None:
        """Checks a finite number above 0, or at least 0, and stores it as a plain one."""
        value = getattr(self, field)
        number = as_float(value)
        if not (0 < number < math.inf or (zero and number == 0)):
            raise self.error(
                f"`{field}` of `{type(self).__name__}` must be a finite number {'of at least' if zero else 'above'} 0. "
                f"Received: {field}={value!r}."
            )
        object.__setattr__(self, field, value if isinstance(value, int) else number)
