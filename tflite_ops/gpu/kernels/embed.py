# SPDX-License-Identifier: Apache-2.0
"""Writes OpenCL programs as C++: ``embed.py NAME=FILE,FILE... [NAME=...]``.

Each file becomes a constant without its comments and its indentation, and the table ``kEmbeddedPrograms`` names the
files of each program, which share most of them. Runs in the build with the standard library alone.
"""

import sys
from pathlib import Path

ESCAPES = {"\\": "\\\\", '"': '\\"', "\t": "\\t"}


def literal(line: str) -> str:
    """The C++ string literal of one line of ASCII text, with its line break."""
    line.encode("ascii")
    return '"' + "".join(ESCAPES.get(character, character) for character in line) + '\\n"'


def essential_lines(file: str) -> list[str]:
    """The lines of a file without what a compiler skips."""
    text = Path(file).read_text(encoding="ascii")
    lines = [line.split("//")[0].strip() for line in text.splitlines()]
    if "/*" in text or any(line.count('"') % 2 for line in lines):
        raise SystemExit(f"{file}: a comment must begin with //, which no string may hold")
    return [line for line in lines if line]


def constant(file: str) -> str:
    """The name of a file's constant."""
    return f"k{Path(file).stem.title().replace('_', '')}Text"


def main() -> None:
    """Prints the constants, then the table."""
    programs = {name: files.split(",") for name, files in (argument.split("=") for argument in sys.argv[1:])}
    for file in dict.fromkeys(file for files in programs.values() for file in files):
        print(f"static const char {constant(file)}[] =")
        print("\n".join(literal(line) for line in essential_lines(file)) + ";")
    print("const EmbeddedProgram kEmbeddedPrograms[] = {")
    for name, files in programs.items():
        print(f'{{"{name}", {{{", ".join(map(constant, files))}}}, {len(files)}}},')
    print("};")


if __name__ == "__main__":
    main()
