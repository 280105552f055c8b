# SPDX-License-Identifier: Apache-2.0
"""Files that are written as a whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path

from tfprune.errors import OutputError


def write_file(
    path: str | os.PathLike[str], content: bytes, *, overwrite: bool = False, source: Path | None = None
) -> None:
    """Writes a file as a whole or not at all.

    Args:
        path: where to; its folder must exist.
        content: the bytes to write.
        overwrite: whether an existing file may be replaced.
        source: the input the content was made from, refused as output in words of its own.

    Raises:
        OutputError: the file exists and ``overwrite`` is False, is no regular file, or cannot be written.
    """
    target = check_target(path, overwrite=overwrite, source=source)
    temporary = None
    try:
        temporary = target.with_name(f".{target.name[:80]}.{secrets.token_hex(8)}.tmp")
        _write_through(temporary, content)
        os.replace(temporary, target)
    except OSError as error:
        raise _cannot_be_written(path, error) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def check_target(path: str | os.PathLike[str], *, overwrite: bool = False, source: Path | None = None) -> Path:
    """Says whether a file could be written, and writes nothing.

    Args:
        path: where to; its folder must exist and be writable.
        overwrite: whether an existing file may be replaced.
        source: the input the content is made from, refused as output in words of its own.

    Returns:
        The file that would be written. A link is followed, so that its target is replaced and not the link.

    Raises:
        OutputError: the path is none, its folder is missing or not writable, it is no regular file, or the file exists
            and ``overwrite`` is False.
    """
    try:
        text = os.fsdecode(path)
    except TypeError as error:
        raise OutputError(f"output: must be a path, got {type(path).__name__}: {path!r}; give a file name") from error
    if "\0" in text:
        raise OutputError(f"output: a path must not hold a zero byte, got {text!r}; give a file name")
    if text.endswith(("/", os.sep)):
        raise OutputError(f"`{text}`: the output must be a regular file, got the name of a folder; add a file name")
    try:
        target = Path(os.path.realpath(text))
        _check_folder(target.parent)
        _check_existing(text, target, overwrite, source)
    except OSError as error:
        raise _cannot_be_written(text, error) from error
    return target


def _check_folder(folder: Path) -> None:
    if not stat.S_ISDIR(os.stat(folder).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _check_existing(text: str, target: Path, overwrite: bool, source: Path | None) -> None:
    # Asked for here, where a name that is too long or a folder without access raises OSError on every Python version.
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        # A rename would put a file in place of a device or pipe that programs hold on to.
        kind = "a folder; add a file name" if stat.S_ISDIR(mode) else "a device, pipe or socket; give another path"
        raise OutputError(f"`{text}`: the output must be a regular file, got {kind}")
    if overwrite:
        return
    if source is not None and source.exists() and os.path.samefile(target, source):
        raise OutputError(f"`{text}`: the output is the input; give another path, or pass overwrite=True")
    raise OutputError(f"`{text}`: the output exists already; give another path, or pass overwrite=True")


def _cannot_be_written(path: str | os.PathLike[str], error: OSError) -> OutputError:
    return OutputError(
        f"`{os.fsdecode(path)}`: cannot be written: {error.strerror}; check that the folder exists and is writable"
    )


def _write_through(path: Path, content: bytes) -> None:
    # Opened with the usual mode, so that the user's umask decides who may read the result.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
