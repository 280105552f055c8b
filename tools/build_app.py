# SPDX-License-Identifier: Apache-2.0
"""Makes an APK of the Android demo app without an Android SDK: aapt2 makes its resources, javac its classes.

Usage: build_app.py [--models FOLDER] [--output FOLDER] [--apk FILE] [--tests]

The APK is ``build/android/tfprune_demo.apk`` where nothing else is said, signed with a key for trying it that is kept
beside it. What it is made of is in ``build/android/app``: ``resources.apk`` with the manifest, the resources and the
models, ``classes``, and with ``--tests`` the app's tests in ``test_classes``. The classes are compiled against
Android's of API level 24, so that nothing newer is called. ``make android`` makes the library that the app runs on,
``tools/make_app_models.py`` the models.
"""

from __future__ import annotations

import argparse
import shutil
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree

import app_jars
import app_package
import folders
from commands import run

REPOSITORY = Path(__file__).resolve().parents[1]
APP = REPOSITORY / "android_demo" / "app"
MAIN = APP / "src" / "main"
TESTS = APP / "src" / "test" / "java"
#: What stands in for classes of Google's repository that Robolectric calls.
STAND_INS = REPOSITORY / "tests" / "android" / "app" / "androidx"
LIBRARY = REPOSITORY / "build" / "android"
OUTPUT = LIBRARY / "app"
APK = LIBRARY / "tfprune_demo.apk"
MODELS = MAIN / "assets" / "models"
#: Says that a folder may be emptied by the next build.
MARK = "made_by_build_app"
PACKAGE = "io.tfprune.demo"
MIN_SDK, TARGET_SDK = 24, 34
#: Those of the library; TensorFlow Lite has one more.
ABIS = ("arm64-v8a", "armeabi-v7a", "x86_64")
_ANDROID = "http://schemas.android.com/apk/res/android"
_JAVA = ("javac", "-g", "-encoding", "UTF-8", "-proc:none", "--release", "8")


def main() -> None:
    """Builds what the arguments ask for."""
    parser = argparse.ArgumentParser(description="Make an APK of the Android demo app without an Android SDK.")
    parser.add_argument("--models", type=Path, default=MODELS, help="the folder that make_app_models.py wrote")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the folder to write into")
    parser.add_argument("--apk", type=Path, default=APK, help="the file to write")
    parser.add_argument("--tests", action="store_true", help="compile the app's tests too")
    options = parser.parse_args()
    build(options.models, options.output, options.apk, tests=options.tests)
    print(f"{options.apk}: {options.apk.stat().st_size:,} bytes; no phone has run it yet")


def build(models: Path, output: Path, apk: Path, *, tests: bool = False) -> None:
    """Builds the app.

    Args:
        models: the folder of ``models.json``.
        output: the folder to build in; what an earlier build left there goes.
        apk: the file to write.
        tests: whether the app's tests are compiled too.
    """
    if not (models / "models.json").exists():
        raise SystemExit(f"{models} has no models.json: run `python tools/make_app_models.py`.")
    folders.check_replaceable(output, MARK)
    app_jars.fetch()
    folders.make_anew(output, MARK)
    (output / MARK).touch()
    library, runtime = unpack("tfprune.aar", output / "library"), unpack("tflite_java.aar", output / "runtime")
    link_resources(models, library / "AndroidManifest.xml", output)
    sources = [*(MAIN / "java").rglob("*.java"), *(output / "generated").rglob("*.java")]
    jars = [library / "classes.jar", runtime / "classes.jar", built("tflite_api.jar")]
    # Android's classes of the oldest version: what they lack does not compile.
    compile_java(sources, [app_jars.ANDROID, *jars], output / "classes", "-Xlint:all,-options")
    libraries = [path for abi in ABIS for part in (runtime, library) for path in (part / "jni" / abi).glob("*.so")]
    package([output / "classes", *jars], libraries, output, apk)
    if tests:
        classpath = [output / "classes", app_jars.ROBOLECTRIC_ANDROID, *jars, *app_jars.robolectric()]
        test_sources = [*TESTS.rglob("*.java"), *STAND_INS.rglob("*.java")]
        # Robolectric's jars refer to annotations that are not there.
        compile_java(test_sources, classpath, output / "test_classes", "-Xlint:all,-options,-classfile")


def built(name: str) -> Path:
    """The library or a part of TensorFlow Lite."""
    path = LIBRARY / name
    if not path.exists():
        raise SystemExit(f"{path} is missing: run `python tools/build_android.py --tests`.")
    return path


def unpack(name: str, folder: Path) -> Path:
    """Unpacks an Android archive."""
    with zipfile.ZipFile(built(name)) as file:
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
    # Libraries are not compressed in the APK, and run where they are.
    application.set(f"{{{_ANDROID}}}extractNativeLibs", "false")
    return tree


def link_resources(models: Path, library_manifest: Path, output: Path) -> None:
    """Writes ``resources.apk``, the merged manifest and ``R.java``."""
    compiled, manifest, assets = output / "resources.zip", output / "AndroidManifest.xml", output / "assets"
    merged_manifest(library_manifest).write(manifest, encoding="utf-8", xml_declaration=True)
    shutil.copytree(models, assets / "models")
    run("aapt2", "compile", "--dir", MAIN / "res", "-o", compiled)
    given = ("-I", app_jars.ANDROID, "--manifest", manifest, "-A", assets)
    versions = ("--version-code", "1", "--version-name", "0.1.0", "-0", ".tflite")
    made = ("--java", output / "generated", "-o", output / "resources.apk", compiled)
    # Debian's aapt2 is older than <uses-native-library>, which it is to pass on.
    run("aapt2", "link", *given, *versions, "--warn-manifest-validation", *made)


def compile_java(sources: Iterable[Path], classpath: Iterable[Path], folder: Path, lint: str) -> None:
    """Compiles to a folder; warnings are errors."""
    joined = ":".join(map(str, classpath))
    run(*_JAVA, lint, "-Werror", "-cp", joined, "-d", folder, *sorted(sources))


def package(classes: Sequence[Path], libraries: Sequence[Path], output: Path, apk: Path) -> None:
    """Writes the APK, signed with the key beside it."""
    apk.parent.mkdir(parents=True, exist_ok=True)
    dex = app_package.make_bytecode(classes, output, MIN_SDK)
    unsigned = output / "unsigned.apk"
    app_package.write_archive(output / "resources.apk", dex, libraries, unsigned)
    app_package.sign(unsigned, apk.with_name("debug.keystore"), apk, MIN_SDK)


if __name__ == "__main__":
    main()
