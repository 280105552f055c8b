# SPDX-License-Identifier: Apache-2.0
"""The time of every operator; no test depends on how fast the machine is."""

from __future__ import annotations

import json

import pytest

import tfprune
from tests.models.builder import VALID
from tests.runtime.chain_files import ChainBuilder, sparse_file
from tests.runtime.test_chains import mobile_network
from tfprune.converter.profile import profile_model
from tfprune.errors import ModelError, RuntimeInputError


def test_a_dense_file_is_timed_op_by_op_alone() -> None:
    profile = profile_model(mobile_network(), runs=2)
    assert [op.node for op in profile.ops] == list(range(12))
    assert {op.kernel for op in profile.ops} == {"LiteRT"}
    assert {op.timed for op in profile.ops} == {"alone"}
    assert all(op.microseconds is not None and op.microseconds > 0 for op in profile.ops)
    assert sum(op.share or 0 for op in profile.ops) == pytest.approx(1)
    assert profile.copies == ()


def test_a_chain_is_timed_layer_by_layer() -> None:
    profile = profile_model(sparse_file(mobile_network()), runs=2)
    assert {op.chain for op in profile.ops} == {1}
    assert {op.timed for op in profile.ops} == {"in the model"}
    kernels = [op.kernel for op in profile.ops]
    assert kernels[1] == "in node 2"  # a PAD before a convolution
    assert kernels[6] == "add_in_convolution"
    assert kernels[4].startswith("depthwise_")
    assert kernels[11] == "mean"
    assert len(profile.copies) == 1
    assert profile.total() > 0
    assert sum(op.share or 0 for op in profile.ops) + profile.copies[0] / profile.total() == pytest.approx(1)


def test_layers_alone_chains_and_litert_in_one_file() -> None:
    b = ChainBuilder()
    y = b.unary(b.sparse(b.x))
    y = b.unary(b.sparse(b.depthwise(b.sparse(y))), "TANH")
    padded = b.pad(b.sparse(y), [[1, 0], [0, 1]])
    y = b.sparse(b.depthwise(padded, padding=VALID))
    profile = profile_model(sparse_file(b.finish(b.add(y, b.depthwise(y)))), runs=2)
    assert [op.chain for op in profile.ops] == [None, None, 1, 1, 1, None, 2, 2, 2, 2, 2, 2]
    assert [op.timed for op in profile.ops].count("alone") == 2
    assert profile.ops[0].kernel.startswith("row_band/")
    assert profile.ops[1].kernel == profile.ops[5].kernel == "LiteRT"
    assert len(profile.copies) == 2


def test_the_report_of_a_benchmark_holds_the_profiles() -> None:
    dense = mobile_network()
    report = tfprune.benchmark(dense, sparse_file(dense), runs=2, profile=True)
    assert [profile.name for profile in report.profiles] == [timing.name for timing in report.timings]
    text = str(report)
    assert "DEPTHWISE_CONV_2D" in text
    assert "in the model" in text
    assert "alone" in text
    assert report._repr_html_().count("<table>") == 3
    document = json.loads(json.dumps(report.to_dict()))
    assert document["profiles"][1]["ops"][4]["chain"] == 1
    assert tfprune.benchmark(dense, runs=1).profiles == ()


def test_what_cannot_be_profiled_is_refused() -> None:
    b = ChainBuilder()
    b.subgraph()
    y = b.tensor("y", [1, 4], graph=1)
    b.io([y], [y], graph=1)
    with pytest.raises(ModelError, match="one subgraph"):
        profile_model(b.finish(b.sparse(b.x)))
    with pytest.raises(RuntimeInputError, match="runs"):
        profile_model(b.finish(b.x), runs=0)


def test_progress_counts_operators() -> None:
    calls: list[tuple[int, int]] = []
    profile_model(mobile_network(), runs=1, progress=lambda done, all_: calls.append((done, all_)))
    assert calls == [(done, 12) for done in range(1, 13)]
