# SPDX-License-Identifier: Apache-2.0
"""``AdbDevice`` on a phone that is a folder, with a program that only pretends to measure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.mapping.phone.conftest import PROPERTIES, SERIAL, Phone
from tfprune import __version__
from tfprune.errors import ProfileError, RuntimeInputError
from tfprune.mapping.profiling import adb
from tfprune.mapping.profiling.adb import DELEGATE, FOLDER, PROGRAM, RUNTIME
from tfprune.mapping.profiling.adb_connection import find_adb


def test_the_least_times_come_in_the_order_of_the_models(phone: Phone) -> None:
    with phone.device() as device:
        assert list(device.measure([[b"12.5", b"3"], [b"7"], [b"3", b"3"]])) == [(12.5, 3.0), (7.0,), (3.0, 3.0)]
        assert device.notes == []


def test_the_program_gets_what_was_asked_for(phone: Phone) -> None:
    options = {"num_threads": 4, "backend": "gpu", "precision": "f16", "arch": "neon", "cpus": "f0", "seconds": 0.25}
    with phone.device(**options) as device:
        list(device.measure([[b"1"]], tolerance=0.02))
    command = phone.runs()[1]
    wanted = ["--option=arch=neon", "--option=backend=gpu", "--option=precision=f16", "--cpus=f0", "--threads=4"]
    wanted += ["--seconds=0.25", "--tolerance=0.02", f"--runtime={FOLDER}/{RUNTIME}"]
    wanted += [f"--delegate={FOLDER}/{DELEGATE}", f"--option=program_cache={FOLDER}/programs"]
    assert set(wanted) <= set(command.split())


def test_different_models_are_not_compared(phone: Phone) -> None:
    with phone.device() as device:
        list(device.measure([[b"1", b"2"]], tolerance=None))
    command = phone.runs()[1]
    assert "--compare=0" in command
    assert "--tolerance" not in command


def test_big_cpus_are_those_that_can_run_faster(phone: Phone) -> None:
    with phone.device(cpus="big"):
        assert any("--cpus=f0" in call[0] for call in phone.asked("shell"))
    phone.set_cpus([2000000] * 4)
    with pytest.raises(ProfileError, match="CPUs of one speed only; give a mask"):
        phone.device(cpus="big")
    phone.set_cpus([])
    with pytest.raises(ProfileError, match="does not tell how fast its CPUs are"):
        phone.device(cpus="big")


def test_facts_of_the_phone(phone: Phone) -> None:
    with phone.device() as device:
        facts = device.facts
    assert (facts.model, facts.processor, facts.cores) == ("Maker Model 8 Pro", "Chips C9", 8)
    assert (facts.system, facts.api) == ("Android 14 (API 34)", 34)
    assert facts.abis == ("arm64-v8a", "armeabi-v7a")
    assert (facts.litert, facts.libtfprune, facts.arch) == ("2.16.1", __version__, "neon_dotprod")
    assert re.fullmatch("[0-9a-f]{16}", facts.library_sha256)


def test_an_older_android_names_its_board(phone: Phone) -> None:
    older = {name: value for name, value in PROPERTIES.items() if not name.startswith("ro.soc")}
    phone.set(properties={**older, "ro.board.platform": "msm8996"})
    with phone.device() as device:
        assert device.facts.processor == "msm8996"


def test_tools_are_copied_where_they_changed(phone: Phone) -> None:
    phone.device()
    assert [Path(path).name for path in phone.asked("push")[0][:-1]] == [PROGRAM, DELEGATE, RUNTIME]
    phone.device()
    assert len(phone.asked("push")) == 1
    (phone.tools / DELEGATE).write_bytes(b"other")
    phone.device()
    assert [Path(path).name for path in phone.asked("push")[1][:-1]] == [DELEGATE]
    (phone.files / RUNTIME).write_bytes(b"half")  # a copy that was interrupted
    phone.device()
    assert [Path(path).name for path in phone.asked("push")[2][:-1]] == [RUNTIME]
    phone.set(no_digests=True)
    phone.device()
    assert len(phone.asked("push")[3]) == 4


def test_models_are_copied_once(phone: Phone) -> None:
    with phone.device() as device:
        list(device.measure([[b"1", b"2"], [b"1", b"3"], [b"2", b"2"]]))
    assert [len(call) - 1 for call in phone.asked("push")] == [3, 1, 1, 1]


def test_models_make_room(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adb, "_MOST_BYTES", 6)
    with phone.device() as device:
        measured = device.measure([[b"1.5", b"2.5"], [b"1.5", b"3.5"], [b"2.5"]])
        left = [{file.read_bytes() for file in phone.files.glob("*.tflite")} for _ in measured]
    assert left == [{b"1.5", b"2.5"}, {b"1.5", b"3.5"}, {b"2.5"}]


def test_models_of_a_killed_session_are_removed(phone: Phone) -> None:
    device = phone.device()
    list(device.measure([[b"1"]]))
    assert len(list(phone.files.glob("*.tflite"))) == 1
    phone.device()
    assert not list(phone.files.glob("*.tflite"))


def test_nothing_is_left_on_the_phone(phone: Phone) -> None:
    other = phone.files.parent / "somebody.else"
    other.write_text("")
    with phone.device() as device:
        list(device.measure([[b"1"]]))
        assert phone.files.is_dir()
    assert not phone.files.exists()
    with pytest.raises(ProfileError, match="no reason"), phone.device() as device:
        list(device.measure([[b"exit 6 no reason"]]))
    assert not phone.files.exists()
    assert other.exists()


@pytest.mark.parametrize(
    ("devices", "serial", "words"),
    [
        ([], None, "no phone is attached; plug one in, switch USB debugging on"),
        ([], "X", "no phone X is attached, but none"),
        ([["A", "device"], ["B", "device"]], None, r"2 phones are attached \(A, B\); say which one by its serial"),
        ([["A", "device"]], "B", "no phone B is attached, but A"),
        ([["A", "unauthorized"]], None, "phone A is unauthorized; unlock the phone and allow debugging"),
        ([["A", "offline"]], None, "phone A is offline; plug the phone in again"),
        ([["A", "no permissions (user in plugdev group; are your udev rules wrong?)"]], None, "let your user use"),
        ([["A", "recovery"]], "A", "phone A is recovery; start Android"),
    ],
)
def test_phones_that_cannot_be_used(phone: Phone, devices: list[list[str]], serial: str | None, words: str) -> None:
    phone.set(devices=devices)
    with pytest.raises(ProfileError, match=words):
        phone.device(serial=serial)


def test_one_of_several_phones(phone: Phone) -> None:
    phone.set(devices=[["A", "unauthorized"], [SERIAL, "device"]])
    with phone.device(serial=SERIAL) as device:
        assert list(device.measure([[b"1"]])) == [(1.0,)]


def test_other_abis_and_older_systems_are_refused(phone: Phone) -> None:
    phone.set(properties={**PROPERTIES, "ro.product.cpu.abilist": "armeabi-v7a,armeabi"})
    with pytest.raises(ProfileError, match="its ABI must be arm64-v8a, got armeabi-v7a, armeabi; take another phone"):
        phone.device()
    phone.set(properties={**PROPERTIES, "ro.build.version.release": "6.0.1", "ro.build.version.sdk": "23"})
    with pytest.raises(ProfileError, match=r"must have Android 7 \(API 24\) or later, got Android 6.0.1 \(API 23\)"):
        phone.device()
    assert phone.asked("push") == []


def test_adb_is_found_or_asked_for(phone: Phone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sdk = tmp_path / "sdk/platform-tools"
    sdk.mkdir(parents=True)
    with pytest.raises(ProfileError, match=r"platform tools are needed .* set ANDROID_HOME"):
        find_adb({"PATH": str(sdk), "ANDROID_HOME": str(tmp_path)})
    (sdk / "adb").symlink_to(phone.adb)
    assert find_adb({"PATH": "/nowhere", "ANDROID_HOME": str(sdk.parent)}) == sdk / "adb"
    assert find_adb({"PATH": str(phone.folder)}) == phone.adb
    monkeypatch.setenv("ANDROID_HOME", str(sdk.parent))
    with pytest.raises(ProfileError, match="cannot be run"):
        phone.device(adb=tmp_path / "nothing")


def test_a_server_that_does_not_start(phone: Phone) -> None:
    phone.set(devices_fail=True)
    with pytest.raises(ProfileError, match="cannot connect to daemon; run `adb kill-server`"):
        phone.device()


def test_arguments_out_of_range(phone: Phone) -> None:
    with pytest.raises(RuntimeInputError, match="num_threads"):
        phone.device(num_threads=0)
    with pytest.raises(RuntimeInputError, match="backend"):
        phone.device(backend="plan")


def test_tools_that_are_missing_or_of_another_version(phone: Phone) -> None:
    phone.set_program("0.0.9")
    with pytest.raises(
        ProfileError, match=rf"the program must be of tfprune {__version__}, got 0.0.9; run `make phone"
    ):
        phone.device()
    assert not phone.files.exists()
    (phone.tools / DELEGATE).unlink()
    with pytest.raises(ProfileError, match=r"but lacks libtfprune.so; run `make phone-tools`"):
        phone.device()


@pytest.mark.parametrize(("afterwards", "state"), [([], "not attached"), ([[SERIAL, "offline"]], "offline")])
def test_a_phone_that_goes_away_loses_nothing(phone: Phone, afterwards: list[list[str]], state: str) -> None:
    phone.set(unplug_at=4, afterwards=afterwards)  # the first run is that of the reference model
    measured = phone.device().measure([[b"1"], [b"2"], [b"3"]])
    assert (next(measured), next(measured)) == ((1.0,), (2.0,))
    with pytest.raises(ProfileError, match=rf"{SERIAL} went away \({state}\); plug it in"):
        next(measured)


def test_closing_without_a_phone_says_so(phone: Phone) -> None:
    device = phone.device()
    phone.set(devices=[])
    with pytest.raises(ProfileError, match="went away"), device:
        pass


def test_a_full_phone(phone: Phone) -> None:
    with phone.device() as device:
        phone.set(full=True)
        with pytest.raises(ProfileError, match=r"files cannot be copied .* No space left on device"):
            list(device.measure([[b"1"]]))


def test_a_program_that_does_not_end(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adb, "_START_SECONDS", 0.5)
    with phone.device(seconds=0.05) as device, pytest.raises(ProfileError, match="`adb shell` did not end within 1 s"):
        list(device.measure([[b"sleep"]]))


def test_the_programs_reason_is_told(phone: Phone) -> None:
    with phone.device() as device:
        with pytest.raises(ProfileError, match=f"phone {SERIAL}: b.tflite: its answer differs"):
            list(device.measure([[b"1", b"exit 7 b.tflite: its answer differs"]]))
        with pytest.raises(ProfileError, match="must print its report, got 'Segfault"):
            list(device.measure([[b"print Segfault"]]))
        assert list(device.measure([[b"4"]])) == [(4.0,)]  # it goes on with the next


def test_a_clock_that_slows_down_is_noted(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adb, "_CHECK_EVERY", 2)
    phone.set(thermal=3)
    with phone.device() as device:
        # Runs: the reference, two groups, the reference again, two groups, the reference, ...
        (phone.files / "slow_down.json").write_text("[1, 1, 1, 1.09, 1, 1, 1.25, 1, 1, 0.5]")
        assert len(list(device.measure([[b"8"]] * 7))) == 7
        assert [re.findall(r"after \d groups|\d\.\d\d|thermal status: \w+", note) for note in device.notes] == [
            ["after 4 groups", "1.25", "thermal status: severe"],
            ["after 6 groups", "0.50", "thermal status: severe"],
        ]


def test_a_phone_that_does_not_tell_its_temperature(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adb, "_CHECK_EVERY", 1)
    with phone.device() as device:
        (phone.files / "slow_down.json").write_text("[1, 1, 2]")
        list(device.measure([[b"8"], [b"8"]]))
        assert "thermal status: not told" in device.notes[0]
