# SPDX-License-Identifier: Apache-2.0
"""``make android`` says what it has not made, and why; jars that Maven did not bring are named."""

from __future__ import annotations

import importlib
import types
from pathlib import Path

import pytest

from tests.android.conftest import REPOSITORY


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The script, where neither an NDK nor an SDK is named."""
    monkeypatch.syspath_prepend(REPOSITORY / "tools")
    for name in ("ANDROID_NDK_HOME", "ANDROID_HOME", "ANDROID_SDK_ROOT"):
        monkeypatch.delenv(name, raising=False)
    return importlib.import_module("build_android")


def test_what_is_not_made_is_listed_with_its_reason(script: types.ModuleType) -> None:
    ndk, apk, gradle = script.not_made()
    assert "ANDROID_NDK_HOME names no NDK" in ndk
    assert apk.startswith("tfprune_demo.apk, the demo app: `make app` makes it")
    assert "ANDROID_HOME names no Android SDK" in gradle


def test_what_is_there_is_not_called_missing(script: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDROID_NDK_HOME", "/opt/ndk")
    monkeypatch.setenv("ANDROID_SDK_ROOT", "/opt/sdk")
    _, gradle = script.not_made()
    assert "the SDK is in /opt/sdk" in gradle


def test_a_jar_that_maven_did_not_bring_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "tools")
    module = importlib.import_module("app_jars")
    (tmp_path / "sha256.txt").write_text(f"{'0' * 64} some-1.0.jar\n")
    monkeypatch.setattr(module, "run", lambda *command: None)
    with pytest.raises(SystemExit, match=r"some-1\.0\.jar must be what .*pom\.xml asks for, Maven fetched no such jar"):
        module.Jars(tmp_path, tmp_path / "jars").fetch()


def test_an_unknown_option_is_refused(script: types.ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"usage: build_android\.py \[--tests\], got --test"):
        script.main("--test")
