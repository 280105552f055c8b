# SPDX-License-Identifier: Apache-2.0
"""The Android demo app with untrained models, compiled without an Android SDK, and a virtual machine that runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.android.conftest import BUILT, JSIG, REPOSITORY

JARS = REPOSITORY / "build" / "jars"
JUnit = Callable[..., "subprocess.CompletedProcess[str]"]


def _script(name: str, *arguments: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, REPOSITORY / "tools" / name, *arguments],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what the app carries, with few layers to measure."""
    folder = tmp_path_factory.mktemp("models") / "models"
    _script("make_app_models.py", "--untrained", "--layers", "2", "--output-dir", folder)
    return folder


@pytest.fixture(scope="session")
def app(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the compiled app and its tests."""
    folder = tmp_path_factory.mktemp("app") / "app"
    _script("build_app.py", "--models", models, "--output", folder, "--tests")
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
def junit(app: Path, libraries: Path, android_libc: Path) -> JUnit:
    """``junit(*classes, property=value)`` runs tests of the app, on Robolectric and Android's TensorFlow Lite."""
    own = [app / "test_classes", app / "classes", app / "library" / "classes.jar"]
    runtime = [BUILT / "tflite_java.jar", BUILT / "tflite_api.jar"]
    # Robolectric loads its own Android; outside of it classes are those of the oldest one.
    others = sorted(JARS.glob("*.jar"), key=lambda jar: (not jar.name.startswith("android-all-7"), jar.name))
    jars = [*own, *runtime, *(jar for jar in others if "instrumented" not in jar.name)]
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
