# SPDX-License-Identifier: Apache-2.0
"""``search`` on a trained network, in this process and in others."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.mapping.searching.models import CHOICES, candidates, data, trained, training_data
from tfprune.errors import MappingError
from tfprune.mapping.choice import DENSE, Choice
from tfprune.mapping.searching import SearchResult, loop, search
from tfprune.mapping.searching.options import SearchOptions
from tfprune.mapping.searching.result import JUDGED, OVER_BUDGET, REPEATED, STOPPED
from tfprune.mapping.searching.space import DOMINATED, NO_GAIN
from tfprune.mapping.sensitivity_analysis import LayerSensitivity, SensitivityReport, sensitivity
from tfprune.sparsity.patterns import Groups

_OPTIONS: dict[str, Any] = {"candidates": candidates(), "progress": False}


@pytest.fixture(scope="module")
def model() -> Any:
    return trained()


def _search(model: Any, **options: Any) -> SearchResult:
    given = {"latency_ratio": 0.5, "validation_data": data(), "training_data": training_data(), "trials": 8}
    return search(model, "arm64", **{**given, **_OPTIONS, **options})


@pytest.fixture(scope="module")
def result(model: Any) -> SearchResult:
    return _search(model)


def test_the_best_mapping_is_the_best_that_was_judged_within_the_budget(result: SearchResult) -> None:
    assert result.met
    assert result.best.used <= 1
    judged = [row for row in result.trials if row.status == JUDGED]
    assert result.judged == 8 == len([row for row in result.trials if row.status in (JUDGED, STOPPED)])
    assert result.accuracy == max(row.accuracy or 0 for row in judged) > 0.7
    assert result.best.choices["head"] == DENSE == result.best.choices["first"]
    assert list(result.best.choices) == ["first", "second", "third", "head"]
    assert not result.best.choices["second"].dense
    assert result.front[-1].accuracy == result.accuracy
    assert {each.rule for each in result.skipped} >= {NO_GAIN}
    assert set(result.sensitivity) == {"second", "third"}


def test_the_result_is_a_mapping_with_recipe_and_what_was_tried(result: SearchResult) -> None:
    assert {each.accuracy for each in result.best.tried if each.chosen} == {result.accuracy}
    assert sum(each.front for each in result.best.tried) == len(result.front)
    assert "alone it loses" in result.best.reasons["second"]
    assert "no choice takes less than dense" in result.best.reasons["first"]
    fastest = result.mapping_of(result.front[0])
    assert fastest.prediction.time == pytest.approx(result.front[0].latency)
    assert fastest.recipe.rules[1].pattern == fastest.choices["second"].pattern


def test_the_result_shows_itself(result: SearchResult) -> None:
    text = str(result)
    assert text.startswith("tiny, policy: within latency_ratio 0.5 accuracy 0.")
    assert f"front of {len(result.front)}" in text
    assert "7 not tried, no gain over dense: first: Groups" in text
    page = result._repr_html_()
    assert page.startswith("<p>tiny, policy: within latency_ratio 0.5 accuracy 0.")
    assert "Groups" in page
    assert "<tr></tr>" not in page
    plain = json.loads(json.dumps(result.to_dict()))
    assert plain["met"] is True
    assert len(plain["trials"]) == len(result.trials)


def test_a_report_of_another_model_or_metric_is_refused(model: Any) -> None:
    report = sensitivity(model, data(), candidates={"second": CHOICES[1:2]}, progress=False)
    other = keras.models.clone_model(model)
    other.compile("adam", model.loss, metrics=["accuracy"])
    with pytest.raises(MappingError, match=r"got one of 'tiny' with other weights; call sensitivity"):
        _search(other, sensitivity=report)
    assert _search(model, sensitivity=report, trials=1).sensitivity["second"][CHOICES[1]] == report.rows[0].accuracy
    with pytest.raises(MappingError, match="must be of loss, got one of accuracy"):
        _search(model, sensitivity=report, metric="loss")


@pytest.mark.slow
def test_the_same_call_gives_the_same_result(model: Any, result: SearchResult) -> None:
    again = _search(model)
    assert [row.choices for row in again.trials] == [row.choices for row in result.trials]
    assert [row.accuracy for row in again.trials] == pytest.approx([row.accuracy for row in result.trials])


@pytest.mark.parametrize("method", ["optuna", pytest.param("nsga2", marks=pytest.mark.slow)])
def test_a_search_goes_on_in_its_storage(model: Any, method: str, tmp_path: Path) -> None:
    options = {"method": method, "storage": tmp_path / "journal"}
    first = _search(model, trials=4, **options)
    more = _search(model, trials=8, **options)
    assert more.trials[: len(first.trials)] == first.trials
    assert more.judged == 8
    assert more.sensitivity == first.sensitivity
    with pytest.raises(MappingError, match="another search: budget"):
        _search(model, latency_ratio=0.4, **options)


def _by_zeros(model: Any) -> float:
    return float(np.mean(keras.ops.convert_to_numpy(model.get_layer("second").kernel) != 0))


def _by_other_zeros(model: Any) -> float:
    return float(np.mean(keras.ops.convert_to_numpy(model.get_layer("third").kernel) != 0))


def test_judgements_of_another_model_other_data_or_another_function_are_not_reused(model: Any, tmp_path: Path) -> None:
    options = {"sensitivity": False, "trials": 1, "storage": tmp_path / "journal"}
    _search(model, **options)
    assert _search(model, **options).judged == 1
    images, labels = data()
    for changed, what in (
        ({"validation_data": (images, (labels + 1) % 4)}, "validation_data"),
        ({"validation_data": (images + 1, labels)}, "validation_data"),
        ({"training_data": data(256, seed=5)}, "training_data"),
        ({"evaluate": _by_zeros}, "metric"),
    ):
        with pytest.raises(MappingError, match=f"another search: {what} is .* give another storage or study_name"):
            _search(model, **{**options, **changed})
    other = trained()
    norm = other.get_layer("norm")
    norm.set_weights([each + 0.5 for each in norm.get_weights()])
    with pytest.raises(MappingError, match=r"another search: weights of the model is .* give another storage"):
        _search(other, **options)


def test_judgements_of_another_function_are_not_reused(model: Any, tmp_path: Path) -> None:
    options = {"sensitivity": False, "trials": 1, "storage": tmp_path / "journal", "validation_data": None}
    _search(model, evaluate=_by_zeros, **options)
    assert _search(model, evaluate=_by_zeros, **options).judged == 1
    with pytest.raises(MappingError, match=r"metric is '.*_by_zeros \(code \w+\)' there and '.*_by_other_zeros"):
        _search(model, evaluate=_by_other_zeros, **options)


@pytest.mark.slow
def test_single_layers_are_not_looked_at_again(model: Any, tmp_path: Path) -> None:
    seen: list[int] = []

    def evaluate(given: Any) -> float:
        seen.append(int(np.count_nonzero(given.get_layer("second").kernel)))
        return seen[-1] / 1e5

    options = {"evaluate": evaluate, "validation_data": None, "trials": 2, "storage": tmp_path / "journal"}
    _search(model, **options)
    before = len(seen)
    _search(model, **options)
    # The dense model alone: what is in the storage is not judged again.
    assert len(seen) == before + 1


def test_given_mappings_come_first_and_stay(model: Any) -> None:
    given = {"second": Choice(Groups(4), 0.85), "third": Choice(Groups(4), 0.65)}
    found = _search(model, start=[given], trials=2)
    first = found.trials[0].choices
    assert {name: first[name] for name in given} == given


def test_what_another_method_found_comes_first(model: Any, result: SearchResult) -> None:
    found = _search(model, start=[result.best], trials=1, sensitivity=False)
    assert found.trials[0].choices == result.best.choices


@pytest.mark.slow
def test_a_report_may_know_other_choices_than_the_search(model: Any, tmp_path: Path) -> None:
    """What it does not know is found out, and what nobody asks for is not kept."""
    known = {**dict.fromkeys(CHOICES[1:4], 0.5), Choice(Groups(4), 0.33): 0.6}
    rows = tuple(LayerSensitivity("second", choice, value, 0.9 - value) for choice, value in known.items())
    report = SensitivityReport(rows, 0.9, "accuracy", "tiny")
    options = {"sensitivity": report, "trials": 1, "storage": tmp_path / "journal"}
    first = _search(model, **options)
    assert first.sensitivity["second"].keys() <= set(CHOICES)
    assert len(first.sensitivity["second"]) > 3
    assert _search(model, **options).sensitivity == first.sensitivity


def test_without_sensitivity_nothing_is_skipped_for_it(model: Any) -> None:
    found = _search(model, sensitivity=False, trials=2)
    assert {each.rule for each in found.skipped} == {NO_GAIN}
    assert found.sensitivity == {}
    assert DOMINATED not in str(found)


def test_a_budget_that_nothing_meets_gives_the_closest_mapping(model: Any) -> None:
    found = _search(model, latency_ratio=0.05)
    assert not found.met
    assert found.trials == ()
    assert found.best.used > 1
    assert found.trial.status == OVER_BUDGET
    assert found.best.choices["second"].sparsity == 0.9
    assert str(found).startswith("tiny, policy: no mapping meets latency_ratio 0.05, the closest one:")
    assert "over the budget" in found.best.notes[0]


def test_a_timeout_ends_it_with_a_mapping(model: Any) -> None:
    found = _search(model, timeout=0)
    assert found.judged == 0
    assert found.met
    assert found.trial.note == "no trial was judged"
    assert found.best.notes[0].startswith("nothing was judged (the search ended before): the mapping is the one that")


def test_a_metric_that_is_never_a_number_is_told(model: Any) -> None:
    found = _search(model, trials=2, evaluate=lambda model: float("nan"), validation_data=None)
    assert found.accuracy is None
    assert found.front == ()
    assert found.best.notes[0].startswith("nothing was judged (its metric is nan)")
    assert "nothing was judged (its metric is nan)" in str(found)
    assert "nothing was judged (its metric is nan)" in found.best.caption()


def test_numbers_of_numpy_become_plain_ones() -> None:
    given = {"trials": np.int64(3), "batch_size": np.uint8(16), "seed": np.int32(0), "max_loss": np.float32(0.5)}
    plain = json.loads(json.dumps(dataclasses.asdict(SearchOptions(**given, timeout=np.int64(9)))))
    assert {name: plain[name] for name in (*given, "timeout")} == {**given, "timeout": 9}


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"method": "random"}, "method must be one of policy, optuna, nsga2, got 'random'"),
        ({"pruner": "hyper"}, "pruner must be one of"),
        ({"trials": 0}, "trials must be a whole number of at least 1"),
        ({"workers": 1.5}, "workers must be a whole number"),
        ({"workers": np.float64(1)}, "workers must be a whole number"),
        ({"seed": True}, "seed must be a whole number"),
        ({"seed": np.True_}, "seed must be a whole number"),
        ({"timeout": -1}, "timeout must be None or a finite number"),
        ({"latency_ms": 3.0}, "exactly one of"),
        ({"validation_data": None}, "validation_data: give examples"),
        ({"start": [{"absent": DENSE}]}, "`absent` must be a layer"),
        ({"metric": None}, "metric must be the name of a compiled metric, got None"),
        ({"metric": 3}, "metric must be the name of a compiled metric, got 3"),
        ({"higher_is_better": "x"}, "higher_is_better must be True, False or None, got 'x'"),
        ({"evaluate": 3}, "evaluate must be a function of a model, got 3"),
        ({"storage": 3}, "storage must be the path of a journal file or the URL of a database, got 3"),
        ({"study_name": 3}, "study_name must be a text that is not empty, or None, got 3"),
        ({"max_loss": True}, "max_loss must be None or a finite number of at least 0, got True"),
        ({"timeout": float("nan")}, "timeout must be None or a finite number"),
        ({"sensitivity": "x"}, "sensitivity must be True, False or what sensitivity"),
        ({"start": 3}, "start must be a list of mappings, got int"),
        ({"start": {"second": DENSE}}, "start must be a list of mappings, got dict; put one in a list"),
        ({"start": [{"second": 0.5}]}, "start must be a list of mappings, each one of rules or Choice"),
        ({"custom_objects": 3}, "custom_objects must be classes and functions by name, got 3"),
        ({"training_data": (np.full((8, 12, 12, 3), np.inf), np.zeros(8))}, "training_data must be finite, got inputs"),
        ({"candidates": 3}, "candidates must be lists of choices by layer name, got 3"),
        ({"candidates": {"second": ["a"]}}, "candidates of layer 'second' must be a list of Choice"),
        ({"candidates": {"second": [None]}}, "candidates of layer 'second' must be a list of Choice"),
        ({"candidates": {"second": CHOICES[1]}}, "candidates of layer 'second' must be a list of Choice"),
        ({"candidates": {"missing": (DENSE,)}}, "`missing` must be a layer"),
        ({"workers": 2, "evaluate": lambda model: 1.0}, "cannot be sent to another process"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_arguments_that_do_not_fit_are_refused(model: Any, options: dict[str, Any], match: str) -> None:
    with pytest.raises(MappingError, match=match):
        _search(model, **options)


def test_optuna_is_asked_for(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MappingError, match=r"needs Optuna.*pip install tfprune\[search\]"):
        _search(model)


def _dies_once(folder: Path, model: Any) -> float:
    """Kills the process in which the first mapping with zeros is judged."""
    zeros = int((keras.ops.convert_to_numpy(model.get_layer("second").kernel) == 0).sum())
    if zeros and os.environ.get("TFPRUNE_TEST_WORKER", "") != str(os.getpid()):
        try:
            (folder / "died").touch(exist_ok=False)
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    return 1 - zeros / 1e5


@pytest.mark.slow
def test_the_trial_of_a_worker_that_dies_is_repeated(model: Any, tmp_path: Path) -> None:
    found = _search(
        model,
        workers=2,
        trials=6,
        sensitivity=False,
        evaluate=functools.partial(_dies_once, tmp_path),
        validation_data=None,
        storage=tmp_path / "journal",
    )
    assert (tmp_path / "died").exists()
    lost = [row for row in found.trials if row.status == REPEATED]
    assert len(lost) == 1
    again = [row for row in found.trials if row.choices == lost[0].choices and row.status == JUDGED]
    assert len(again) == 1
    assert found.judged >= 6


def _takes_long(folder: Path, model: Any) -> float:
    """Says that it has begun, and goes on beyond the deadline."""
    (folder / str(os.getpid())).touch()
    time.sleep(6)
    return 0.5


@pytest.mark.slow
def test_trials_of_workers_that_have_begun_at_the_deadline_end(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfprune.mapping.judging.evaluator.Evaluator.dense", 0.9)
    begun = tmp_path / "begun"
    begun.mkdir()
    first = loop.is_over

    def is_over(study: Any, task: Any) -> bool:
        """The deadline is when both work: loading TensorFlow takes as long as the machine wants."""
        if len(list(begun.iterdir())) == 2:
            return True
        return first(study, task)

    monkeypatch.setattr("tfprune.mapping.searching.session.is_over", is_over)
    found = _search(
        model,
        workers=2,
        trials=2,
        sensitivity=False,
        evaluate=functools.partial(_takes_long, begun),
        validation_data=None,
    )
    assert [row.status for row in found.trials] == [JUDGED, JUDGED]


def _fails(model: Any) -> float:
    raise ValueError("no such file: labels.npy")


@pytest.mark.slow
def test_an_error_in_a_worker_is_told(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfprune.mapping.judging.evaluator.Evaluator.dense", 0.9)
    with pytest.raises(MappingError, match="a worker of the search failed: ValueError: no such file"):
        _search(model, workers=2, sensitivity=False, evaluate=_fails, validation_data=None)
