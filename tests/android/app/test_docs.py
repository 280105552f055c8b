# SPDX-License-Identifier: Apache-2.0
"""The Java code of docs/android.md compiles against Android's classes of API level 24 and the AAR."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.android.app.conftest import JARS
from tests.android.conftest import BUILT, REPOSITORY

PAGE = (REPOSITORY / "docs/android.md").read_text()
FRAME = """
{imports}
import android.content.Context;

class Example {{
  static void example(Context context, Object input, Object output) throws java.io.IOException {{
{code}
  }}
}}
"""


def test_the_code_compiles(archive: Path, tmp_path: Path) -> None:
    (code,) = re.findall(r"^```java\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    source = tmp_path / "Example.java"
    imports, _, statements = code.partition("\n\n")
    assert all(line.startswith("import ") for line in imports.splitlines())
    source.write_text(FRAME.format(imports=imports, code=statements))
    (android,) = JARS.glob("android-all-7*.jar")
    jars = [android, archive / "classes.jar", BUILT / "tflite_api.jar", BUILT / "tflite_java.jar"]
    command: list[str | Path] = ["javac", "-d", tmp_path, "-cp", ":".join(map(str, jars)), source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_pictures_are_there() -> None:
    pictures = re.findall(r"\]\((images/\S+?)\)", PAGE)
    assert len(pictures) == 4
    for picture in pictures:
        assert (REPOSITORY / "docs" / picture).read_bytes().startswith(b"\x89PNG")


def test_messages_of_the_troubleshooting_are_those_of_the_code() -> None:
    sources = [*(REPOSITORY / "android_demo").rglob("*.java"), *(REPOSITORY / "tflite_ops").rglob("*.cc")]
    sources += [*(REPOSITORY / "android_demo").rglob("*.xml"), *(REPOSITORY / "tflite_ops").rglob("*.h")]
    text = re.sub(r'"\s*\+?\s*"', "", "".join(path.read_text() for path in sources))
    quoted = re.findall(r'^\| "([^"]+)"', PAGE, re.MULTILINE)
    assert len(quoted) >= 6
    # TensorFlow Lite's own.
    assert [each for each in quoted if each not in text and "unresolved custom op" not in each] == []
