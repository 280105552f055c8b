# SPDX-License-Identifier: Apache-2.0
"""What times models, on this machine and its OpenCL device."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfprune.errors import ProfileError
from tfprune.mapping.profiling.device import conditions_of, described, host_facts
from tfprune.mapping.profiling.instructions import aarch64_instructions
from tfprune.mapping.profiling.layer_sizes import LayerSizes
from tfprune.mapping.profiling.op_row import in_a_row
from tfprune.mapping.profiling.samples import case_models, cases
from tfprune.mapping.profiling.stock_ops import stock_model
from tfprune.mapping.profiling.stock_sizes import StockLayer
from tfprune.mapping.profiling.targets import gpu_target, host_target, target_of

SMALL, LARGE = (LayerSizes("conv", size, size, 16, 32, 1, 1, 1) for size in (4, 32))
ADD = StockLayer("elementwise", (1, 16, 16, 64), 64, 1, 1, 1, "ADD")
CONV_3D = StockLayer("conv_3d", (1, 4, 4, 4, 4), 4, 3, 1, 1)


def pairs() -> list[tuple[bytes, ...]]:
    return [tuple(case_models(cases([layer], "float32")[0])) for layer in (SMALL, LARGE)]


def test_this_machine_is_timed() -> None:
    target = host_target(seconds=0.01)
    small, large = target.layers(pairs())
    assert all(2 * ours < theirs for ours, theirs in zip(small, large, strict=True))
    one = stock_model(ADD, "float32")
    ((alone, row),) = target.ops([(one, in_a_row(one))])
    assert row > 3 * alone
    assert (target.facts.target, target.facts.backend, target.facts.num_threads) == ("host", "cpu", 1)
    assert target.notes == ()


def test_an_opencl_device_is_timed_by_its_own_clock() -> None:
    target = gpu_target(seconds=0.01)
    small, large = target.layers(pairs())
    assert all(0 < ours < theirs for ours, theirs in zip(small, large, strict=True))
    assert target.facts.backend == "gpu"
    assert target.facts.arch in described(target.facts)
    if "cpu" in (target.facts.arch or "").lower() or "pthread" in (target.facts.arch or ""):
        assert "NO GPU" in target.notes[0]
    # What the device has no kernel for is left out of a profile, unless it is a layer.
    conv = [(stock_model(CONV_3D, "float32"),)]
    assert list(target.ops(conv)) == [(0.0,)]
    with pytest.raises(ProfileError, match="CPU"):
        list(target.layers(conv))


def test_threads_are_part_of_the_facts() -> None:
    assert target_of("host", "cpu", 2, "float32").facts.num_threads == 2
    assert conditions_of(host_facts("cpu", 1)) != conditions_of(host_facts("cpu", 2))
    assert conditions_of(host_facts())["device"]["date"] is None


def test_without_the_emulated_machine_it_says_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="make build-aarch64"):
        aarch64_instructions([], tmp_path / "root", tmp_path / "libtfprune.so")
