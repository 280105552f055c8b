# SPDX-License-Identifier: Apache-2.0
"""Writes the text of OpenCL programs as rows of a C++ table: ``embed.py NAME=FILE,FILE... [NAME=...]``.

A row is ``{"NAME", "text of the files one after the other"},``. Runs in the build with the standard library alone.
"""

import sys
from pathlib import Path

ESCAPES = {"\\": "\\\\", '"': '\\"', "\t": "\\t"}


def literal(line: str) -> str:
    """The C++ string literal of one line of ASCII text, with its line break."""
    line.encode("ascii")
    return '"' + "".join(ESCAPES.get(character, character) for character in line) + '\\n"'


def main() -> None:
    """Prints a row for each argument."""
    for argument in sys.argv[1:]:
        name, files = argument.split("=")
        lines = [line for file in files.split(",") for line in Path(file).read_text(encoding="ascii").splitlines()]
        print(f'{{"{name}",')
        print("\n".join(literal(line) for line in lines) + "},")


if __name__ == "__main__":
    main()
