# SPDX-License-Identifier: Apache-2.0
"""`profile` as a whole, on a device that is made up, and shortly on this machine."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfprune as tp
from tests.mapping.profiling.devices import FACTS, Abacus, use_small_shapes
from tests.models.builder import conv_model, pruned
from tfprune.costs import LayerShape, load_table
from tfprune.costs.chains import knows_chains
from tfprune.costs.table import KINDS, parse_table
from tfprune.errors import OutputError, ProfileError
from tfprune.mapping.profiling import profile
from tfprune.mapping.profiling.api import measurements_path
from tfprune.mapping.profiling.device import check_table, host_facts
from tfprune.mapping.profiling.model_shapes import model_shapes


@pytest.fixture(autouse=True)
def _small_shapes(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    use_small_shapes(tmp_path_factory.mktemp("shapes"), monkeypatch)


@pytest.fixture
def model() -> bytes:
    return conv_model(pruned((32, 3, 3, 16), 0.9), np.zeros(32, np.float32), (1, 8, 8))


def test_a_profile_is_a_table_like_any_other(model: bytes, tmp_path: Path) -> None:
    abacus, output, told = Abacus(), tmp_path / "abacus.json", []
    report = profile(
        model, target=abacus.target(), seconds=0.01, output=output, progress=lambda share, text: told.append(share)
    )
    table = load_table(output)
    assert table == report.table == parse_table(report.content, "abacus")
    assert (table.name, table.unit, table.general, table.device) == ("abacus", "beads", False, FACTS)
    costs = table.precisions["float32"]
    assert set(costs.kinds) == set(KINDS)
    assert costs.held_out["layers"].count > 0
    assert {part.name for part in report.parts} >= {*KINDS, "pad", "networks"}
    assert knows_chains(table, "float32")
    assert sum(part.samples for part in report.parts) == abacus.asked - 1  # but for the call of a model
    assert told == sorted(told)
    assert told[-1] <= 1
    converted = tp.convert(model, device=output)
    assert "abacus" in str(converted.report)
    assert abacus.closed == 1


def test_a_report_says_what_was_measured_and_what_is_not_covered(model: bytes) -> None:
    report = profile(model, target=Abacus().target(), seconds=0.01)
    document = json.loads(json.dumps(report.to_dict()))
    assert document["device"]["processor"] == "an abacus"
    assert document["held_out"]["layers"]["median"] == report.table.precisions["float32"].held_out["layers"].median
    for text in (str(report), report._repr_html_()):
        assert "an abacus" in text
        assert "made up" in text
        assert "conv_kxk" in text
    assert "not covered" not in str(report)
    assert report.output is None


def test_a_killed_profile_goes_on(model: bytes, tmp_path: Path) -> None:
    output, whole = tmp_path / "abacus.json", Abacus()
    profile(model, target=whole.target(), seconds=0.01)
    killed, again = Abacus(dies_after=30), Abacus()
    with pytest.raises(KeyboardInterrupt):
        profile(model, target=killed.target(), seconds=0.01, output=output)
    assert killed.closed == 1
    assert measurements_path(output).exists()
    assert not output.exists()
    report = profile(model, target=again.target(), seconds=0.01, output=output)
    assert report.reused == 30
    assert again.asked == whole.asked - 30
    assert not measurements_path(output).exists()


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"processor": "another"}, "processor an abacus and not another"),
        ({"library_sha256": "0"}, "library_sha256 None and not 0"),
        ({"num_threads": 4}, "num_threads 1 and not 4"),
    ],
)
def test_measurements_of_another_device_are_kept(
    model: bytes, tmp_path: Path, facts: dict[str, Any], words: str
) -> None:
    output = tmp_path / "abacus.json"
    for asked in (9, 4):
        with pytest.raises(KeyboardInterrupt):
            profile(model, target=Abacus(dies_after=asked).target(), seconds=0.01, output=output)
    before = measurements_path(output).read_bytes()
    assert len(json.loads(before)["rows"]) == 13
    other = Abacus(dies_after=5)
    with pytest.raises(ProfileError, match=rf"13 measurements .* with {words}; choose another output, or remove"):
        profile(model, target=other.target(**facts), seconds=0.01, output=output)
    assert (other.asked, other.closed) == (0, 1)
    assert measurements_path(output).read_bytes() == before


def test_more_time_is_more_samples_of_the_models_layers(model: bytes) -> None:
    shortest, longer = Abacus(), Abacus()
    profile(model, target=shortest.target(), seconds=0.01)
    report = profile(model, target=longer.target(), seconds=20)
    # Files' sizes are not what layers are fitted to: the error falls for a while.
    assert longer.asked > shortest.asked
    parts = {part.name: part.samples for part in report.parts}
    assert parts["conv_kxk"] == max(parts[kind] for kind in KINDS)


def test_what_is_asked_wrongly_is_refused_before_anything_is_measured(model: bytes, tmp_path: Path) -> None:
    for arguments, words in (
        ({"precision": "float64"}, "precision must be one of"),
        ({"seconds": 0}, "seconds must be"),
        ({"seconds": float("nan")}, "seconds must be"),
        ({"target": "moon"}, "target must be host, arm64, adb"),
        ({"target": "host:3"}, "target must be host, arm64, adb"),
        ({"backend": "npu"}, "backend must be one of cpu, gpu"),
        ({"backend": "gpu", "num_threads": 2}, "num_threads must be 1"),
        ({"backend": "gpu", "precision": "int8"}, "precision must be float32"),
        ({"target": "arm64", "num_threads": 2}, "one CPU thread"),
    ):
        with pytest.raises(ProfileError, match=words):
            profile(model, **arguments)
    (tmp_path / "there.json").write_text("{}")
    abacus = Abacus()
    with pytest.raises(OutputError, match="exists already"):
        profile(model, target=abacus.target(), output=tmp_path / "there.json")
    with pytest.raises(OutputError, match=r"must be written to a file that ends in \.json, got `.*phone\.txt`"):
        profile(model, target=abacus.target(), output=tmp_path / "phone.txt")
    assert abacus.asked == 0


def test_the_shapes_of_a_model_are_found(model: bytes) -> None:
    found = model_shapes(model)
    assert [str(layer) for layer in found.layers] == ["conv 1x8x8x16 to 32, 3x3/1"]
    assert found.unknown == ()
    assert found.layers[0].costs() == LayerShape(False, 32, 144, 9, 64, 64 * 16)


def test_a_table_of_another_device_or_library_is_refused() -> None:
    here = dataclasses.replace(load_table("host"), general=False, device=host_facts())
    assert check_table(here) == check_table(load_table("arm64")) == ()
    for name, other in (("processor", "an abacus"), ("libtfprune", "0.0.1"), ("arch", "fingers"), ("litert", "1.0")):
        facts = dataclasses.replace(here.device, **{name: other})
        table = dataclasses.replace(here, device=facts)
        with pytest.raises(ProfileError, match=f"{name} {other} and not {getattr(here.device, name)}"):
            check_table(table)
        (note,) = check_table(table, force=True)
        assert f"by force: it was measured with {name} {other} and not {getattr(here.device, name)}" in note
    with pytest.raises(ProfileError, match="num_threads 1 and not 4"):
        check_table(here, num_threads=4)
    with pytest.raises(ProfileError, match="backend cpu and not gpu"):
        check_table(here, backend="gpu")


def test_a_table_of_a_phone_is_compared_by_its_library_only() -> None:
    phone = dataclasses.replace(load_table("host"), general=False, device=dataclasses.replace(FACTS, system="Android"))
    for litert in (None, "1.0"):
        (note,) = check_table(dataclasses.replace(phone, device=dataclasses.replace(phone.device, litert=litert)))
        assert f"an abacus with LiteRT {litert or 'unknown'}: " in note
        assert "only the version of libtfprune was compared" in note
    with pytest.raises(ProfileError, match=r"libtfprune 0\.0\.1"):
        check_table(dataclasses.replace(phone, device=dataclasses.replace(FACTS, libtfprune="0.0.1")))


@pytest.mark.slow
def test_this_machine_is_measured(model: bytes, tmp_path: Path) -> None:
    report = profile(model, seconds=1, output=tmp_path / "here.json")
    held_out = report.table.precisions["float32"].held_out["layers"]
    assert held_out.median < 0.5
    check_table(load_table(tmp_path / "here.json"))
