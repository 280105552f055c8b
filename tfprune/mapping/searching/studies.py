# SPDX-License-Identifier: Apache-2.0
"""The study of a search in Optuna's storage, and what it is about, so that another search cannot go on with it."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study, StudyDirection

from tfprune.errors import MappingError
from tfprune.mapping.judging.metric import Metric
from tfprune.mapping.searching.journals import check_journal

_SUBJECT, _SPACE, _POPULATION = "tfprune", "tfprune:space", "tfprune:population"
_SENSITIVITY = "tfprune:sensitivity:"


@dataclasses.dataclass(frozen=True)
class StudyPlace:
    """Where a study is, in words that another process understands.

    Args:
        storage: path of a journal file, or the URL of a database; None: the memory of this process.
        name: of the study.
    """

    storage: str | None
    name: str

    def open(self) -> BaseStorage:
        """The storage.

        Raises:
            MappingError: it cannot be opened, or is no journal, or a broken one.
        """
        if self.storage is None:
            return InMemoryStorage()
        try:
            if "://" in self.storage:
                return RDBStorage(self.storage)
            check_journal(Path(self.storage))
            return JournalStorage(JournalFileBackend(self.storage))
        except MappingError:
            raise
        except Exception as error:  # whatever the database's driver raises
            raise MappingError(
                f"storage `{self.storage}` cannot be opened: {error}; give the path of a journal file in a folder that "
                "exists, or the URL of a database"
            ) from error


def storage_text(storage: str | os.PathLike[str]) -> str:
    """A storage in the words of `StudyPlace`: the URL of a database as it is, a path as an absolute one."""
    text = os.fsdecode(storage)
    return text if "://" in text else str(Path(text).absolute())


def pruner_of(name: str) -> BasePruner:
    """What ends bad trials early, after the parts of their evaluation."""
    if name == "median":
        return MedianPruner(n_startup_trials=5, n_warmup_steps=0)
    return NopPruner() if name == "none" else SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)


def open_study(place: StudyPlace, method: str, metric: Metric, pruner: str) -> Study:
    """The study, made where it is not there yet. Its sampler is given to it later.

    Raises:
        MappingError: the storage cannot be opened, or holds a study of another method.
    """
    directions = [StudyDirection.MAXIMIZE if metric.sign > 0 else StudyDirection.MINIMIZE]
    if method == "nsga2":
        directions.append(StudyDirection.MINIMIZE)
    study = optuna.create_study(
        storage=place.open(),
        study_name=place.name,
        load_if_exists=True,
        directions=directions,
        pruner=pruner_of("none" if method == "nsga2" else pruner),
    )
    if study.directions != directions:
        names, wanted = ([each.name.lower() for each in found] for found in (study.directions, directions))
        raise _another(place, "direction", names, wanted)
    return study


def claim_study(study: Study, place: StudyPlace, subject: Mapping[str, Any]) -> None:
    """Says what a study is about, or checks that it is about the same.

    Args:
        study: the study.
        place: where it is, for messages.
        subject: plain values.

    Raises:
        MappingError: it is about something else.
    """
    known = study.user_attrs.get(_SUBJECT)
    if known is None:
        if study.get_trials(deepcopy=False):
            raise MappingError(
                f"study {place.name!r} in `{place.storage}` is not one of tfprune; give another storage or study_name"
            )
        study.set_user_attr(_SUBJECT, dict(subject))
        return
    for key, value in subject.items():
        if known.get(key) != value:
            raise _another(place, key, known.get(key), value)


def agreed_space(study: Study, keys: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The choices that all processes of a study choose from: those of the first that said which."""
    known = study.user_attrs.get(_SPACE)
    if known is None:
        study.set_user_attr(_SPACE, {name: list(found) for name, found in keys.items()})
        known = study.user_attrs[_SPACE]
    return dict(known)


def agreed_population(study: Study, population: int) -> int:
    """The mappings of a generation, which later calls with more trials leave as they are."""
    if _POPULATION not in study.user_attrs:
        study.set_user_attr(_POPULATION, population)
    return int(study.user_attrs[_POPULATION])


def known_sensitivity(study: Study) -> dict[str, dict[str, float]]:
    """What was found out of single layers before: the metric by layer and choice."""
    found = study.user_attrs.items()
    return {key.removeprefix(_SENSITIVITY): value for key, value in found if key.startswith(_SENSITIVITY)}


def keep_sensitivity(study: Study, layer: str, values: Mapping[str, float]) -> None:
    """Stores what was found out of a layer."""
    study.set_user_attr(f"{_SENSITIVITY}{layer}", dict(values))


@contextlib.contextmanager
def quiet_optuna() -> Iterator[None]:
    """Optuna without a line on the terminal for each trial: there is a display."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _another(place: StudyPlace, what: str, known: Any, value: Any) -> MappingError:
    return MappingError(
        f"study {place.name!r} in `{place.storage}` is another search: {what} is {known!r} there and {value!r} here; "
        "give another storage or study_name"
    )
