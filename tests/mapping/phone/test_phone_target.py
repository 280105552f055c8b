# SPDX-License-Identifier: Apache-2.0
"""A phone as what a profile measures."""

from __future__ import annotations

import os

import pytest

from tests.mapping.phone.conftest import SERIAL, Phone
from tfprune.errors import ProfileError
from tfprune.mapping.profiling.targets import phone_target, target_of


@pytest.fixture(autouse=True)
def _adb_in_path(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANDROID_HOME", raising=False)
    monkeypatch.delenv("ANDROID_SDK_ROOT", raising=False)
    monkeypatch.setenv("PATH", f"{phone.folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("tfprune.mapping.profiling.targets.PHONE_TOOLS", phone.tools)


def test_a_phone_says_what_it_is_and_is_left_as_it_was(phone: Phone) -> None:
    target = phone_target("float32", num_threads=2)
    facts = target.facts
    assert (facts.target, facts.backend, facts.num_threads, facts.cores) == ("adb", "cpu", 2, 8)
    assert facts.processor == "Maker Model 8 Pro, Chips C9"
    assert facts.system is not None
    assert facts.system.startswith("Android 14")
    assert (target.arm, target.unit, target.cache_bytes) == (True, "microseconds", None)
    assert phone.files.exists()
    target.close()
    assert not phone.files.exists()


def test_layers_are_compared_and_other_operators_are_not(phone: Phone) -> None:
    target = target_of(f"adb:{SERIAL}", "cpu", 1, "int8")
    assert list(target.layers([[b"12.5", b"3"]])) == [(12.5, 3.0)]
    assert list(target.ops([[b"1", b"5"]])) == [(1.0, 5.0)]
    (layers,) = (run for run in phone.runs() if "--tolerance=0.02" in run.split())
    assert layers.count(".tflite") == 2
    assert "--compare=0" in phone.runs()[-1].split()
    target.close()


def test_what_its_litert_refuses_is_left_out_and_a_lost_phone_is_not(phone: Phone) -> None:
    target = phone_target("float32")
    refused = [b"1", b"exit 6 unsupported"]
    assert list(target.ops([[b"3", b"9"], refused, [b"4", b"8"]])) == [(3.0, 9.0), (0.0, 0.0), (4.0, 8.0)]
    with pytest.raises(ProfileError, match="unsupported"):
        list(target.layers([refused]))
    times = target.ops([[b"3", b"9"], [b"4", b"8"]])
    assert next(iter(times)) == (3.0, 9.0)
    phone.set(devices=[])
    with pytest.raises(ProfileError, match=SERIAL):
        list(times)


def test_a_phone_that_is_not_there_is_refused(phone: Phone) -> None:
    with pytest.raises(ProfileError, match="PHONE2"):
        target_of("adb:PHONE2", "cpu", 1, "float32")
