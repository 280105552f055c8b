# SPDX-License-Identifier: Apache-2.0
"""Prints the table of docs/conversion.md for the exporters named: ``python -m tests.elsewhere pytorch``."""

from __future__ import annotations

import importlib
import sys

from tests.elsewhere.check import outcome


def main(exporters: list[str]) -> None:
    for exporter in exporters:
        for name, make in importlib.import_module(f"tests.elsewhere.{exporter}_files").FILES.items():
            found = outcome(make())
            dense = ", ".join(f"{count} {code}" for code, count in sorted(found.reasons.items())) or "-"
            framework = "-" if found.framework_error is None else f"{found.framework_error:.0e}"
            cells = (
                name,
                f"{found.sparse} of {found.layers}",
                dense,
                f"{found.ratio:.2f}",
                f"{found.error:.0e}",
                framework,
            )
            print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
