# SPDX-License-Identifier: Apache-2.0
"""``make android`` says what it has not made, and why."""

from __future__ import annotations

import importlib
import types

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


def test_an_unknown_option_is_refused(script: types.ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"usage: build_android\.py \[--tests\], got --test"):
        script.main("--test")
