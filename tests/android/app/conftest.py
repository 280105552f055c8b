# SPDX-License-Identifier: Apache-2.0
"""The Android demo app with untrained models, packaged without an Android SDK, and a virtual machine that runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.android.conftest import JSIG, REPOSITORY

JARS = REPOSITORY / "build" / "jars"
APK_JARS = REPOSITORY / "build" / "apk_jars"
JUnit = Callable[..., "subprocess.CompletedProcess[str]"]


def run_script(name: str, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a script of ``tools``, with more environment variables."""
    command = [sys.executable, REPOSITORY / "tools" / name, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _succeed(name: str, *arguments: str | Path) -> None:
    done = run_script(name, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what the app carries, with few layers to measure."""
    folder = tmp_path_factory.mktemp("models") / "models"
    _succeed("make_app_models.py", "--untrained", "--layers", "2", "--output-dir", folder)
    return folder


@pytest.fixture(scope="session")
def app(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the compiled app and its tests, beside ``demo.apk``."""
    folder = tmp_path_factory.mktemp("app") / "app"
    apk = folder.with_name("demo.apk")
    _succeed("build_app.py", "--models", models, "--output", folder, "--apk", apk, "--tests")
    config = folder / "test_classes" / "com" / "android" / "tools" / "test_config.properties"
    config.parent.mkdir(parents=True)
    # As Gradle's plugin tells Robolectric of an app.
    config.write_text(
        f"android_merged_manifest={folder / 'AndroidManifest.xml'}\n"
        "android_custom_package=io.tfprune.demo\n"
        f"android_resource_apk={folder / 'resources.apk'}\n"
    )
    return folder


@pytest.fixture(scope="session")
def apk(app: Path) -> Path:
    """The signed APK."""
    return app.with_name("demo.apk")


@pytest.fixture(scope="session")
def classes_of_apk(apk: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The APK's bytecode as a jar: enjarify translates it back."""
    jar = tmp_path_factory.mktemp("classes") / "classes.jar"
    # It is Debian's Python that has its modules.
    environment = {**os.environ, "PYTHON": "/usr/bin/python3"}
    done = subprocess.run(["enjarify", "-o", jar, apk], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 classes had errors" in done.stdout
    return jar


@pytest.fixture(scope="session")
def junit(app: Path, classes_of_apk: Path, libraries: Path, android_libc: Path) -> JUnit:
    """``junit(*classes, property=value)`` runs tests of the app, on Robolectric and Android's TensorFlow Lite.

    The app, the library and TensorFlow Lite's Java classes are those of the APK.
    """
    # Robolectric loads its own Android; outside of it classes are those of the oldest one.
    others = sorted(JARS.glob("*.jar"), key=lambda jar: (not jar.name.startswith("android-all-7"), jar.name))
    jars = [app / "test_classes", classes_of_apk, *(jar for jar in others if "instrumented" not in jar.name)]
    command = ["java", "-Xmx1g", f"-Djava.library.path={libraries}"]
    command += ["-Drobolectric.offline=true", f"-Drobolectric.dependency.dir={JARS}"]
    # No OpenCL, whatever this machine has: a test asks what the app says then.
    environment = {**os.environ, "LD_LIBRARY_PATH": str(android_libc), "LD_PRELOAD": str(JSIG), "OCL_ICD_VENDORS": "/"}

    def run(*classes: str, **properties: str | Path) -> subprocess.CompletedProcess[str]:
        given = [f"-Dtfprune.{name}={value}" for name, value in properties.items()]
        full = [*command, *given, "-cp", ":".join(map(str, jars)), "org.junit.runner.JUnitCore"]
        full += [f"io.tfprune.demo.{name}" for name in classes]
        return subprocess.run(full, env=environment, capture_output=True, text=True, timeout=600, check=False)

    return run
