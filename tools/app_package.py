# SPDX-License-Identifier: Apache-2.0
"""Makes an APK of the compiled Android demo app: Android's bytecode, the libraries of each ABI, and a signature.

D8, which Gradle's plugin makes bytecode with, is in Google's repository only. Its predecessor dx is in Maven Central,
but has no lambdas for Android before 8: ProGuard turns them into classes first, and changes nothing else.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path

import app_jars
from commands import run

#: Of libraries in the archive, which Android maps into memory as they are; devices with pages of 16 KB need no less.
PAGE = 16384
#: Of other entries that are not compressed.
_WORD = 4
#: The field of a zip entry by which Android's tools align its content: two bytes for the alignment, then zeros.
_ALIGNMENT_FIELD = 0xD935
_ALIGNMENT_HEADER = 6  # bytes before the zeros
_LOCAL_HEADER = 30  # bytes before the name
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a zip can tell
_KEY_NAME, _KEY_PASSWORD = "androiddebugkey", "android"
#: Classes are otherwise left as they are. Warnings are errors, but for an annotation that TensorFlow Lite lacks.
_ONLY_LAMBDAS = (
    *("-target", "1.7", "-dontshrink", "-dontoptimize", "-dontobfuscate", "-dontnote"),
    *("-dontwarn", "org.checkerframework.checker.nullness.qual.NonNull"),
)


def make_bytecode(classes: Iterable[Path], output: Path, min_sdk: int) -> Path:
    """Turns Java's bytecode into Android's.

    Args:
        classes: folders and jars of all that the app packages.
        output: the folder to write into.
        min_sdk: the oldest API level that is to run it.

    Returns:
        ``classes.dex``.
    """
    jar, dex = output / "classes_without_lambdas.jar", output / "classes.dex"
    # It has classes of its own by names that are in proguard-core too: the first ones are taken.
    tools = sorted(app_jars.APK.paths(), key=lambda path: (not path.name.startswith("proguard-base"), path.name))
    java = ("java", "-cp", ":".join(map(str, tools)))
    given = [word for path in classes for word in ("-injars", f"{path}(!META-INF/**)")]
    modules = [f"<java.home>/jmods/java.{name}.jmod(!**.jar;!module-info.class)" for name in ("base", "logging")]
    known = [word for path in (app_jars.ANDROID, *modules) for word in ("-libraryjars", str(path))]
    run(*java, "proguard.ProGuard", *given, *known, "-outjars", jar, *_ONLY_LAMBDAS)
    dx = ("com.android.dx.command.Main", "--dex", f"--min-sdk-version={min_sdk}", f"--output={dex}")
    run(*java, *dx, jar)
    return dex


def write_archive(resources: Path, dex: Path, libraries: Iterable[Path], output: Path) -> None:
    """Writes an APK without a signature; the same input makes the same bytes.

    Libraries are not compressed, as Gradle's plugin packages them: Android runs them where they are, and they take no
    place a second time.

    Args:
        resources: the archive with manifest, resources and assets that aapt2 linked.
        dex: Android's bytecode.
        libraries: the libraries, each in the folder of its ABI.
        output: the file to write.
    """
    with output.open("wb") as file, zipfile.ZipFile(file, "w") as archive:
        with zipfile.ZipFile(resources) as linked:
            for entry in linked.infolist():
                alignment = _WORD if entry.compress_type == zipfile.ZIP_STORED else None
                archive.writestr(_entry(entry.filename, file.tell(), alignment), linked.read(entry))
        archive.writestr(_entry("classes.dex", file.tell(), None), dex.read_bytes())
        for library in libraries:
            name = f"lib/{library.parent.name}/{library.name}"
            archive.writestr(_entry(name, file.tell(), PAGE), library.read_bytes())


def _entry(name: str, position: int, alignment: int | None) -> zipfile.ZipInfo:
    """The entry that begins at a position: compressed, or with its content aligned."""
    entry = zipfile.ZipInfo(name, _EARLIEST)
    entry.compress_type = zipfile.ZIP_DEFLATED
    if alignment is not None:
        entry.compress_type = zipfile.ZIP_STORED
        padding = -(position + _LOCAL_HEADER + len(name.encode()) + _ALIGNMENT_HEADER) % alignment
        entry.extra = struct.pack("<HHH", _ALIGNMENT_FIELD, 2 + padding, alignment) + bytes(padding)
    return entry


def sign(unsigned: Path, keystore: Path, output: Path, min_sdk: int) -> None:
    """Signs an APK with a key for trying it, which is made where there is none.

    Args:
        unsigned: the APK.
        keystore: where the key is kept: Android takes no update that another key has signed.
        output: the signed APK.
        min_sdk: the oldest API level that is to take the signature.
    """
    key = ("-keystore", str(keystore), "-storepass", _KEY_PASSWORD, "-alias", _KEY_NAME)
    if not keystore.exists():
        algorithm = ("-keyalg", "RSA", "-keysize", "2048", "-validity", "10000", "-dname", "CN=Android Debug")
        run("keytool", "-genkeypair", *key, *algorithm)
    # The oldest scheme is for Android before 7, the newest for installing while a file is still on its way.
    how = ("--min-sdk-version", str(min_sdk), "--v1-signing-enabled", "false", "--v4-signing-enabled", "false")
    who = ("--ks", str(keystore), "--ks-pass", f"pass:{_KEY_PASSWORD}", "--ks-key-alias", _KEY_NAME)
    run("apksigner", "sign", *how, *who, "--out", str(output), str(unsigned))
