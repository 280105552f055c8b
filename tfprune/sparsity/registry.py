# SPDX-License-Identifier: Apache-2.0
"""Named classes that survive a round trip through a plain dictionary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Protocol, TypeVar

from tfprune.errors import TfpruneError


class Configurable(Protocol):
    """An object that its own configuration rebuilds."""

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the object."""
        ...


T = TypeVar("T", bound=Configurable)


class Registry(Generic[T]):
    """Classes by name.

    Args:
        subject: What the classes are, for messages (``"pattern"``).
        error: Exception class of every complaint.
    """

    def __init__(self, subject: str, error: type[TfpruneError]) -> None:
        """Starts empty."""
        self._subject = subject
        self._error = error
        self._classes: dict[str, type[T]] = {}

    def register(self, cls: type[T]) -> type[T]:
        """Adds a class under its own name (usable as a decorator).

        Args:
            cls: Class whose constructor accepts its ``get_config()`` as keyword arguments.

        Returns:
            The class.

        Raises:
            TfpruneError: The name is taken.
        """
        if cls.__name__ in self._classes:
            raise self._error(f"The {self._subject} name {cls.__name__!r} is already registered. Rename the class.")
        self._classes[cls.__name__] = cls
        return cls

    def serialize(self, value: T) -> dict[str, Any]:
        """Turns an object into ``{"class_name": ..., "config": ...}``.

        Args:
            value: Object of a registered class.

        Returns:
            A dictionary of plain values.

        Raises:
            TfpruneError: The class is not registered.
        """
        name = type(value).__name__
        if self._classes.get(name) is not type(value):
            raise self._error(f"`{name}` is not a registered {self._subject}. Registered: {sorted(self._classes)}.")
        return {"class_name": name, "config": value.get_config()}

    def deserialize(self, data: Mapping[str, Any]) -> T:
        """Undoes `serialize`.

        Args:
            data: ``{"class_name": ..., "config": ...}``.

        Returns:
            The object.

        Raises:
            TfpruneError: Not such a dictionary, an unknown name, or arguments the class does not take.
        """
        if not isinstance(data, Mapping) or set(data) != {"class_name", "config"}:
            raise self._error(
                f"A serialized {self._subject} is a dictionary with the keys 'class_name' and 'config'. "
                f"Received: {data!r}."
            )
        name, config = data["class_name"], data["config"]
        if name not in self._classes:
            raise self._error(
                f"Unknown {self._subject} {name!r}. Registered: {sorted(self._classes)}. "
                "Is the file from a newer version?"
            )
        try:
            return self._classes[name](**config)
        except TypeError as error:
            raise self._error(
                f"The config of {self._subject} {name!r} must fit: {error}. Received: {config!r}."
            ) from error
