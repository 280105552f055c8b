# SPDX-License-Identifier: Apache-2.0
"""Makes LiteRT's Android library loadable on Linux: libraries of the names of Android's, on top of glibc.

``python -m tests.mapping.phone.android_libc RUNTIME FOLDER [PREFIX]`` writes ``libc.so``, ``libm.so``, ``libdl.so`` and
``liblog.so`` for ``libtensorflowlite_jni.so`` into a folder; a program that has the folder in ``LD_LIBRARY_PATH`` can
then load it. ``PREFIX`` is that of a cross compiler, such as ``aarch64-linux-gnu-``.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("android_libc.c")
_VERSION = "LIBC"
_TRAMPOLINE = {
    "x86_64": "\tjmp *{slot}(%rip)\n",
    "aarch64": "\tadrp x16, {slot}\n\tldr x16, [x16, :lo12:{slot}]\n\tbr x16\n",
}


def make_android_libc(runtime: Path, folder: Path, prefix: str = "") -> None:
    """Writes the four libraries that `runtime` needs into `folder`."""
    machine = _run(f"{prefix}gcc", "-dumpmachine").split("-")[0]
    own = _own_functions(prefix)
    names = [name for name in _imports(runtime) if name not in own]
    with tempfile.TemporaryDirectory() as work:
        assembly, script = Path(work, "forwarded.s"), Path(work, "versions.lds")
        assembly.write_text(_assembly(names, _TRAMPOLINE[machine]))
        script.write_text(f"{_VERSION} {{ global: {' '.join(f'{name};' for name in (*names, *own))} local: *; }};\n")
        shared = [f"{prefix}gcc", "-shared", "-fPIC", "-w", "-O1", "-fno-builtin", f"-Wl,--version-script={script}"]
        libc = [*shared, "-Wl,-soname,libc.so", "-o", str(folder / "libc.so"), str(SOURCE), str(assembly)]
        _run(*libc, "-Wl,--no-as-needed", "-lm")  # functions of the C library that only other libraries import
        script.write_text(f"{_VERSION} {{ local: *; }};\n")
        for name in ("libm.so", "libdl.so", "liblog.so"):
            _run(*shared, f"-Wl,-soname,{name}", "-o", str(folder / name), "-x", "c", "/dev/null")


def _imports(library: Path) -> list[str]:
    listing = _run("nm", "-D", "--undefined-only", str(library))
    return re.findall(r"^\s+U (\w+)", listing, re.MULTILINE)


def _own_functions(prefix: str) -> list[str]:
    """What the C file defines for others to see."""
    with tempfile.TemporaryDirectory() as work:
        compiled = str(Path(work, "own.o"))
        _run(f"{prefix}gcc", "-c", "-w", "-fPIC", "-fno-builtin", "-o", compiled, str(SOURCE))
        listing = _run(f"{prefix}nm", "--defined-only", "--extern-only", compiled)
    return [line.split()[-1] for line in listing.splitlines()]


def _assembly(names: list[str], jump: str) -> str:
    """A jump through a slot for each function, and the names by which the slots are filled."""
    lines = ["\t.text\n"]
    for place, name in enumerate(names):
        slot = f"slot_{place}"
        lines.append(f"\t.globl {name}\n\t.type {name}, %function\n\t.p2align 4\n{name}:\n{jump.format(slot=slot)}")
    lines.append("\t.data\n\t.p2align 3\n\t.globl forwarded\n\t.hidden forwarded\nforwarded:\n")
    lines += [f"slot_{place}:\t.quad 0\n" for place in range(len(names))]
    lines.append("\t.globl forwarded_names\n\t.hidden forwarded_names\nforwarded_names:\n")
    lines += [f"\t.quad name_{place}\n" for place in range(len(names))]
    lines.append("\t.quad 0\n")
    lines += [f'name_{place}:\t.asciz "{name}"\n' for place, name in enumerate(names)]
    lines.append('\t.section .note.GNU-stack,"",%progbits\n')
    return "".join(lines)


def _run(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    make_android_libc(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
