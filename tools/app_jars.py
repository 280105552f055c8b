# SPDX-License-Identifier: Apache-2.0
"""The jars that the Android demo app is made and tested with: Maven fetches them, and each has a fixed checksum."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from commands import run

REPOSITORY = Path(__file__).resolve().parents[1]
_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"


@dataclass(frozen=True)
class Jars:
    """What one ``pom.xml`` asks for.

    Attributes:
        source: the folder of ``pom.xml`` and ``sha256.txt``.
        folder: where the jars are.
    """

    source: Path
    folder: Path

    def fetch(self) -> None:
        """Fetches what is missing.

        Raises:
            SystemExit: Maven is missing or could not fetch, or a jar is missing or has another checksum.
        """
        wanted = self._checksums()
        if not all((self.folder / name).exists() for name in wanted):
            self._copy_from_maven()
        for name, checksum in wanted.items():
            path = self.folder / name
            if not path.exists():
                raise SystemExit(f"{path} must be what {self.source / 'pom.xml'} asks for, Maven fetched no such jar.")
            found = _checksum(path)
            if found != checksum:
                raise SystemExit(f"{path}: its SHA-256 must be {checksum}, got {found}; remove it and run again.")

    def paths(self) -> list[Path]:
        """All of them, in the order of their names."""
        return [self.folder / name for name in sorted(self._checksums())]

    def _checksums(self) -> dict[str, str]:
        lines = (self.source / "sha256.txt").read_text().splitlines()
        return {name: checksum for checksum, name in (line.split() for line in lines if not line.startswith("#"))}

    def _copy_from_maven(self) -> None:
        pom, goal = self.source / "pom.xml", f"{_PLUGIN}:copy-dependencies"
        options = ("--batch-mode", "--quiet", "-Dmaven.wagon.http.retryHandler.count=5")
        run("mvn", *options, f"--file={pom}", goal, f"-DoutputDirectory={self.folder}")


#: What the app is compiled against, and its tests run on.
ROBOLECTRIC = Jars(REPOSITORY / "third_party" / "robolectric", REPOSITORY / "build" / "jars")
#: Android's classes of the oldest API level that the app supports.
ANDROID = ROBOLECTRIC.folder / "android-all-7.0.0_r1-robolectric-r1.jar"
#: Those of the version that Robolectric runs.
ROBOLECTRIC_ANDROID = ROBOLECTRIC.folder / "android-all-instrumented-14-robolectric-10818077-i6.jar"
#: What makes Android's bytecode, and what checks it.
APK = Jars(REPOSITORY / "third_party" / "apk", REPOSITORY / "build" / "apk_jars")


def fetch() -> None:
    """Fetches all that is missing."""
    ROBOLECTRIC.fetch()
    APK.fetch()


def robolectric() -> list[Path]:
    """Robolectric and JUnit, without Android."""
    return [path for path in ROBOLECTRIC.paths() if path not in (ANDROID, ROBOLECTRIC_ANDROID)]


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    fetch()
    print(ROBOLECTRIC.folder, APK.folder, sep="\n")
