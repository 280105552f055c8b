# SPDX-License-Identifier: Apache-2.0
"""What the library and the phone's program import, export and need: the C library only, of it what API 24 has."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ALLOWED = REPOSITORY / "third_party" / "android_api24_symbols.txt"
HEADER = REPOSITORY / "tflite_ops" / "include" / "tfprune.h"
LIBRARIES = [
    pytest.param(REPOSITORY / "tfprune" / "runtime" / "lib" / "libtfprune.so", id="host"),
    pytest.param(REPOSITORY / ".cache" / "aarch64" / "libtfprune.so", id="aarch64", marks=pytest.mark.aarch64),
]
PHONE = REPOSITORY / "build" / "phone"
PROGRAMS = [
    pytest.param(PHONE / "x86_64" / "tfprune_benchmark", id="host program"),
    pytest.param(PHONE / "arm64-v8a" / "tfprune_benchmark", id="aarch64 program", marks=pytest.mark.aarch64),
]
# What the compiler refers to by itself: weakly or for clean-up at exit from the C start files that gcc links into every
# library of the host, and where its stack protector finds an overflow.
COMPILER = {
    "_ITM_deregisterTMCloneTable",
    "_ITM_registerTMCloneTable",
    "__cxa_finalize",
    "__gmon_start__",
    "__stack_chk_fail",
}
# What starts a program: glibc's, and Android's, which is looked for and may be missing.
START = {"__libc_start_main", "__libc_init"}


def _symbols(library: Path, which: str) -> set[str]:
    listing = subprocess.run(["nm", "-D", which, library], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1].split("@")[0] for line in listing.splitlines()}


def allowed_imports() -> set[str]:
    """The functions of the list."""
    lines = ALLOWED.read_text().splitlines()
    return {line.split()[1] for line in lines if line and not line.startswith("#")}


@pytest.mark.parametrize("library", [*LIBRARIES, *PROGRAMS])
def test_imports_are_c_functions_of_android_api_24(library: Path) -> None:
    imported = _symbols(library, "--undefined-only")
    assert "malloc" in imported or "posix_memalign" in imported  # the listing is a real one
    start = START if library.name == "tfprune_benchmark" else set()
    assert imported - allowed_imports() - COMPILER - start == set()


@pytest.mark.parametrize("library", LIBRARIES)
def test_exports_are_what_the_header_declares_and_nothing_else(library: Path) -> None:
    declared = set(re.findall(r"^TFPRUNE_API [^(]*?(\w+)\(", HEADER.read_text(), re.MULTILINE))
    assert {"tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate", "tfprune_version"} <= declared
    assert _symbols(library, "--defined-only") == declared


@pytest.mark.parametrize(("compiler", "standard"), [("gcc", "c99"), ("g++", "c++11")])
def test_the_header_compiles_alone(compiler: str, standard: str, tmp_path: Path) -> None:
    source = tmp_path / ("alone.c" if compiler == "gcc" else "alone.cc")
    source.write_text(f'#include "{HEADER}"\n')
    options = [f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
    done = subprocess.run([compiler, *options, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("library", [*LIBRARIES, *PROGRAMS])
def test_it_needs_the_c_library_only(library: Path) -> None:
    listing = subprocess.run(["readelf", "-dW", library], capture_output=True, text=True, check=True).stdout
    needed = set(re.findall(r"\(NEEDED\).*\[(.+?)\]", listing))
    allowed = {"libc.so", "libm.so", "libdl.so"} if library.parent.name == "arm64-v8a" else {"libc.so.6", "libm.so.6"}
    assert needed & {"libc.so", "libc.so.6"}
    assert needed <= allowed
    assert "TEXTREL" not in listing


@pytest.mark.parametrize("library", LIBRARIES)
def test_it_is_small(library: Path) -> None:
    # Every kernel is compiled for every instruction set: the README names the size, and an app carries it.
    assert library.stat().st_size < 2e6


@pytest.mark.aarch64
@pytest.mark.parametrize(
    "file", [REPOSITORY / ".cache" / "aarch64" / "libtfprune.so", PHONE / "arm64-v8a" / "tfprune_benchmark"]
)
def test_files_for_aarch64_have_16_kb_pages(file: Path) -> None:
    listing = subprocess.run(["readelf", "-lW", file], capture_output=True, text=True, check=True).stdout
    alignments = [int(line.split()[-1], 16) for line in listing.splitlines() if line.split()[:1] == ["LOAD"]]
    assert alignments
    assert min(alignments) >= 0x4000


@pytest.mark.aarch64
def test_the_program_is_one_that_android_starts() -> None:
    program = PHONE / "arm64-v8a" / "tfprune_benchmark"
    listing = subprocess.run(["readelf", "-hlW", program], capture_output=True, text=True, check=True).stdout
    assert "DYN (Position-Independent Executable file)" in listing  # Android refuses others
    assert "[Requesting program interpreter: /system/bin/linker64]" in listing
    assert "AArch64" in listing
    # Weak: glibc has none, and starts it all the same.
    symbols = subprocess.run(["nm", "-D", program], capture_output=True, text=True, check=True).stdout
    assert " w __libc_init\n" in symbols


def test_the_list_names_no_function_that_differs_between_c_libraries() -> None:
    assert not allowed_imports() & {
        "__errno_location",
        "__errno",
        "stderr",
        "__assert_fail",
        "sysconf",
        "__tls_get_addr",
    }
