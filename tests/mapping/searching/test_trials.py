# SPDX-License-Identifier: Apache-2.0
"""Trials in a storage: the same by the same seed, whoever dies meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from tests.mapping.searching.toy import Judge, Latency, run, space_for
from tfprune.errors import MappingError
from tfprune.mapping.budget import Budget
from tfprune.mapping.judging.metric import Metric
from tfprune.mapping.searching.claims import MOST_ATTEMPTS, Claims
from tfprune.mapping.searching.result import JUDGED, OVER_BUDGET, REPEATED, SAME, STOPPED, UNKNOWN, Trial
from tfprune.mapping.searching.rows import front, rows_of
from tfprune.mapping.searching.samplers import distributions
from tfprune.mapping.searching.studies import StudyPlace, claim_study, open_study

METHODS = ("policy", "optuna", "nsga2")
# Those that start processes.
_ONE_QUICK = ["policy", *(pytest.param(name, marks=pytest.mark.slow) for name in METHODS[1:])]
_HALF = Budget("latency_ratio", 0.5)


def _rows(study: Any) -> tuple[Trial, ...]:
    return rows_of(study.get_trials(), space_for(Latency(), _HALF), {})


def _judged(study: Any) -> list[tuple[Any, ...]]:
    return [(row.choices, row.accuracy, row.latency) for row in _rows(study) if row.status in (JUDGED, STOPPED)]


def _killed(storage: Path, method: str, trials: int, at: int) -> None:
    command = [sys.executable, "-m", "tests.mapping.searching.toy", str(storage), method, str(trials), str(at)]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_trials(method: str) -> None:
    first, second, other = (_judged(run(None, method, 15, seed=seed)) for seed in (1, 1, 2))
    assert len(first) == 15
    assert first == second
    assert first != other


@pytest.mark.parametrize("method", _ONE_QUICK)
def test_a_killed_search_goes_on_as_if_it_had_not_been(method: str, tmp_path: Path) -> None:
    whole = run(None, method, 24)
    _killed(tmp_path / "killed", method, 24, 12)
    judge = Judge(Latency())
    resumed = run(tmp_path / "killed", method, 24, judge=judge)
    assert _judged(resumed) == _judged(whole)
    assert len(judge.judged) == 24 - 11
    lost = [row for row in _rows(resumed) if row.status == REPEATED]
    assert [row.choices for row in lost] == [judge.judged[0]]


def test_a_search_that_the_user_stops_goes_on_in_the_same_process(tmp_path: Path) -> None:
    judge = Judge(Latency())

    def stopped(choices: Any) -> float:
        raise KeyboardInterrupt

    judge.accuracy = stopped  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "journal", "policy", 3, judge=judge)
    study = run(tmp_path / "journal", "policy", 3)
    assert [row.status for row in _rows(study)] == [REPEATED, JUDGED, JUDGED, JUDGED]
    assert _judged(study) == _judged(run(None, "policy", 3))


@pytest.mark.slow
def test_a_trial_that_takes_its_process_down_again_and_again_is_given_up(tmp_path: Path) -> None:
    for _ in range(MOST_ATTEMPTS):
        _killed(tmp_path / "journal", "policy", 4, 1)
    judge = Judge(Latency())
    rows = _rows(run(tmp_path / "journal", "policy", 4, judge=judge))
    assert [row.status for row in rows[:MOST_ATTEMPTS]] == [REPEATED] * (MOST_ATTEMPTS - 1) + [UNKNOWN]
    assert rows[MOST_ATTEMPTS - 1].note == f"its process died {MOST_ATTEMPTS} times"
    assert len(judge.judged) == 3
    assert rows[0].choices not in judge.judged


def test_a_process_that_was_told_to_end_has_not_died(tmp_path: Path) -> None:
    for _ in range(MOST_ATTEMPTS):
        _killed(tmp_path / "journal", "policy", 4, 1)
        place = StudyPlace(str(tmp_path / "journal"), "toy")
        study = open_study(place, "policy", Metric(higher_is_better=True), "none")
        assert Claims(study).repeat_lost(died=False) == 1
        assert [each.user_attrs["attempt"] for each in study.get_trials(states=(TrialState.WAITING,))] == [1]
    rows = _rows(run(tmp_path / "journal", "policy", 2))
    assert [row.status for row in rows] == [REPEATED] * MOST_ATTEMPTS + [JUDGED] * 2


def test_a_process_elsewhere_is_gone_when_it_stops_counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = open_study(StudyPlace(str(tmp_path / "journal"), "toy"), "policy", Metric(higher_is_better=True), "none")
    monkeypatch.setattr("tfprune.mapping.searching.claims._place", lambda: "elsewhere")
    trial = study.ask(distributions(space_for(Latency(), _HALF)))
    with Claims(study, beat_seconds=1.0).held(trial):
        pass
    monkeypatch.undo()
    clock = [0.0]
    monkeypatch.setattr("tfprune.mapping.searching.claims.time.monotonic", lambda: clock[0])
    watching = Claims(study, beat_seconds=1.0)
    assert watching.repeat_lost() == 0
    clock[0] = 5.0
    trial.set_user_attr("beat", 1)
    assert watching.repeat_lost() == 0
    clock[0] = 10.0
    assert watching.repeat_lost() == 0
    clock[0] = 11.5
    assert watching.repeat_lost() == 1
    assert [each.state for each in study.get_trials()] == [TrialState.FAIL, TrialState.WAITING]
    assert study.get_trials()[1].system_attrs["fixed_params"] == trial.params


@pytest.mark.parametrize("found", ["while it reports", "when it ends", "when it is stopped"])
def test_a_slow_process_whose_trial_was_repeated_elsewhere_goes_on(found: str, tmp_path: Path) -> None:
    place = StudyPlace(str(tmp_path / "journal"), "toy")
    judge = Judge(Latency())
    accuracy = judge.accuracy

    def late(choices: Any) -> float:
        if len(judge.judged) == 1:
            other = open_study(place, "policy", Metric(higher_is_better=True), "none")
            (trial,) = other.get_trials(states=(TrialState.RUNNING,))
            assert Claims(other)._repeat(trial, True)
            if found == "when it is stopped":
                raise KeyboardInterrupt
        return accuracy(choices)

    judge.accuracy = late  # type: ignore[method-assign]
    if found == "when it ends":
        judge.evaluate = _silent(judge.evaluate)  # type: ignore[method-assign]
    if found == "when it is stopped":
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "journal", "policy", 3, judge=judge)
    study = run(tmp_path / "journal", "policy", 3, judge=judge)
    assert [row.status for row in _rows(study)] == [REPEATED, JUDGED, JUDGED, JUDGED]
    assert _judged(study) == _judged(run(None, "policy", 3))


def _silent(evaluate: Any) -> Any:
    return lambda choices, prediction=None, report=None: evaluate(choices, prediction)


def test_a_working_process_counts(tmp_path: Path) -> None:
    study = open_study(StudyPlace(str(tmp_path / "journal"), "toy"), "policy", Metric(higher_is_better=True), "none")
    trial = study.ask()
    claims = Claims(study, beat_seconds=0.01)
    with claims.held(trial):
        while study.get_trials()[0].user_attrs.get("beat", 0) < 2:
            assert claims.repeat_lost() == 0
    assert claims.repeat_lost() == 0


@pytest.mark.parametrize("method", METHODS)
def test_what_is_over_the_budget_is_not_judged_and_comes_back_within_it(method: str) -> None:
    latency, budget = Latency(), Budget("latency_ratio", 0.3)
    judge = Judge(latency)
    study = run(None, method, 12, judge=judge, budget=budget)
    assert len(judge.judged) == 12
    assert all(latency.predict(choices).share(budget, latency.dense) <= 1 for choices in judge.judged)
    rows = rows_of(study.get_trials(), space_for(latency, budget), {})
    over = [row for row in rows if row.status == OVER_BUDGET]
    assert all(row.share is not None and row.share > 1 and row.accuracy is None for row in over)
    # The agent proposes nothing over the budget; Optuna's samplers do not know it.
    assert bool(over) == (method != "policy")
    if over:
        assert any(row.status == JUDGED and row.note == f"trial {over[0].number} under the budget" for row in rows)


def test_the_front_of_nsga2_is_not_dominated() -> None:
    rows = _rows(run(None, "nsga2", 40))
    found = front(rows, 1)
    assert len(found) > 2
    judged = [row for row in rows if row.status == JUDGED]
    assert len(judged) == 40
    for row in found:
        assert not any(
            (other.accuracy, -other.latency) > (row.accuracy, -row.latency)  # type: ignore[operator]
            and other.latency <= row.latency  # type: ignore[operator]
            for other in judged
        )
    for row in judged:
        assert any(other.accuracy >= row.accuracy and other.latency <= row.latency for other in found)  # type: ignore[operator]


def test_bad_trials_are_stopped_early_and_are_not_the_best() -> None:
    rows = _rows(run(None, "optuna", 30, pruner="median"))
    stopped = [row for row in rows if row.status == STOPPED]
    assert 5 < len(stopped) < 25
    judged = [row.accuracy or 0 for row in rows if row.status == JUDGED]
    assert max(row.accuracy or 0 for row in stopped) < max(judged)


@pytest.mark.parametrize("method", METHODS)
def test_a_mapping_is_judged_once_and_a_search_of_a_small_space_ends(method: str) -> None:
    latency, budget = Latency(), Budget("latency_ratio", 0.15)
    judge = Judge(latency)
    study = run(None, method, 5000, judge=judge, budget=budget)
    found = [tuple(sorted((name, str(choice)) for name, choice in each.items())) for each in judge.judged]
    assert 0 < len(found) == len(set(found)) < 200
    rows = rows_of(study.get_trials(), space_for(latency, budget), {})
    assert {row.status for row in rows[-10:]} <= {SAME, OVER_BUDGET}


def test_a_metric_that_is_no_number_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Judge(Latency())
    accuracy = judge.accuracy
    monkeypatch.setattr(
        judge, "accuracy", lambda choices: accuracy(choices) if len(judge.judged) != 2 else float("nan")
    )
    rows = _rows(run(None, "policy", 5, judge=judge))
    assert [row.status for row in rows] == [JUDGED, UNKNOWN, JUDGED, JUDGED, JUDGED]
    assert rows[1].note == "its metric is nan"


def test_another_search_cannot_go_on_in_a_study(tmp_path: Path) -> None:
    place = StudyPlace(str(tmp_path / "journal"), "toy")
    metric = Metric(higher_is_better=True)
    study = open_study(place, "policy", metric, "none")
    claim_study(study, place, {"method": "policy", "budget": ["latency_ratio", 0.5]})
    claim_study(study, place, {"method": "policy", "budget": ["latency_ratio", 0.5]})
    with pytest.raises(
        MappingError, match=r"another search: budget is \['latency_ratio', 0.5\] there and .* 0.4\] here"
    ):
        claim_study(study, place, {"method": "policy", "budget": ["latency_ratio", 0.4]})
    with pytest.raises(MappingError, match="another search: direction"):
        open_study(place, "nsga2", metric, "none")
    with pytest.raises(MappingError, match="cannot be opened"):
        open_study(StudyPlace(str(tmp_path / "none" / "journal"), "toy"), "policy", metric, "none")


def test_a_torn_journal_is_told_and_goes_on_without_its_last_line(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    _killed(journal, "policy", 4, 3)
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-20])
    with pytest.raises(MappingError, match=r"is torn: its last line, \d+, is not whole.*sed -i '\$d'"):
        run(journal, "policy", 6)
    assert journal.read_bytes() == whole[:-20]
    journal.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    assert _judged(run(journal, "policy", 6)) == _judged(run(None, "policy", 6))
    lines = whole.splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:2], lines[2][:-5], *lines[3:]]))
    with pytest.raises(MappingError, match=rf"is damaged: line 3 of {len(lines) - 1} is not whole.*head -n 2"):
        run(journal, "policy", 6)


@pytest.mark.parametrize(
    "text", ["notes: keep\n", "no end of line", "[1, 2]\n", "{}\n", '{"a": 1}\n{"b": 2}\n'], ids=repr
)
def test_a_foreign_file_is_no_storage(tmp_path: Path, text: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(MappingError, match=r"is no journal of a search, and nothing was written.*another file"):
        run(path, "policy", 2)
    assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_a_journal_whose_last_line_is_being_written_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = tmp_path / "journal"
    run(journal, "policy", 2)
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-20])
    monkeypatch.setattr("tfprune.mapping.searching.journals.time.sleep", lambda seconds: journal.write_bytes(whole))
    assert len(_judged(run(journal, "policy", 2))) == 2


def test_a_database_is_a_storage_as_well(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    run(url, "policy", 4)
    assert (tmp_path / "studies.db").exists()
    assert _judged(run(url, "policy", 7)) == _judged(run(None, "policy", 7))
