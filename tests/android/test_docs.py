# SPDX-License-Identifier: Apache-2.0
"""The Java code of the documents compiles against what an app has."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.android.conftest import BUILT, REPOSITORY

CODE = re.findall(
    r"^```java\n(.*?)^```$", (REPOSITORY / "docs/android_library.md").read_text(), re.DOTALL | re.MULTILINE
)
FRAME = """
{imports}
import io.tfprune.lite.*;

class Example {{
  interface Context {{
    java.io.File getCodeCacheDir();
  }}

  static void example(java.io.File model, Object input, Object output, Context context) {{
{statements}
  }}
}}
"""


def test_there_is_code() -> None:
    assert len(CODE) == 2


@pytest.mark.parametrize("code", CODE, ids=range(len(CODE)))
def test_the_code_compiles(code: str, archive: Path, tmp_path: Path) -> None:
    lines = code.splitlines()
    imports = [line for line in lines if line.startswith("import ")]
    statements = [line for line in lines if line not in imports]
    source = tmp_path / "Example.java"
    source.write_text(FRAME.format(imports="\n".join(imports), statements="\n".join(statements)))
    jars = [archive / "classes.jar", BUILT / "tflite_api.jar", BUILT / "tflite_java.jar"]
    command: list[str | Path] = ["javac", "-d", tmp_path, "-cp", ":".join(map(str, jars)), source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
