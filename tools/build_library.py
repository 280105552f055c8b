# SPDX-License-Identifier: Apache-2.0
"""Builds ``libtfprune.so`` with Bazel and puts it where the Python package looks for it.

Called by ``make build`` and by ``setup.py``, so that the wheel and the checkout hold the same library.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
LIBRARY = REPOSITORY / "tfprune" / "runtime" / "lib" / "libtfprune.so"
TARGET = "//tflite_ops:libtfprune.so"


def run_bazel(*arguments: str) -> str:
    """Runs Bazel in the repository and returns what it printed on standard output.

    Raises:
        SystemExit: Bazel is not installed, or the command failed (its own messages are shown).
    """
    bazel = shutil.which("bazel")
    if bazel is None:
        raise SystemExit("libtfprune.so is built by Bazel, which was not found: run `make setup`, or install it.")
    result = subprocess.run([bazel, *arguments], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        raise SystemExit(f"`bazel {' '.join(arguments)}` failed with exit code {result.returncode}.")
    return result.stdout


def build(destination: Path = LIBRARY, *, config: str | None = None) -> Path:
    """Builds the library and copies it to ``destination``.

    Args:
        destination: The file to write; its folder is made where it is missing.
        config: A ``--config`` of ``.bazelrc``, for example ``"aarch64"``; by default the machine that builds.
    """
    build_file(TARGET, destination, config=config)
    return destination


def build_file(target: str, destination: Path, *, config: str | None = None) -> None:
    """Builds a target whose label ends with the name of its file, and copies the file to ``destination``."""
    options = [] if config is None else [f"--config={config}"]
    run_bazel("build", *options, target)
    built = Path(run_bazel("info", *options, "bazel-bin").strip(), *target.removeprefix("//").split(":"))
    destination.parent.mkdir(parents=True, exist_ok=True)
    destination.unlink(missing_ok=True)
    shutil.copyfile(built, destination)
    destination.chmod(0o755)


def newest_glibc(library: Path) -> tuple[int, int]:
    """The newest glibc version ``(major, minor)`` that a symbol imported by ``library`` asks for."""
    listing = subprocess.run(["objdump", "-T", library], stdout=subprocess.PIPE, text=True, check=True).stdout
    versions = [(int(major), int(minor)) for major, minor in re.findall(r"GLIBC_(\d+)\.(\d+)", listing)]
    if not versions:
        raise SystemExit(f"{library} imports no versioned symbol of glibc: it was not built for this machine.")
    return max(versions)


if __name__ == "__main__":
    if len(sys.argv) > 3:
        raise SystemExit("usage: build_library.py [DESTINATION [CONFIG]]")
    build(
        Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else LIBRARY,
        config=sys.argv[2] if len(sys.argv) > 2 else None,
    )
