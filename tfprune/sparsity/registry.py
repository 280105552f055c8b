# SPDX-License-Identifier: Apache-2.0
"""Named classes that survive a round trip through a plain dictionary."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Generic, Protocol, TypeVar

from tfprune.errors import TfpruneError

C = TypeVar("C", bound="Configurable")


class Configurable(Protocol):
    """An object that its own configuration rebuilds."""

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the object."""
        ...

    @classmethod
    def from_config(cls: type[C], config: Mapping[str, Any]) -> C:
        """Undoes `get_config`."""
        ...


T = TypeVar("T", bound=Configurable)
D = TypeVar("D", bound=Configurable)


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

    def register(self, cls: type[D]) -> type[D]:
        """Class decorator: makes a class known to `serialize` and `deserialize` under its own name.

        Args:
            cls: Derived from the registry's own kind; its ``from_config`` accepts its ``get_config()``.

        Returns:
            The class.

        Raises:
            TfpruneError: The name is taken.
        """
        if cls.__name__ in self._classes:
            raise self._error(f"The {self._subject} name {cls.__name__!r} is already registered. Rename the class.")
        self._classes[cls.__name__] = cls  # type: ignore[assignment]  # returned as what it is, not as a T
        return cls

    def find(self, name: str) -> type[T]:
        """Finds a class.

        Args:
            name: Its name.

        Returns:
            The class.

        Raises:
            TfpruneError: No class has this name.
        """
        if name not in self._classes:
            near = difflib.get_close_matches(str(name), self._classes, 1)
            hint = f"Did you mean {near[0]!r}?" if near else "Is the file from a newer version?"
            raise self._error(f"Unknown {self._subject} {name!r}. Registered: {sorted(self._classes)}. {hint}")
        return self._classes[name]

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
        found = self.find(name)
        if not isinstance(config, Mapping):
            raise self._error(f"The config of {self._subject} {name!r} must be a dictionary. Received: {config!r}.")
        return found.from_config(config)
