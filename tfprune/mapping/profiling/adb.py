# SPDX-License-Identifier: Apache-2.0
"""Times of models on an attached Android phone, by the benchmark program that ``make phone-tools`` builds."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import re
import shlex
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tfprune import __version__
from tfprune.errors import ProfileError
from tfprune.mapping.profiling.adb_connection import AdbConnection, find_adb
from tfprune.mapping.profiling.phone_facts import FACTS_COMMAND, PhoneFacts, big_cpus, read_facts
from tfprune.runtime.arguments import RUNNING_BACKENDS, backend_name, number_of_threads

PROGRAM, DELEGATE, RUNTIME = "tfprune_benchmark", "libtfprune.so", "libtensorflowlite_jni.so"
#: Of the phone; everything in it is tfprune's, and removed at the end.
FOLDER = "/data/local/tmp/tfprune"
#: A reference model whose time has changed by more than this means that the clock has.
DRIFT = 0.1
_ABI, _OLDEST_API = "arm64-v8a", 24
_PROGRAMS = f"{FOLDER}/programs"
_CHECK_EVERY = 20  # groups
_MOST_BYTES = 256 << 20  # of models that stay on the phone
_START_SECONDS = 300.0  # for loading, tuning a GPU and warming up
_DIGEST_LENGTH = 16
_THERMAL_COMMAND = "dumpsys thermalservice 2>/dev/null"
_THERMAL_STATUS = re.compile(r"Thermal Status: (\d)")
_THERMAL_NAMES = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")


class AdbDevice:
    """A phone that times groups of models; a context manager, which removes at its end what it copied there.

    Attributes:
        facts: what the phone is, and what runs there.
        notes: what happened that whoever reads the times should know, such as a clock that slowed down.
    """

    def __init__(
        self,
        tools: str | os.PathLike[str],
        *,
        serial: str | None = None,
        adb: str | os.PathLike[str] | None = None,
        num_threads: int = 1,
        backend: str = "cpu",
        precision: str = "f32",
        arch: str = "auto",
        cpus: str | None = None,
        seconds: float = 0.05,
    ) -> None:
        """Connects, and copies to the phone what it lacks.

        Args:
            tools: the folder that ``make phone-tools`` makes.
            serial: of the phone, where several are attached.
            adb: the program; default: of ``ANDROID_HOME``, or in ``PATH``.
            num_threads: CPU threads, from 1 to 1024.
            backend: ``"cpu"``, ``"gpu"`` or ``"auto"``; on a GPU dense models run through the delegate, too.
            precision: ``"f32"`` or ``"f16"``, as for :class:`tfprune.Interpreter`.
            arch: kernels of the delegate, as for :func:`tfprune.delegate`.
            cpus: the CPUs to run on: ``"big"``, all that are faster than the slowest, or a hexadecimal mask as of
                ``taskset``, such as ``"f0"``; default: whatever the phone chooses.
            seconds: how long the models of a group take turns.

        Raises:
            ProfileError: no ``adb``, no such phone, not of arm64-v8a, or something does not load there.
            RuntimeInputError: ``num_threads`` or ``backend`` is out of range.
        """
        self._files = _tool_files(Path(tools))
        self._num_threads = number_of_threads(num_threads)
        self._backend = backend_name(backend, RUNNING_BACKENDS)
        self._seconds = seconds
        self.notes: list[str] = []
        self._groups = 0
        self._reference: tuple[bytes, float] | None = None
        self._phone = AdbConnection(find_adb() if adb is None else Path(adb), serial)
        properties = self._phone.shell(FACTS_COMMAND).output
        facts = read_facts(properties)
        _check(facts, self._phone.serial)
        self._options = {"arch": arch, "backend": self._backend, "precision": precision}
        if self._backend != "cpu":
            self._options["program_cache"] = _PROGRAMS  # every group is a process of its own
        mask = big_cpus(properties) if cpus == "big" else cpus
        self._cpus = [] if mask is None else [f"--cpus={mask}"]
        self._models: dict[str, int] = {}  # bytes of those that are on the phone
        try:
            self._push_tools()
            self.facts = self._loaded(facts)
        except ProfileError:
            with contextlib.suppress(ProfileError):  # the first one says what happened
                self.close()
            raise

    def measure(self, groups: Iterable[Sequence[bytes]], tolerance: float | None = 1e-4) -> Iterator[tuple[float, ...]]:
        """Least time of one run of the models of each group, interleaved, in microseconds.

        Every group's times come as soon as they are measured, so that a caller can keep them when a later one fails.

        Args:
            groups: ``.tflite`` files, one to 64 a group.
            tolerance: how much an answer may differ from the group's first, by its largest value; None: the models of
                a group are different ones.

        Raises:
            ProfileError: a model cannot run, answers differ, a group takes too long, or the phone went away.
        """
        for models in groups:
            if self._reference is None:
                self._reference = models[0], self._microseconds(models[:1], None)[0]
            elif self._groups % _CHECK_EVERY == 0:
                self._check_clock(*self._reference)
            times = self._microseconds(models, tolerance)
            self._groups += 1
            yield times

    def close(self) -> None:
        """Removes everything that was copied to the phone.

        Raises:
            ProfileError: the phone is not there any more.
        """
        self._models = {}
        self._phone.shell(f"rm -rf {FOLDER}")

    def __enter__(self) -> AdbDevice:
        """The device."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cleans up; a phone that cannot be reached must not hide what happened before."""
        try:
            self.close()
        except ProfileError:
            if kind is None:
                raise

    def _microseconds(self, models: Sequence[bytes], tolerance: float | None) -> tuple[float, ...]:
        names = self._push_models(models)
        comparison = "--compare=0" if tolerance is None else f"--tolerance={tolerance:g}"
        report = self._run_program(comparison, f"--seconds={self._seconds:g}", *names)
        return tuple(min(model["nanoseconds"]) / 1e3 for model in report["models"])

    def _run_program(self, *arguments: str) -> dict[str, Any]:
        options = [f"--option={key}={value}" for key, value in self._options.items()]
        command = [
            f"./{PROGRAM}",
            f"--runtime={FOLDER}/{RUNTIME}",
            f"--delegate={FOLDER}/{DELEGATE}",
            *options,
            *self._cpus,
        ]
        command += [f"--threads={self._num_threads}", *arguments]
        seconds = _START_SECONDS + 10 * self._seconds
        # Who gives up waiting here cannot end what runs there: it ends itself a little later.
        ended = ["timeout", str(math.ceil(seconds) + 1), *command]
        result = self._phone.shell(f"cd {FOLDER} && {shlex.join(ended)}", seconds)
        if result.code:
            raise ProfileError(f"phone {self._phone.serial}: {_told(result.errors, result.code)}")
        try:
            report: dict[str, Any] = json.loads(result.output)
        except json.JSONDecodeError as error:
            raise ProfileError(
                f"phone {self._phone.serial}: {PROGRAM} must print its report, got {result.output[-200:]!r}; run "
                "`make phone-tools` again"
            ) from error
        return report

    def _loaded(self, facts: PhoneFacts) -> PhoneFacts:
        """Runs the program without a model, which says what it loaded."""
        report = self._run_program("--facts")
        for name, version in (("the program", report["version"]), (DELEGATE, report["delegate"])):
            if version != __version__:
                raise ProfileError(
                    f"phone tools: {name} must be of tfprune {__version__}, got {version}; run `make phone-tools` again"
                )
        return dataclasses.replace(
            facts,
            litert=report["runtime"],
            libtfprune=report["delegate"],
            arch=report["arch"],
            library_sha256=_digest(self._files[DELEGATE].read_bytes())[:_DIGEST_LENGTH],
        )

    def _check_clock(self, content: bytes, first: float) -> None:
        """Times the reference model again, and notes where its time has changed."""
        now = self._microseconds([content], None)[0]
        if abs(now / first - 1) <= DRIFT:
            return
        found = _THERMAL_STATUS.search(self._phone.shell(_THERMAL_COMMAND).output)
        status = "not told" if found is None else _THERMAL_NAMES[min(int(found[1]), len(_THERMAL_NAMES) - 1)]
        self.notes.append(
            f"after {self._groups} groups the reference model took {now / first:.2f} times as long as at the start "
            f"(thermal status: {status}); the clock has changed, and times before and after do not compare"
        )

    def _listing(self) -> dict[str, str]:
        """Digests of the tools that an earlier session left; none where the phone has no command for digests."""
        prepare = f"mkdir -p {_PROGRAMS} && cd {FOLDER} && rm -f *.tflite && sha256sum * 2>/dev/null"
        entries = (line.split(None, 1) for line in self._phone.shell(prepare).output.splitlines())
        return {entry[1].strip(): entry[0] for entry in entries if len(entry) == 2}

    def _push_tools(self) -> None:
        """Copies the tools that are not there with the same content."""
        left = self._listing()
        missing = [path for name, path in self._files.items() if left.get(name) != _digest(path.read_bytes())]
        if missing:
            self._phone.push(missing, f"{FOLDER}/")
            self._phone.shell(f"chmod 755 {FOLDER}/{PROGRAM}")

    def _push_models(self, models: Sequence[bytes]) -> list[str]:
        """Copies the models that are not there; their names on the phone."""
        contents = {f"{_digest(content)[:_DIGEST_LENGTH]}.tflite": content for content in models}
        names = [f"{_digest(content)[:_DIGEST_LENGTH]}.tflite" for content in models]
        missing = [name for name in contents if name not in self._models]
        needed = sum(len(contents[name]) for name in missing)
        if missing and sum(self._models.values()) + needed > _MOST_BYTES:
            self._remove_models(set(self._models) - set(names))
        if missing:
            with tempfile.TemporaryDirectory() as folder:
                for name in missing:
                    Path(folder, name).write_bytes(contents[name])
                self._phone.push([Path(folder, name) for name in missing], f"{FOLDER}/")
            self._models.update({name: len(contents[name]) for name in missing})
        return names

    def _remove_models(self, names: Iterable[str]) -> None:
        for name in names:
            del self._models[name]
        self._phone.shell(f"cd {FOLDER} && rm -f {' '.join(names)}")


def _tool_files(folder: Path) -> dict[str, Path]:
    files = {name: folder / name for name in (PROGRAM, DELEGATE, RUNTIME)}
    missing = [name for name, path in files.items() if not path.is_file()]
    if missing:
        raise ProfileError(
            f"phone tools: `{folder}` must hold {', '.join(files)}, but lacks {', '.join(missing)}; run "
            "`make phone-tools` in a checkout of tfprune and give its folder build/phone/arm64-v8a"
        )
    return files


def _check(facts: PhoneFacts, serial: str) -> None:
    """Refuses phones on which the tools cannot run."""
    if _ABI not in facts.abis:
        found = ", ".join(facts.abis) or "none that it tells"
        raise ProfileError(f"phone {serial}: its ABI must be {_ABI}, got {found}; take another phone")
    if 0 < facts.api < _OLDEST_API:
        raise ProfileError(
            f"phone {serial}: must have Android 7 (API {_OLDEST_API}) or later, got {facts.system}; take another phone"
        )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _told(errors: str, code: int) -> str:
    """The reason that the program gave, behind whatever else was printed."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    own = [line.removeprefix(f"{PROGRAM}: ") for line in lines if line.startswith(f"{PROGRAM}: ")]
    if own:
        return own[-1]
    return f"{PROGRAM} ended with exit code {code}: {lines[-1] if lines else 'it printed nothing'}"
