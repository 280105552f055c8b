# SPDX-License-Identifier: Apache-2.0
"""Builds the Android library, ``build/android/tfprune.aar``, and says what it is made with and what is not made.

Usage: build_android.py [--tests]

``--tests`` also builds the Java programs of ``tests/android``, and puts TensorFlow Lite, on which they and the demo app
run, beside the library.
"""

import os
import sys
import zipfile
from collections.abc import Iterator

from build_library import REPOSITORY, build_file

FOLDER = REPOSITORY / "build" / "android"
ARCHIVE = FOLDER / "tfprune.aar"
APK = FOLDER / "tfprune_demo.apk"
TEST_ARCHIVES = ("programs.jar", "tflite_api.jar", "tflite_java.jar", "tflite_java.aar")


def main(*arguments: str) -> None:
    """Builds, and lists the libraries with their sizes."""
    if not {"--tests"}.issuperset(arguments):
        raise SystemExit(f"usage: build_android.py [--tests], got {' '.join(arguments)}")
    build_file("//android_demo:tfprune.aar", ARCHIVE)
    for name in TEST_ARCHIVES if arguments else ():
        build_file(f"//tests/android:{name}", FOLDER / name)
    print(ARCHIVE)
    with zipfile.ZipFile(ARCHIVE) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith(".so"):
                print(f"  {entry.filename}: {entry.file_size:,} bytes, {entry.compress_size:,} in the archive")
    ndk = os.environ.get("ANDROID_NDK_HOME")
    compiler = f"the NDK in {ndk}" if ndk else "Debian's cross compilers"
    print(f"  by {compiler}; linked against stubs of Android's libraries; no phone has run it yet")
    print("not made:", *not_made(), sep="\n  ")


def not_made() -> Iterator[str]:
    """What else there is for Android, why it has not been made, and how to make it."""
    if not os.environ.get("ANDROID_NDK_HOME"):
        yield "the libraries by the NDK's compiler: ANDROID_NDK_HOME names no NDK; with one, `make android` uses it"
    yield f"{APK.name}, the demo app: `make app` makes it, and trains its models where there are none (minutes)"
    sdk = os.environ.get("ANDROID_HOME") or os.environ.get("ANDROID_SDK_ROOT")
    why = f"the SDK is in {sdk}" if sdk else "ANDROID_HOME names no Android SDK, which it needs"
    yield f"the demo app by Gradle: {why}; `gradle assembleRelease` in android_demo/app"


if __name__ == "__main__":
    main(*sys.argv[1:])
