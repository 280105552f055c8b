# SPDX-License-Identifier: Apache-2.0
"""Compiles the Android demo app without an Android SDK: aapt2 makes its resources, javac its classes.

Usage: build_app.py [--models FOLDER] [--output FOLDER] [--tests]

What comes out, in ``build/android/app`` where nothing else is said: ``resources.apk`` with the manifest, the resources
and the models, ``classes``, and with ``--tests`` the app's tests in ``test_classes``. The classes are compiled against
Android's of API level 24, so that nothing newer is called. ``make android`` makes the library that the app runs on,
``tools/make_app_models.py`` the models.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import zipfile
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

import app_jars

REPOSITORY = Path(__file__).resolve().parents[1]
APP = REPOSITORY / "android_demo" / "app"
MAIN = APP / "src" / "main"
TESTS = APP / "src" / "test" / "java"
#: What stands in for classes of Google's repository that Robolectric calls.
STAND_INS = REPOSITORY / "tests" / "android" / "app" / "androidx"
LIBRARY = REPOSITORY / "build" / "android"
OUTPUT = LIBRARY / "app"
MODELS = MAIN / "assets" / "models"
PACKAGE = "io.tfprune.demo"
MIN_SDK, TARGET_SDK = 24, 34
_ANDROID = "http://schemas.android.com/apk/res/android"
_JAVA = ("javac", "-g", "-encoding", "UTF-8", "-proc:none", "--release", "8")


def main() -> None:
    """Builds what the arguments ask for."""
    parser = argparse.ArgumentParser(description="Compile the Android demo app without an Android SDK.")
    parser.add_argument("--models", type=Path, default=MODELS, help="the folder that make_app_models.py wrote")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the folder to write into")
    parser.add_argument("--tests", action="store_true", help="compile the app's tests too")
    options = parser.parse_args()
    build(options.models, options.output, tests=options.tests)
    print(options.output)


def build(models: Path, output: Path, *, tests: bool = False) -> None:
    """Builds the app into a folder, whose earlier content goes.

    Args:
        models: the folder of ``models.json``.
        output: where to.
        tests: whether the app's tests are compiled too.
    """
    if not (models / "models.json").exists():
        raise SystemExit(f"{models} has no models.json: run `python tools/make_app_models.py`.")
    app_jars.fetch()
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    library = unpack_library(output / "library")
    link_resources(models, library / "AndroidManifest.xml", output)
    sources = [*(MAIN / "java").rglob("*.java"), *(output / "generated").rglob("*.java")]
    jars = [library / "classes.jar", *runtime_jars()]
    # Android's classes of the oldest version: what they lack does not compile.
    compile_java(sources, [app_jars.FOLDER / app_jars.ANDROID, *jars], output / "classes", "-Xlint:all,-options")
    if tests:
        newest = app_jars.FOLDER / app_jars.ROBOLECTRIC_ANDROID
        classpath = [output / "classes", newest, *jars, *app_jars.robolectric()]
        test_sources = [*TESTS.rglob("*.java"), *STAND_INS.rglob("*.java")]
        # Robolectric's jars refer to annotations that are not there.
        compile_java(test_sources, classpath, output / "test_classes", "-Xlint:all,-options,-classfile")


def runtime_jars() -> list[Path]:
    """TensorFlow Lite's Java classes, which ``build_android.py --tests`` fetches."""
    jars = [LIBRARY / name for name in ("tflite_java.jar", "tflite_api.jar")]
    for jar in jars:
        if not jar.exists():
            raise SystemExit(f"{jar} is missing: run `python tools/build_android.py --tests`.")
    return jars


def unpack_library(folder: Path) -> Path:
    """Unpacks the AAR."""
    archive = LIBRARY / "tfprune.aar"
    if not archive.exists():
        raise SystemExit(f"{archive} is missing: run `make android`.")
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    return folder


def merged_manifest(library: Path) -> ElementTree.ElementTree[ElementTree.Element]:
    """The app's manifest with what Gradle's plugin adds: package, versions, and what the library asks for."""
    ElementTree.register_namespace("android", _ANDROID)
    tree = ElementTree.parse(MAIN / "AndroidManifest.xml")
    root = tree.getroot()
    root.set("package", PACKAGE)
    sdk = ElementTree.Element("uses-sdk")
    sdk.set(f"{{{_ANDROID}}}minSdkVersion", str(MIN_SDK))
    sdk.set(f"{{{_ANDROID}}}targetSdkVersion", str(TARGET_SDK))
    root.insert(0, sdk)
    application = root.find("application")
    theirs = ElementTree.parse(library).getroot().find("application")
    if application is None or theirs is None:
        raise SystemExit(f"{MAIN / 'AndroidManifest.xml'} and {library} must have an <application>.")
    application.extend(theirs)
    return tree


def link_resources(models: Path, library_manifest: Path, output: Path) -> None:
    """Writes ``resources.apk``, the merged manifest and ``R.java``."""
    compiled, manifest, assets = output / "resources.zip", output / "AndroidManifest.xml", output / "assets"
    merged_manifest(library_manifest).write(manifest, encoding="utf-8", xml_declaration=True)
    shutil.copytree(models, assets / "models")
    run("aapt2", "compile", "--dir", MAIN / "res", "-o", compiled)
    given = ("-I", app_jars.FOLDER / app_jars.ANDROID, "--manifest", manifest, "-A", assets)
    versions = ("--version-code", "1", "--version-name", "0.1.0", "-0", "tflite")
    made = ("--java", output / "generated", "-o", output / "resources.apk", compiled)
    # Debian's aapt2 is older than <uses-native-library>, which it is to pass on.
    run("aapt2", "link", *given, *versions, "--warn-manifest-validation", *made)


def compile_java(sources: Iterable[Path], classpath: Iterable[Path], folder: Path, lint: str) -> None:
    """Compiles to a folder; warnings are errors."""
    joined = ":".join(map(str, classpath))
    run(*_JAVA, lint, "-Werror", "-cp", joined, "-d", folder, *sorted(sources))


def run(*command: str | Path) -> None:
    """Runs a tool.

    Raises:
        SystemExit: it is missing, or fails; its own messages are shown.
    """
    if shutil.which(command[0]) is None:
        raise SystemExit(f"{command[0]} is missing: `make setup` installs it on Debian 12.")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed with exit code {done.returncode}:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
