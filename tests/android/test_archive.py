# SPDX-License-Identifier: Apache-2.0
"""What the AAR holds, and that Android can load its libraries."""

from __future__ import annotations

import re
import struct
import subprocess
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

import tfprune
from tests.android.conftest import ABIS, ARCHIVE, REPOSITORY
from tests.packaging.test_library import allowed_imports

ANDROID = "{http://schemas.android.com/apk/res/android}"
MACHINES = {
    "arm64-v8a": ("ELF64", "AArch64"),
    "armeabi-v7a": ("ELF32", "ARM"),
    "x86_64": ("ELF64", "Advanced Micro Devices X86-64"),
}
# Java's functions, beside those of every libtfprune.so.
EXPORTS = re.compile(r"tflite_plugin_\w+|tfprune_\w+|Java_io_tfprune_lite_Native_\w+")
JAVA_8 = 52


def _library(archive: Path, abi: str) -> Path:
    return archive / "jni" / abi / "libtfprune.so"


def _tool(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_it_holds_these_files_and_no_others() -> None:
    with zipfile.ZipFile(ARCHIVE) as file:
        names = set(file.namelist())
    libraries = {f"jni/{abi}/libtfprune.so" for abi in ABIS}
    assert names == libraries | {"AndroidManifest.xml", "classes.jar", "proguard.txt", "R.txt", "LICENSE", "NOTICE"}


def test_it_brings_no_classes_of_the_runtime(archive: Path) -> None:
    with zipfile.ZipFile(archive / "classes.jar") as jar:
        classes = {name: jar.read(name) for name in jar.namelist() if not name.endswith("/")}
    assert "io/tfprune/lite/TfpruneDelegate.class" in classes
    assert all(re.fullmatch(r"io/tfprune/lite/\w+(\$\w+)?\.class", name) for name in classes), sorted(classes)
    assert {struct.unpack(">IHH", content[:8])[2] for content in classes.values()} == {JAVA_8}


def test_the_manifest_asks_for_opencl_and_takes_no_for_an_answer(archive: Path) -> None:
    manifest = ElementTree.parse(archive / "AndroidManifest.xml").getroot()
    assert manifest.get("package") == "io.tfprune.lite"
    sdk = manifest.find("uses-sdk")
    assert sdk is not None
    assert sdk.get(f"{ANDROID}minSdkVersion") == "24"
    wanted = {
        library.get(f"{ANDROID}name"): library.get(f"{ANDROID}required")
        for library in manifest.iterfind("application/uses-native-library")
    }
    assert wanted == {"libOpenCL.so": "false", "libOpenCL-pixel.so": "false"}


def test_shrinkers_keep_what_the_native_library_looks_for(archive: Path) -> None:
    rules = (archive / "proguard.txt").read_text()
    assert "-keep,includedescriptorclasses class io.tfprune.lite.Native {\n    native <methods>;" in rules


@pytest.mark.parametrize("abi", ABIS)
def test_libraries_are_of_their_abi_with_16_kb_pages(archive: Path, abi: str) -> None:
    listing = _tool("readelf", "-hlW", _library(archive, abi))
    bits, machine = MACHINES[abi]
    assert re.search(rf"Class:\s+{bits}\n", listing)
    assert re.search(rf"Machine:\s+{machine}\n", listing)
    assert "DYN (Shared object file)" in listing
    loads = [line.split() for line in listing.splitlines() if line.split()[:1] == ["LOAD"]]
    assert loads
    assert min(int(load[-1], 16) for load in loads) >= 0x4000
    stack = next(line for line in listing.splitlines() if "GNU_STACK" in line)
    assert "RWE" not in stack


def test_floats_of_armeabi_v7a_travel_in_integer_registers(archive: Path) -> None:
    library = _library(archive, "armeabi-v7a")
    assert "soft-float ABI" in _tool("readelf", "-h", library)
    attributes = _tool("readelf", "-A", library)
    assert "Tag_CPU_arch: v7" in attributes
    assert "Tag_ABI_VFP_args" not in attributes


@pytest.mark.parametrize("abi", ABIS)
def test_libraries_need_functions_of_android_api_24_and_nothing_else(archive: Path, abi: str) -> None:
    library = _library(archive, abi)
    dynamic = _tool("readelf", "-dW", library)
    assert set(re.findall(r"\(NEEDED\).*\[(.+?)\]", dynamic)) == {"libc.so", "libm.so", "libdl.so"}
    assert "Library soname: [libtfprune.so]" in dynamic
    assert "TEXTREL" not in dynamic
    imported = {line.split()[-1] for line in _tool("nm", "-D", "--undefined-only", library).splitlines()}
    assert "malloc" in imported
    assert imported - allowed_imports() == set()


@pytest.mark.parametrize("abi", ABIS)
def test_libraries_show_the_delegate_and_what_java_calls(archive: Path, abi: str) -> None:
    names = {line.split()[-1] for line in _tool("nm", "-D", "--defined-only", _library(archive, abi)).splitlines()}
    assert {"tflite_plugin_create_delegate", "Java_io_tfprune_lite_Native_create"} <= names
    assert [name for name in sorted(names) if not EXPORTS.fullmatch(name)] == []


@pytest.mark.parametrize(
    ("abi", "most", "most_in_archive"),
    [("arm64-v8a", 875e3, 410e3), ("armeabi-v7a", 275e3, 155e3), ("x86_64", 1.65e6, 675e3)],
)
def test_libraries_are_stripped_and_small(archive: Path, abi: str, most: float, most_in_archive: float) -> None:
    library = _library(archive, abi)
    assert ".symtab" not in _tool("readelf", "-SW", library)
    reason = "every app carries it: `nm -S --size-sort` shows what grew; docs/android_library.md names the size"
    assert library.stat().st_size <= most, reason
    with zipfile.ZipFile(ARCHIVE) as file:
        assert file.getinfo(f"jni/{abi}/libtfprune.so").compress_size <= most_in_archive, reason


def test_java_and_python_have_one_version() -> None:
    source = REPOSITORY / "android_demo/delegate/src/main/java/io/tfprune/lite/Native.java"
    assert f'VERSION = "{tfprune.__version__}"' in source.read_text()


LOADERS = {
    "arm64-v8a": ("aarch64-linux-gnu-", ["qemu-aarch64", "-cpu", "cortex-a76"], "/usr/aarch64-linux-gnu/lib"),
    "armeabi-v7a": ("arm-linux-gnueabi-", ["qemu-arm", "-cpu", "cortex-a15"], "/usr/arm-linux-gnueabi/lib"),
    "x86_64": ("", [], "/lib/x86_64-linux-gnu"),
}


@pytest.mark.parametrize("abi", ABIS)
def test_a_program_of_every_abi_makes_a_thousand_delegates(archive: Path, abi: str, tmp_path: Path) -> None:
    prefix, emulator, libc = LOADERS[abi]
    # glibc answers to the names of Android's libraries.
    for name, target in (("libc.so", "libc.so.6"), ("libm.so", "libm.so.6"), ("libdl.so", "libdl.so.2")):
        (tmp_path / name).symlink_to(f"{libc}/{target}")
    host = tmp_path / "host"
    _tool(f"{prefix}gcc", "-O1", "-Wall", "-Werror", "-o", host, Path(__file__).with_name("host.c"), "-ldl")
    loader = next(Path(libc).glob("ld-linux*.so.*"))
    done = subprocess.run(
        [*emulator, loader, "--library-path", f"{tmp_path}:{libc}", host, _library(archive, abi)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    version, arch, refusal = done.stdout.splitlines()
    assert version == tfprune.__version__
    assert arch.startswith({"arm64-v8a": "neon_dotprod", "armeabi-v7a": "reference"}.get(abi, ""))
    assert refusal == "tfprune delegate: threads must be auto or a number from 1 to 64, got '99'"
