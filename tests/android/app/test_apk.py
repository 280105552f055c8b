# SPDX-License-Identifier: Apache-2.0
"""The APK that is made without an Android SDK: what is in it, and that Android 7 has what it calls.

Its bytecode runs in ``test_app.py``, translated back to that of Java.
"""

from __future__ import annotations

import importlib
import re
import struct
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.android.app.conftest import APK_JARS, run_script
from tests.android.conftest import ABIS, ARCHIVE, BUILT, REPOSITORY

SIGNATURE = APK_JARS / "android-api-level-24-7.0_r2.signature"
LOCAL_HEADER = struct.Struct("<4s5H3I2H")
PAGE = 16384


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _output(*command: str | Path) -> str:
    done = _run(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _contents(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as file:
        return {name: file.read(name) for name in file.namelist() if not name.endswith("/")}


def _class_names(jar: Path) -> set[str]:
    return {name.removesuffix(".class") for name in _contents(jar) if name.endswith(".class")}


def _verify(apk: Path) -> subprocess.CompletedProcess[str]:
    return _run("apksigner", "verify", "--verbose", "--min-sdk-version", "24", apk)


def test_the_signature_holds(apk: Path) -> None:
    done = _verify(apk)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "(APK Signature Scheme v2): true" in done.stdout
    assert "(APK Signature Scheme v3): true" in done.stdout


def test_a_changed_byte_breaks_the_signature(apk: Path, tmp_path: Path) -> None:
    content = bytearray(apk.read_bytes())
    content[len(content) // 2] ^= 1
    changed = tmp_path / "changed.apk"
    changed.write_bytes(content)
    done = _verify(changed)
    assert done.returncode != 0
    assert "digest" in done.stdout + done.stderr


def test_libraries_are_those_of_the_archives(apk: Path) -> None:
    found = {name: content for name, content in _contents(apk).items() if name.endswith(".so")}
    wanted = {
        f"lib/{abi}/{library}": _contents(archive)[f"jni/{abi}/{library}"]
        for abi in ABIS
        for archive, library in ((ARCHIVE, "libtfprune.so"), (BUILT / "tflite_java.aar", "libtensorflowlite_jni.so"))
    }
    assert found == wanted


def test_models_are_those_of_the_folder(apk: Path, models: Path) -> None:
    found = {name: content for name, content in _contents(apk).items() if name.startswith("assets/")}
    assert found == {f"assets/models/{path.name}": path.read_bytes() for path in models.iterdir()}


def test_what_android_maps_is_aligned_and_not_compressed(apk: Path) -> None:
    mapped = {}
    content = apk.read_bytes()
    with zipfile.ZipFile(apk) as file:
        for entry in file.infolist():
            *_, name, extra = LOCAL_HEADER.unpack_from(content, entry.header_offset)
            position = entry.header_offset + LOCAL_HEADER.size + name + extra
            page = PAGE if entry.filename.endswith(".so") else 4
            if entry.compress_type == zipfile.ZIP_STORED:
                mapped[entry.filename] = position % page
    assert set(mapped.values()) == {0}
    # Android 11 and later want the table of resources so; models are what build.gradle names.
    assert "resources.arsc" in mapped
    assert {name for name in _contents(apk) if name.endswith((".so", ".tflite"))} <= set(mapped)


def test_the_manifest_is_of_the_app_and_the_library(apk: Path) -> None:
    listing = _output("aapt", "dump", "badging", apk)
    assert "package: name='io.tfprune.demo' versionCode='1'" in listing
    assert "sdkVersion:'24'\ntargetSdkVersion:'34'" in listing
    assert re.findall(r"uses-permission: name='(\S+)'", listing) == ["android.permission.CAMERA"]
    assert "launchable-activity: name='io.tfprune.demo.MainActivity'" in listing
    assert "native-code: 'arm64-v8a' 'armeabi-v7a' 'x86_64'" in listing
    assert "debuggable" not in listing
    # Which the former does not show.
    tree = _output("aapt2", "dump", "xmltree", "--file", "AndroidManifest.xml", apk)
    assert re.findall(r'E: uses-native-library.*\n.*"(\S+)" \(Raw.*\n.*required\(\w+\)=(\w+)', tree) == [
        ("libOpenCL.so", "false"),
        ("libOpenCL-pixel.so", "false"),
    ]
    assert re.search(r"extractNativeLibs\(\w+\)=false", tree)


def test_the_bytecode_is_valid_and_of_android_7(apk: Path, tmp_path: Path) -> None:
    dex = tmp_path / "classes.dex"
    content = _contents(apk)["classes.dex"]
    dex.write_bytes(content)
    assert "Checksum verified" in _output("dexdump", "-c", dex)
    assert content.startswith(b"dex\n037\0")
    dex.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert _run("dexdump", "-c", dex).returncode != 0


def test_all_classes_are_in_it(app: Path, classes_of_apk: Path) -> None:
    own = {str(path.relative_to(app / "classes").with_suffix("")) for path in (app / "classes").rglob("*.class")}
    assert "io/tfprune/demo/MainActivity" in own
    jars = (app / "library" / "classes.jar", app / "runtime" / "classes.jar", BUILT / "tflite_api.jar")
    wanted = own.union(*map(_class_names, jars))
    found = _class_names(classes_of_apk)
    assert wanted - found == set()
    # What lambdas, and a static method of an interface, became.
    assert {re.sub(r"\d+$", "", name).rsplit("$$", 1)[-1] for name in found - wanted} == {"Lambda$", "Util"}


def _check_api(jar: Path) -> subprocess.CompletedProcess[str]:
    tools = ":".join(map(str, sorted(APK_JARS.glob("*.jar"))))
    return _run("java", "-cp", tools, Path(__file__).with_name("PublicApi.java"), SIGNATURE, jar)


def test_android_7_has_all_that_it_calls(classes_of_apk: Path) -> None:
    done = _check_api(classes_of_apk)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_android_7_lacks_is_found(tmp_path: Path) -> None:
    source, jar = tmp_path / "Newer.java", tmp_path / "newer.jar"
    source.write_text("class Newer { Object now() { return java.time.Instant.now(); } }")
    _output("javac", "--release", "8", "-Xlint:-options", "-d", tmp_path, source)
    with zipfile.ZipFile(jar, "w") as file:
        file.write(tmp_path / "Newer.class", "Newer.class")
    done = _check_api(jar)
    assert done.returncode == 1
    assert "Undefined reference: java.time.Instant" in done.stdout


def test_the_same_input_makes_the_same_bytes(app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "tools")
    app_package = importlib.import_module("app_package")
    unsigned, again = app / "unsigned.apk", tmp_path / "again.apk"
    jars = [app / "classes", *(app / part / "classes.jar" for part in ("library", "runtime")), BUILT / "tflite_api.jar"]
    dex = app_package.make_bytecode(jars, tmp_path, 24)
    found = [name.split("/") for name in _contents(unsigned) if name.startswith("lib/")]
    libraries = [path for _, abi, name in found for path in app.glob(f"*/jni/{abi}/{name}")]
    app_package.write_archive(app / "resources.apk", dex, libraries, again)
    assert again.read_bytes() == unsigned.read_bytes()


def test_without_models_it_says_how_to_make_them(tmp_path: Path) -> None:
    done = run_script("build_app.py", "--models", tmp_path, "--output", tmp_path / "app")
    assert done.returncode == 1
    assert done.stderr == f"{tmp_path} has no models.json: run `python tools/make_app_models.py`.\n"


def test_a_folder_of_something_else_stays_as_it_is(models: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("nowhere else")
    for name, option in (("build_app.py", "--output"), ("make_app_models.py", "--output-dir")):
        given = ["--models", models] if name == "build_app.py" else ["--untrained"]
        done = run_script(name, *given, option, tmp_path)
        assert done.returncode == 1
        assert f"{tmp_path} must be empty or made by this tool" in done.stderr
        assert done.stderr.endswith(": choose another folder, or empty it yourself.\n")
    assert [*tmp_path.iterdir()] == [mine]
    done = run_script("build_app.py", "--models", models, "--output", mine)
    assert done.stderr == f"{mine} must be a folder, got a file; choose another name.\n"


def test_a_missing_tool_is_named(models: Path, tmp_path: Path) -> None:
    done = run_script("build_app.py", "--models", models, "--output", tmp_path / "app", PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "aapt2 is missing: `make setup` installs it on Debian 12.\n"


def test_a_tool_that_fails_shows_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "tools")
    commands = importlib.import_module("commands")
    with pytest.raises(SystemExit, match=r"^apksigner failed with exit code \d+:\n(.*\n)*.*no such command"):
        commands.run("apksigner", "no such command")
