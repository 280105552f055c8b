# SPDX-License-Identifier: Apache-2.0
"""What each layer may become."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.mapping.models import convolutional
from tfprune.errors import MappingError
from tfprune.mapping.candidates import RATES, candidates, read_patterns
from tfprune.mapping.choice import DENSE
from tfprune.mapping.network import KINDS, Network
from tfprune.sparsity.patterns import BlockPunched, Filters, Groups, KernelElements, KernelPatterns, NofM
from tfprune.sparsity.select import select


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(convolutional())


def test_dense_comes_first_and_alone_where_a_layer_must_stay_dense(network: Network) -> None:
    found = candidates(network)
    assert list(found) == [layer.name for layer in network.layers]
    assert all(choices[0] == DENSE for choices in found.values())
    alone = {name for name, choices in found.items() if len(choices) == 1}
    assert alone == {"stem", "depthwise", "narrow", "last"}
    assert len(candidates(network, min_weights=0)["stem"]) > 1


def test_every_choice_removes_some_weights_and_leaves_some(network: Network) -> None:
    for name, choices in candidates(network, rates=(0.3, 0.97)).items():
        layer = network.layer(name)
        for choice in choices[1:]:
            assert choice.pattern is not None
            kept = np.count_nonzero(select(layer.weights, choice.pattern, choice.sparsity, layout=layer.layout))
            assert 0 < kept < layer.weights.size, choice


def test_patterns_are_those_of_the_kind(network: Network) -> None:
    found = {name: {choice.pattern for choice in choices} for name, choices in candidates(network).items()}
    assert {KernelPatterns(keep=4), BlockPunched(8, 4), Groups(rows=16), Groups(rows=8, aligned=True)} <= found["three"]
    assert KernelPatterns(keep=4) not in found["pointwise"] | found["hidden"] | found["larger"]
    assert all(Filters() in found[name] for name in ("three", "pointwise", "larger", "transposed", "hidden"))


def test_a_pattern_has_only_the_rates_that_it_reaches(network: Network) -> None:
    three = candidates(network)["three"]
    assert {choice.sparsity for choice in three if choice.pattern == Groups(rows=4)} == set(RATES)
    # 4 of 9 positions: at least 5/9 are zero.
    assert {choice.sparsity for choice in three if choice.pattern == KernelPatterns(keep=4)} == set(RATES) - {0.5}


def test_a_pattern_with_a_rate_of_its_own_has_that(network: Network) -> None:
    patterns = {"conv_3x3": [{"KernelElements": {"keep": 3}}], "fully_connected": [{"NofM": {"keep": 1, "of": 4}}]}
    found = candidates(network, patterns=patterns)
    assert [(each.pattern, each.sparsity) for each in found["three"][1:]] == [(KernelElements(keep=3), 6 / 9)]
    assert [(each.pattern, each.sparsity) for each in found["hidden"][1:]] == [(NofM(keep=1, of=4), 0.75)]
    assert found["pointwise"] == (DENSE,)


def test_blocks_larger_than_the_layer_are_left_out(network: Network) -> None:
    patterns = {"conv_3x3": [{"BlockPunched": {"rows": 48, "cols": 32}}, {"BlockPunched": {"rows": 49, "cols": 4}}]}
    found = candidates(network, rates=[0.5], patterns=patterns)["three"]
    assert [choice.pattern for choice in found] == [None, BlockPunched(48, 32)]


def test_the_packaged_file_knows_only_kinds_that_there_are() -> None:
    assert set(read_patterns()) == set(KINDS) - {"depthwise"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("conv_9x9: [Filters]", r"mine.yaml, line 1, column 1: a file of candidates has no key 'conv_9x9'"),
        ("conv_3x3:\n  - {Group: {rows: 4}}", r"mine.yaml, line 2, column 5: Unknown pattern 'Group'"),
        ("conv_3x3:\n  - {Groups: {rows: 0}}", r"mine.yaml, line 2, column 21: .*rows"),
        ("conv_3x3: Filters", r"mine.yaml, line 1, column 11: `conv_3x3` must be a list of patterns"),
        ("conv_3x3: []", r"must be a list of patterns"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(MappingError, match=message):
        read_patterns(path)


def test_a_file_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"file of candidates '.*none.yaml' cannot be read"):
        read_patterns(tmp_path / "none.yaml")


@pytest.mark.parametrize("rates", [(), (0.0, 0.5), (1.0,), ("a",), 0.5])
def test_rates_are_shares_above_zero(network: Network, rates: object) -> None:
    with pytest.raises(MappingError, match="rates"):
        candidates(network, rates=rates)  # type: ignore[arg-type]
