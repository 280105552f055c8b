# SPDX-License-Identifier: Apache-2.0
"""Files of rules, and what is wrong in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.mapping.models import convolutional
from tfprune.errors import MappingError
from tfprune.mapping.network import KINDS, Network
from tfprune.mapping.rule_based import rules
from tfprune.mapping.rule_set import TASKS, read_rule_set
from tfprune.sparsity.patterns import BlockPunched, Groups, KernelPatterns

START = "rules:\n  - kinds: [conv_3x3]\n    because: it is so\n"


def test_the_packaged_rules_have_one_for_every_kind_and_task() -> None:
    known = read_rule_set()
    for layer in Network(convolutional()).layers:
        for task in TASKS:
            rule = known.rule(layer, task)
            assert rule is not None
            assert rule.because
    assert {kind for rule in known.rules for kind in rule.kinds} == set(KINDS)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        START + "    task: hard\n    patterns: [{KernelPatterns: {keep: 4}}, {BlockPunched: {rows: 8, cols: 4}}]\n"
        "    alternatives: [{Groups: {rows: 4}}]\n    layers: ['block*']\n"
        "limits:\n  - {fewer_weights: 100, most_rate: 0, first: true, because: small}\n"
    )
    (rule,), (limit,) = read_rule_set(path).rules, read_rule_set(path).limits
    assert rule.patterns == (KernelPatterns(keep=4), BlockPunched(8, 4))
    assert (rule.alternatives, rule.layers, rule.task) == ((Groups(rows=4),), ("block*",), "hard")
    assert (limit.fewer_weights, limit.first, limit.most_rate) == (100, True, 0.0)


def test_the_least_limit_counts() -> None:
    network = Network(convolutional())
    limits = [
        {"most_rate": 0.9, "because": "all"},
        {"most_rate": 0.4, "fewer_weights": np.int64(20_000), "because": "small"},
        {"most_rate": 0.1, "first": True, "because": "first"},
    ]
    known = read_rule_set({"rules": [], "limits": limits})
    found = {layer.name: known.limit(layer, first=place == 0).most_rate for place, layer in enumerate(network.layers)}
    assert (found["stem"], found["three"], found["larger"]) == (0.1, 0.4, 0.9)
    assert 0 < read_rule_set({"rules": []}).limit(network.layers[0], first=True).most_rate < 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("limits: []", r"line 1, column 1: a file of rules must have the key `rules`"),
        ("rules: []\nrule: []", r"line 2, column 1: a file of rules has no key 'rule'.*Did you mean 'rules'\?"),
        (START + "    pattern: [Filters]", r"line 4, column 5: a rule has no key 'pattern'"),
        (START + "    patterns: [Filter]", r"line 4, column 16: Unknown pattern 'Filter'"),
        (START + "    patterns: Filters", r"line 4, column 15: `patterns` must be a list of patterns"),
        (START, r"line 2, column 5: a rule must have either `patterns` or `dense: true`"),
        (START + "    dense: true\n    patterns: [Filters]", "either `patterns` or `dense: true`"),
        (START + "    dense: 1", r"line 4, column 12: `dense` must be true or false"),
        (START + "    dense: true\n    alternatives: [Filters]", r"line 5, column 5: .*no `alternatives`"),
        (START + "    dense: true\n    task: soft", r"line 5, column 11: `task` must be one of easy, hard"),
        (
            START.replace("conv_3x3", "conv_7x7") + "    dense: true",
            r"line 2, column 13: `kinds` must be of .*'conv_7x7'",
        ),
        (START.replace("it is so", "3") + "    dense: true", r"line 3, column 14: `because` must say why"),
        ("rules:\n  - dense: true", r"line 2, column 5: `because` must say why"),
        (START + "    dense: true\n    layers: block", r"line 5, column 13: `layers` must be a list of names"),
        ("rules: []\nlimits:\n  - {because: x}", r"line 3, column 5: `most_rate` must be a number in \[0, 1\)"),
        ("rules: []\nlimits:\n  - {because: x, most_rate: 1}", r"line 3, column 29: `most_rate`"),
        ("rules: []\nlimits:\n  - {because: x, most_rate: 0, fewer_weights: 0.5}", r"column 47: `fewer_weights`"),
        ("rules: []\nlimits:\n  - {because: x, most_rate: 0, first: 3}", r"column 39: `first` must be true"),
        ("rules: []\nlimits: {}", r"line 2, column 9: `limits` must be a list"),
        ("", "is empty"),
        ("rules: [", "not valid YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(MappingError, match=r"(?s)mine.yaml.*" + message):
        read_rule_set(path)


def test_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"A file of rules is a file that ends in \.json, \.yaml, \.yml"):
        read_rule_set(tmp_path / "rules.txt")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (START + "    dense: true\n    layers:\n      - stem\n      - 'steem*'\n", 7),
        ("rules: []\nlimits:\n  - {most_rate: 0, because: small, layers: [stem, 'steem*']}\n", 3),
    ],
)
def test_a_rule_for_layers_that_there_are_not_is_refused(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    words = rf"mine.yaml, line {line}, column .*Received: 'steem\*'; the model has stem"
    with pytest.raises(MappingError, match=words):
        rules(convolutional(), "arm64", latency_ratio=0.5, rules=path)
    path.write_text(text.replace("steem", "thre"))
    assert rules(convolutional(), "arm64", latency_ratio=0.5, rules=path).layers
