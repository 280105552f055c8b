# SPDX-License-Identifier: Apache-2.0
"""The jars that the Android demo app is compiled and tested with: Maven fetches them, and each has a fixed checksum."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDER = REPOSITORY / "build" / "jars"
LIST = REPOSITORY / "third_party" / "robolectric"
_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
#: Android's classes of the oldest API level that the app supports.
ANDROID = "android-all-7.0.0_r1-robolectric-r1.jar"
#: Those of the version that Robolectric runs.
ROBOLECTRIC_ANDROID = "android-all-instrumented-14-robolectric-10818077-i6.jar"


def fetch() -> Path:
    """Fetches what is missing, and returns the folder.

    Raises:
        SystemExit: Maven is missing or could not fetch, or a jar has another checksum.
    """
    wanted = _checksums()
    if not all((FOLDER / name).exists() for name in wanted):
        _copy_from_maven()
    for name, checksum in wanted.items():
        found = _checksum(FOLDER / name)
        if found != checksum:
            raise SystemExit(f"{FOLDER / name}: its SHA-256 must be {checksum}, got {found}; remove it and run again.")
    return FOLDER


def robolectric() -> list[Path]:
    """Robolectric and JUnit, without Android."""
    return [FOLDER / name for name in sorted(_checksums()) if name not in (ANDROID, ROBOLECTRIC_ANDROID)]


def _checksums() -> dict[str, str]:
    lines = [line.split() for line in (LIST / "sha256.txt").read_text().splitlines() if not line.startswith("#")]
    return {name: checksum for checksum, name in lines}


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy_from_maven() -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise SystemExit("mvn is missing: install Maven (`make setup` does).")
    command = [maven, "--batch-mode", "--quiet", "-Dmaven.wagon.http.retryHandler.count=5"]
    command += [f"--file={LIST / 'pom.xml'}", f"{_PLUGIN}:copy-dependencies", f"-DoutputDirectory={FOLDER}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"mvn could not fetch what {LIST / 'pom.xml'} lists:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    print(fetch())
