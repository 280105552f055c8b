# SPDX-License-Identifier: Apache-2.0
"""What is measured next, and when it is enough."""

from __future__ import annotations

import pytest

from tfprune.costs import load_table
from tfprune.costs.table import KINDS, PRECISIONS
from tfprune.mapping.profiling.design import Design, candidates, coverage, expected_shape
from tfprune.mapping.profiling.layer_sizes import LayerSizes, read_layers
from tfprune.mapping.profiling.samples import SPARSITIES, case_shape, cases, step_rows
from tfprune.mapping.profiling.sampling import settled, spread_of_cases
from tfprune.mapping.profiling.shape_files import SHAPES

OWN = [LayerSizes("conv", 12, 12, 48, 64, 3, 1, 1)]
OTHERS = read_layers(SHAPES / "layers.txt")


@pytest.mark.parametrize("precision", [name for name in PRECISIONS if name != "float16"])
def test_a_spread_has_every_kind_and_every_step(precision: str) -> None:
    design = Design(candidates(OWN, OTHERS, precision), load_table("host"), precision)
    found = spread_of_cases(design, precision)
    kinds = [case.layer.costs().kind for case in found]
    assert [kinds.count(kind) for kind in KINDS] == [coverage(precision)] * len(KINDS)
    assert len(set(map(str, found))) == len(found)
    for kind in KINDS:
        steps = {(case.encoding, case.rows, case.cols) for case in found if case.layer.costs().kind == kind}
        assert len(steps) >= 0.75 * len(step_rows(precision))


def test_a_models_own_layers_come_first_and_at_every_sparsity() -> None:
    wanted = candidates(OWN, OTHERS, "float32")
    own = [case for case, weight in wanted if case.layer in OWN]
    assert len(own) == len(cases(OWN, "float32")) * len(SPARSITIES)
    assert {weight for case, weight in wanted if case.layer in OWN} == {1.0}
    found = Design(wanted, load_table("host"), "float32").choose(20, {"conv_kxk": 1.0})
    share = sum(case.layer in OWN for case in found) / 20
    assert share > 2 * len(own) / len(wanted)


def test_kinds_that_are_predicted_badly_are_measured_first() -> None:
    design = Design(candidates([], OTHERS, "float32"), load_table("host"), "float32")
    spread_of_cases(design, "float32")
    errors = dict.fromkeys(KINDS, 0.0001) | {"conv_1x1": 1.0}
    assert {case.layer.costs().kind for case in design.choose(16, errors)} == {"conv_1x1"}


def test_nothing_is_measured_twice_and_it_ends() -> None:
    wanted = candidates([], OTHERS[:3], "float32")
    design = Design(wanted, load_table("host"), "float32")
    found = design.choose(1000, {})
    assert len(found) == len(wanted)
    assert len(set(found)) == len(found)
    assert design.choose(1, {}) == []


@pytest.mark.parametrize("encoding", ["row_band", "sliding_row", "block_rows", "block_columns"])
def test_what_packed_weights_come_to_is_about_known_before_they_are_made(encoding: str) -> None:
    for case in cases([LayerSizes("conv", 14, 14, 64, 96, 3, 1, 1)], "float32"):
        if case.encoding == encoding:
            expected, made = expected_shape(case), case_shape(case)
            assert made.encoding == expected.encoding
            assert 1 / 2 < made.groups * made.rows / (expected.groups * expected.rows) < 2


def test_it_is_enough_when_the_error_stops_falling() -> None:
    assert not settled([0.3, 0.2])
    assert not settled([0.3, 0.25, 0.2])
    assert settled([0.3, 0.2, 0.2, 0.199])
    assert not settled([0.3, 0.2, 0.19, 0.15])
