# SPDX-License-Identifier: Apache-2.0
"""Mapping by rules: budgets, patterns, rates and reasons."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest

import tfprune as tp
from tests.mapping.models import convolutional
from tfprune.costs import CostTable, load_table
from tfprune.errors import ConversionError, MappingError
from tfprune.mapping.budget import Budget
from tfprune.mapping.curves import PERCENT, coarse_time
from tfprune.mapping.latency import LatencyModel
from tfprune.mapping.mapping import Mapping
from tfprune.mapping.network import Network
from tfprune.mapping.rule_based import map_by_rules, rules
from tfprune.mapping.rule_set import read_rule_set
from tfprune.sparsity.measure import kept_score
from tfprune.sparsity.patterns import BlockPunched, BlockRowsColumns, Groups, KernelElements, KernelPatterns, Pattern
from tfprune.sparsity.select import select

HALF = Budget("latency_ratio", 0.5)


@pytest.fixture(scope="module")
def model() -> Any:
    return convolutional()


@pytest.fixture(scope="module")
def network(model: Any) -> Network:
    return Network(model)


@pytest.fixture(scope="module")
def latency(network: Network) -> LatencyModel:
    return LatencyModel(network, load_table("arm64"))


def by_rules(latency: LatencyModel, budget: Budget = HALF, source: Any = None, **options: Any) -> Mapping:
    return map_by_rules(latency, budget, read_rule_set(source), **options)


def one_rule(*patterns: Pattern, most_rate: float = 0.9, **rule: Any) -> dict[str, Any]:
    """Rules of one list of patterns for all convolutions, and one limit."""
    listed = [{type(each).__name__: each.get_config()} for each in patterns]
    kinds = ["conv_3x3", "conv_1x1", "conv_larger", "transposed"]
    first = {"kinds": kinds, "patterns": listed, "because": "a test", **rule}
    return {"rules": [first], "limits": [{"most_rate": most_rate, "because": "of a test"}]}


def steps_times(table: CostTable, factor: Callable[[str, int], float]) -> CostTable:
    """The table with other costs of a group, by encoding and rows."""
    costs = table.precisions["float32"]
    kinds = {
        name: dataclasses.replace(
            kind,
            step={
                encoding: {rows: cost * factor(encoding, rows) for rows, cost in steps.items()}
                for encoding, steps in kind.step.items()
            },
        )
        for name, kind in costs.kinds.items()
    }
    return dataclasses.replace(table, precisions={"float32": dataclasses.replace(costs, kinds=kinds)})


@pytest.mark.parametrize(
    "budget",
    [
        Budget("latency_ratio", 0.9),
        Budget("latency_ratio", 0.3),
        Budget("size_bytes", 150_000),
        Budget("mac_ratio", 0.4),
    ],
    ids=str,
)
def test_the_budget_is_met_and_used(latency: LatencyModel, budget: Budget) -> None:
    found = by_rules(latency, budget)
    assert found.met
    assert found.used > 0.9
    assert found.prediction == latency.predict(found.choices)
    assert all(found.prediction.layers[name].sparse for name, choice in found.choices.items() if not choice.dense)


def test_the_common_rate_is_the_least_that_meets_the_budget(latency: LatencyModel) -> None:
    found = by_rules(latency, source=one_rule(BlockPunched(4, 4)))
    rates = {choice.sparsity for choice in found.choices.values() if not choice.dense}
    assert len(rates) == 1
    less = {
        name: choice if choice.dense else dataclasses.replace(choice, sparsity=choice.sparsity - 1 / PERCENT)
        for name, choice in found.choices.items()
    }
    assert latency.predict(less).share(HALF, latency.dense) > 1


def test_milliseconds_need_a_profile_in_units_of_time(network: Network, latency: LatencyModel) -> None:
    on_host = LatencyModel(network, load_table("host"))
    wanted = on_host.dense.time / 1000 * 0.7
    found = by_rules(on_host, Budget("latency_ms", wanted))
    assert found.met
    assert found.prediction.time / 1000 <= wanted
    with pytest.raises(MappingError, match="latency_ms: the profile counts aarch64 instructions"):
        by_rules(latency, Budget("latency_ms", 1.0))


def test_a_budget_that_cannot_be_met_gives_the_closest_mapping(latency: LatencyModel) -> None:
    found = by_rules(latency, Budget("latency_ratio", 0.01))
    assert not found.met
    assert found.used > 1
    assert "no mapping by these rules meets the budget" in found.notes[0]
    met = by_rules(latency, Budget("latency_ratio", found.prediction.time / found.dense.time))
    assert met.met
    assert met.prediction.time == pytest.approx(found.prediction.time)


def test_nothing_is_pruned_where_the_dense_model_meets_the_budget(latency: LatencyModel) -> None:
    found = by_rules(latency, Budget("latency_ratio", 1.0))
    assert all(choice.dense for choice in found.choices.values())
    assert found.reasons["three"] == "stays dense: the dense model meets the budget"


def test_layers_that_stay_dense_say_why(latency: LatencyModel) -> None:
    found = by_rules(latency)
    dense = {name: found.reasons[name] for name, choice in found.choices.items() if choice.dense}
    assert set(dense) == {"stem", "depthwise", "narrow", "hidden", "last"}
    assert "reads what it makes of the input" in dense["stem"]
    assert "few multiply-adds" in dense["depthwise"]
    assert "so few weights" in dense["narrow"]
    assert "below min_speedup 1.05" in dense["hidden"]
    assert "last Dense layer" in dense["last"]


def test_the_finest_pattern_within_the_tolerance_is_taken(network: Network) -> None:
    blocks = [BlockPunched(4, 4), BlockPunched(8, 4), BlockPunched(16, 16)]
    # Only groups of 16 rows are as fast as coarse pruning.
    table = steps_times(load_table("arm64"), lambda _, rows: 1.0 if rows >= 16 else 3.0)
    slow = LatencyModel(network, table)
    budget = Budget("latency_ratio", 0.8)
    for tolerance, expected in ((0.2, BlockPunched(16, 16)), (5.0, BlockPunched(4, 4))):
        found = by_rules(slow, budget, one_rule(*blocks, layers=["larger"], most_rate=0.8), tolerance=tolerance)
        assert found.choices["larger"].pattern == expected
        assert f"within {tolerance:.0%}" in found.reasons["larger"]
    fast = by_rules(LatencyModel(network, load_table("arm64")), budget, one_rule(*blocks, layers=["larger"]))
    assert fast.choices["larger"].pattern == BlockPunched(4, 4)


def test_too_slow_patterns_are_named_with_their_times(network: Network) -> None:
    table = steps_times(load_table("arm64"), lambda _, rows: 1.0 if rows >= 16 else 3.0)
    source = one_rule(BlockPunched(4, 4), BlockPunched(16, 16), layers=["larger"])
    reason = by_rules(LatencyModel(network, table), Budget("latency_ratio", 0.7), source).reasons["larger"]
    assert "too slow: BlockPunched 4x4 " in reason


def test_the_fastest_stands_for_coarse_pruning_where_nothing_comes_close(network: Network) -> None:
    table = steps_times(load_table("arm64"), lambda _, rows: 1.7)
    source = one_rule(BlockPunched(4, 4), BlockPunched(16, 16), layers=["larger"])
    found = by_rules(LatencyModel(network, table), Budget("latency_ratio", 0.7), source)
    assert found.choices["larger"].pattern == BlockPunched(4, 4)
    assert "no pattern comes within 20%" in found.reasons["larger"]


def test_coarse_pruning_is_a_dense_layer_with_fewer_filters(latency: LatencyModel) -> None:
    for name in ("three", "transposed", "hidden"):
        layer = latency.network.layer(name)
        times = [coarse_time(latency.table, layer, rate) for rate in (0.0, 0.5, 0.9)]
        assert times[0] == pytest.approx(latency.dense.layers[name].time)
        assert times[0] > times[1] > times[2] > 0


def test_hard_tasks_take_kernel_patterns_where_these_are_fast(network: Network) -> None:
    # Single weights as fast as groups of 16 rows, as a compiler makes kernel patterns.
    table = steps_times(load_table("arm64"), lambda encoding, rows: 0.3 if (encoding, rows) == ("row_band", 1) else 1)
    fast = LatencyModel(network, table)
    budget = Budget("mac_ratio", 0.4)
    source = read_rule_set()
    without = dataclasses.replace(
        source, rules=tuple(dataclasses.replace(rule, alternatives=()) for rule in source.rules)
    )
    hard = map_by_rules(fast, budget, without, task="hard")
    easy = map_by_rules(fast, budget, without, task="easy")
    assert hard.choices["three"].pattern == KernelPatterns(keep=4)
    assert easy.choices["three"].pattern == BlockPunched(4, 4)
    assert hard.choices["pointwise"].pattern == easy.choices["pointwise"].pattern == BlockPunched(4, 4)


def test_groups_take_the_place_of_blocks_only_where_they_keep_more_in_the_same_time(latency: LatencyModel) -> None:
    block = BlockPunched(4, 4)
    plain = by_rules(latency, source=one_rule(block))
    found = by_rules(latency, source=one_rule(block, alternatives=[{"Groups": {"rows": 4}}]))
    assert {name for name, choice in found.choices.items() if choice.pattern == Groups(rows=4)} == {
        name for name, choice in plain.choices.items() if choice.pattern == block
    }
    assert found.used <= 1
    for name, choice in found.choices.items():
        if choice.pattern != Groups(rows=4):
            continue
        layer, before = latency.network.layer(name), plain.choices[name]
        kept = []
        for each in (before, choice):
            assert each.pattern is not None
            mask = select(layer.weights, each.pattern, each.sparsity, layout=layer.layout)
            kept.append(kept_score(layer.weights, mask, layout=layer.layout)[0])
        assert kept[1] > kept[0]
        assert found.prediction.layers[name].time <= plain.prediction.layers[name].time * 1.001
        assert f"it keeps {kept[1]:.1%} of the magnitude and not {kept[0]:.1%}" in found.reasons[name]


def test_an_alternative_that_keeps_less_is_named_and_left(latency: LatencyModel) -> None:
    coarse = [{"BlockPunched": {"rows": 16, "cols": 16}}]
    found = by_rules(latency, source=one_rule(Groups(rows=4), layers=["larger"], alternatives=coarse, most_rate=0.9))
    assert found.choices["larger"].pattern == Groups(rows=4)
    assert "in the same time BlockPunched 16x16 at " in found.reasons["larger"]


def test_a_limit_bounds_the_rate_and_says_so(latency: LatencyModel) -> None:
    source = one_rule(BlockPunched(4, 4))
    source["limits"].insert(0, {"layers": ["thr*"], "most_rate": 0.3, "because": "it matters"})
    found = by_rules(latency, Budget("latency_ratio", 0.4), source)
    assert found.choices["three"].sparsity == 0.3
    assert found.reasons["three"].endswith("at most 30% zeros: it matters")
    assert found.choices["larger"].sparsity > 0.3


def test_a_rule_that_names_a_spared_layer_means_it(latency: LatencyModel) -> None:
    rule = {"layers": ["last", "larger"], "patterns": [{"Groups": {"rows": 2}}], "because": "asked for"}
    for named in (rule, {**rule, "kinds": ["fully_connected", "conv_larger"], "layers": ["l*"]}):
        found = by_rules(latency, source={"rules": [named]})
        assert "last Dense layer" not in found.reasons["last"]
    kinds = {"kinds": ["fully_connected"], "patterns": [{"Groups": {"rows": 2}}], "because": "asked for"}
    assert "(name it in `layers` of a rule to prune it)" in by_rules(latency, source={"rules": [kinds]}).reasons["last"]


def test_a_pattern_with_a_rate_of_its_own_has_that_rate(latency: LatencyModel) -> None:
    source = one_rule(KernelElements(keep=2, share=8), layers=["three", "larger"])
    found = by_rules(latency, Budget("latency_ratio", 0.9), source)
    assert found.choices["three"].sparsity == pytest.approx(7 / 9)
    # 2 of 25 positions: more zeros than the limit allows.
    assert "no pattern of its rule fits" in found.reasons["larger"]


def test_patterns_that_do_not_fit_leave_a_layer_dense(latency: LatencyModel) -> None:
    found = by_rules(latency, source=one_rule(BlockPunched(33, 33)))
    assert "no pattern of its rule fits 5x5x64x32 with at most 90% zeros" in found.reasons["larger"]
    assert found.choices["larger"].dense


def test_what_the_profile_does_not_know_stays_dense(network: Network) -> None:
    table = load_table("arm64")
    costs = table.precisions["float32"]
    ops = {name: cost for name, cost in costs.stock_ops.items() if name != "transpose_conv"}
    lacking = dataclasses.replace(table, precisions={"float32": dataclasses.replace(costs, stock_ops=ops)})
    found = by_rules(LatencyModel(network, lacking))
    assert found.choices["transposed"].dense
    assert "was not fitted on transpose_conv" in found.reasons["transposed"]
    assert found.met


def test_a_layer_without_a_rule_says_so(latency: LatencyModel) -> None:
    assert by_rules(latency, source=one_rule(Groups())).reasons["hidden"] == (
        "stays dense: no rule is for layers of kind fully_connected"
    )


def test_fully_connected_layers_take_rows_and_columns_of_blocks() -> None:
    inputs = keras.Input((512,))
    x = keras.layers.Dense(256, name="one")(inputs)
    x = keras.layers.Dense(512, name="two")(x)
    latency = LatencyModel(Network(keras.Model(inputs, keras.layers.Dense(4)(x))), load_table("host"))
    source = read_rule_set()
    plain = dataclasses.replace(
        source, rules=tuple(dataclasses.replace(each, alternatives=()) for each in source.rules)
    )
    found = map_by_rules(latency, Budget("latency_ratio", 0.8), plain)
    assert isinstance(found.choices["two"].pattern, BlockRowsColumns)
    assert found.met


def test_two_runs_agree(latency: LatencyModel) -> None:
    assert by_rules(latency).to_dict() == by_rules(latency).to_dict()


def test_a_model_is_read_from_a_file_and_progress_is_told(tmp_path: Path, model: Any) -> None:
    model.save(tmp_path / "model.keras")
    told: list[str] = []
    found = rules(tmp_path / "model.keras", "arm64", latency_ratio=0.5, progress=told.append)
    assert found.met
    assert told[0] == "Reading the model"
    assert "Looking for the common rate" in told
    assert any(text.startswith("Comparing kept magnitude, layer 1 of ") for text in told)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give exactly one of latency_ms, latency_ratio, size_bytes, mac_ratio; got none"),
        ({"latency_ratio": 0.5, "size_bytes": 10}, "got latency_ratio, size_bytes"),
        ({"latency_ratio": 1.5}, "share of the dense model"),
        ({"latency_ratio": 0.5, "task": "medium"}, "task must be one of easy, hard, got 'medium'"),
        ({"latency_ratio": 0.5, "tolerance": -0.1}, "tolerance must be a finite number of at least 0"),
        ({"latency_ratio": 0.5, "tolerance": float("nan")}, "tolerance must be"),
        ({"latency_ratio": 0.5, "rules": {"rules": 3}}, "`rules` must be a list"),
    ],
)
def test_wrong_arguments_are_refused(model: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        rules(model, "arm64", **options)


def test_images_of_open_size_are_said() -> None:
    inputs = keras.Input((None, None, 16))
    x = keras.layers.Conv2D(64, 3, name="first")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(64, 3, name="second")(x))
    found = rules(keras.Model(inputs, keras.layers.Dense(10)(x)), "arm64", latency_ratio=0.7)
    assert not found.met
    assert (
        "the model leaves the size of its images open: first, second count as on images of 1x1, and no speed-up is "
        "predicted for them; give its Input a fixed height and width"
    ) in found.notes


def test_a_profile_that_is_none_is_refused(model: Any) -> None:
    with pytest.raises(ConversionError, match=r"profile must be one of arm64, host or the path of a \.json"):
        rules(model, "phone.yaml", latency_ratio=0.5)


def test_something_else_than_a_model_is_refused() -> None:
    with pytest.raises(
        MappingError, match=r"model must be a Keras model or the path of a \.keras or \.h5 file, got int"
    ):
        rules(3, "arm64", latency_ratio=0.5)


def test_what_the_recipe_prunes_is_stored_as_predicted() -> None:
    model = convolutional(16)
    found = rules(model, "arm64", latency_ratio=0.5)
    tp.prune(model, found.recipe)
    report = tp.convert(model, device="arm64", min_speedup=found.min_speedup).report
    sparse = [layer for layer in found.prediction.layers.values() if layer.sparse]
    converted = [layer.packed_bytes for layer in report.layers if layer.converted]
    assert len(converted) == len(sparse) > 0
    # Which cells go depends on the values; how many, and so the bytes, hardly does.
    assert sorted(converted) == pytest.approx(sorted(layer.stored_bytes for layer in sparse), rel=0.02)
