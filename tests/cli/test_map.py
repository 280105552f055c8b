# SPDX-License-Identifier: Apache-2.0
"""``tfprune map``."""

from __future__ import annotations

import dataclasses
import json
import sys
from importlib import resources
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.mapping.models import convolutional
from tfprune import Recipe
from tfprune.cli import console, main
from tfprune.costs import load_table
from tfprune.errors import MappingError
from tfprune.keras.layers import match_weights


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, ["map", *(str(argument) for argument in arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("map") / "small.keras"
    convolutional(12).save(path)
    return path


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled model, and validation data."""
    folder = tmp_path_factory.mktemp("search")
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((12, 12, 32)),
            keras.layers.Conv2D(64, 3, activation="relu", name="one"),
            keras.layers.Conv2D(64, 3, activation="relu", name="two"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, name="classes"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile("adam", loss, metrics=["accuracy"])
    random = np.random.default_rng(0)
    images, labels = random.normal(size=(32, 12, 12, 32)).astype("f"), random.integers(0, 3, 32)
    network.fit(images, labels, verbose=0)
    network.save(folder / "model.keras")
    np.savez(folder / "validation.npz", x=images, y=labels)
    return folder / "model.keras"


def test_a_recipe_and_a_report_are_written(model: Path, tmp_path: Path) -> None:
    recipe, report = tmp_path / "recipe.yaml", tmp_path / "report.html"
    arguments = (model, "--profile", "arm64", "--latency-ratio", 0.5, "-o", recipe, "--report", report)
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert f"wrote {recipe}" in result.output
    assert f"wrote {report}" in result.output
    assert "budget latency_ratio 0.5: met" in result.output
    assert "# depthwise: stays dense: depthwise kernels" in result.output
    assert "<title>small.keras" in report.read_text()
    prunable, _ = match_weights(keras.saving.load_model(model), Recipe.load(recipe))
    assert {each.layer for each in prunable} >= {"three", "larger"}
    # A second time: refused, unless it is asked for.
    again = run(*arguments)
    assert again.exit_code == 2
    assert "pass --overwrite" in again.output


def test_the_table_fits_a_screen(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_PIPE_WIDTH", 100)
    result = run(model, "--profile", "arm64", "--latency-ratio", 0.5, "-o", tmp_path / "recipe.yaml")
    table = result.output.split("# stem")[0].splitlines()
    assert max(map(len, table)) <= 100
    assert any("larger" in line and "Groups 4x1, unaligned along output" in line for line in table)
    assert "\N{HORIZONTAL ELLIPSIS}" not in result.output


def test_a_recipe_is_written_as_json_too(model: Path, tmp_path: Path) -> None:
    result = run(model, "--profile", "arm64", "--size-bytes", 150_000, "-o", tmp_path / "recipe.json", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["output"] == str(tmp_path / "recipe.json")
    assert document["mapping"]["met"] is True
    assert document["mapping"]["budget"] == {"kind": "size_bytes", "limit": 150_000}
    assert Recipe.load(tmp_path / "recipe.json").rules


def test_a_budget_that_is_not_met_ends_with_1_and_the_closest_recipe(model: Path, tmp_path: Path) -> None:
    result = run(model, "--profile", "arm64", "--latency-ratio", 0.01, "-o", tmp_path / "recipe.yaml")
    assert result.exit_code == 1
    assert "no mapping by these rules meets the budget" in result.output
    assert Recipe.load(tmp_path / "recipe.yaml").rules


def test_own_rules_task_and_tolerance_are_used(model: Path, tmp_path: Path) -> None:
    rules = tmp_path / "mine.yaml"
    rules.write_text(
        "rules:\n  - kinds: [conv_larger]\n    task: hard\n    patterns: [{Groups: {rows: 2}}]\n    because: mine\n"
    )
    options = (model, "--profile", "arm64", "--latency-ratio", 0.8, "--rules", rules, "-o", tmp_path / "recipe.yaml")
    result = run(*options, "--task", "hard", "--tolerance", 3, "--json")
    assert result.exit_code == 0, result.output
    chosen = {layer["name"]: layer for layer in json.loads(result.stdout)["mapping"]["layers"] if layer["pattern"]}
    assert set(chosen) == {"larger"}
    assert chosen["larger"]["reason"].startswith("mine; Groups 2x1")
    assert "within 300%" in chosen["larger"]["reason"]
    # Of the other task there is no rule.
    assert run(*options, "--overwrite").exit_code == 1


def test_a_profile_of_another_library_is_refused_unless_forced(model: Path, tmp_path: Path) -> None:
    text = (resources.files("tfprune.costs") / "tables" / "arm64.json").read_text("utf-8")
    device = dataclasses.asdict(load_table("arm64").device) | {"libtfprune": "0.0.1"}
    profile = tmp_path / "phone.json"
    profile.write_text(json.dumps({**json.loads(text), "name": "phone", "general": False, "device": device}))
    options = (model, "--profile", profile, "--latency-ratio", 0.6, "-o", tmp_path / "recipe.yaml")
    refused = run(*options)
    assert refused.exit_code == 2
    assert "libtfprune 0.0.1" in " ".join(refused.output.split())
    assert "pass --force" in " ".join(refused.output.split())
    assert not (tmp_path / "recipe.yaml").exists()
    forced = run(*options, "--force")
    assert forced.exit_code == 0
    assert "profile phone is used by force: it was measured with libtfprune 0.0.1 and not" in forced.output
    assert "# profile phone is used by force" in (tmp_path / "recipe.yaml").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give exactly one of --latency-ms, --latency-ratio, --size-bytes, --mac-ratio"),
        (("--latency-ratio", 0.5, "--mac-ratio", 0.5), "give exactly one of"),
        (("--latency-ratio", 2), "must be a share of the dense model"),
        (("--latency-ms", 3), "counts aarch64 instructions"),
        (("--latency-ratio", 0.5, "--task", "soft"), "task must be one of easy, hard"),
        (("--latency-ratio", 0.5, "--tolerance", -1), "tolerance must be"),
        (("--latency-ratio", 0.5, "--rules", "none.yaml"), "cannot be read"),
        (("--latency-ratio", 0.5, "--output", "recipe.txt"), "must be written to a file that ends in .yaml"),
        (("--latency-ratio", 0.5, "--trials", 3), "--trials: only for a search"),
        (("--latency-ratio", 0.5, "--method", "optuna"), "give --validation FILE too"),
        (("--latency-ratio", 0.5, "--profile", "amiga"), "profile must be one of arm64, host"),
        (("--latency-ratio", 0.5, "--report", "recipe.yaml"), "must be another file than"),
    ],
)
def test_mistakes_are_said_and_nothing_is_written(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[object, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(model, "--profile", "arm64", "--output", "recipe.yaml", *options)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["MODEL", "--profile", "--rules", "--validation", "--data", "--representative-data"])
@pytest.mark.parametrize("written", ["--output", "--report", "--storage"])
def test_no_input_is_overwritten(tmp_path: Path, option: str, written: str) -> None:
    mine = tmp_path / "mine.json"
    mine.write_text("dear to me")
    options = {"--profile": "arm64", "--output": tmp_path / "recipe.yaml", "--validation": tmp_path / "some.npz"}
    options |= {option: mine, written: tmp_path / "." / "mine.json"}
    model = options.pop("MODEL", tmp_path / "model.keras")
    named = [part for name, value in options.items() for part in (name, value)]
    result = run(model, "--latency-ratio", 0.5, "--method", "optuna", "--overwrite", *named)
    assert result.exit_code == 2
    assert f"{written}: must be another file than {option}" in " ".join(result.output.split())
    assert [path.name for path in tmp_path.iterdir()] == ["mine.json"]
    assert mine.read_text() == "dear to me"


def test_a_model_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    options = ("--profile", "arm64", "--latency-ratio", 0.5, "-o", tmp_path / "recipe.yaml")
    assert run(path, *options).exit_code == 2
    path.write_text("nothing")
    assert run(path, *options).exit_code == 2


@pytest.mark.parametrize(
    "method",
    ["optuna", pytest.param("policy", marks=pytest.mark.slow), pytest.param("nsga2", marks=pytest.mark.slow)],
)
def test_a_search_begins_with_the_rules_and_goes_on_where_it_was(classifier: Path, tmp_path: Path, method: str) -> None:
    pytest.importorskip("optuna")
    options = [classifier, "--profile", "arm64", "--latency-ratio", 0.6, "--method", method, "--json"]
    options += ["--validation", classifier.parent / "validation.npz", "--trials", 3, "--seed", 1]
    options += ["--storage", tmp_path / "journal", "-o", tmp_path / "recipe.yaml", "--report", tmp_path / "page.html"]
    result = run(*options)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["search"]
    assert found["met"] is True
    assert found["judged"] >= 3
    assert found["best"]["method"] != "rules"
    assert (tmp_path / "page.html").read_text().count("data:image/png") == 2
    assert Recipe.load(tmp_path / "recipe.yaml").rules
    again = run(*options, "--overwrite")
    assert len(json.loads(again.stdout)["search"]["trials"]) == len(found["trials"])


def test_a_search_is_for_the_precision_of_the_file(classifier: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    options = [classifier, "--profile", "arm64", "--size-bytes", 20_000, "--method", "policy", "--trials", 1, "--json"]
    options += ["--validation", classifier.parent / "validation.npz", "--precision", "float16"]
    result = run(*options, "-o", tmp_path / "recipe.yaml")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["search"]["best"]
    weights = sum(np.prod(layer["shape"]) for layer in found["layers"])
    assert found["dense_bytes"] == 2 * weights


@pytest.fixture
def unmapped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Filled where the rules run."""
    runs: list[str] = []

    def rules(*_: object, **__: object) -> None:
        runs.append("rules")
        raise MappingError("the rules have run")

    monkeypatch.setattr("tfprune.mapping.rule_based.rules", rules)
    return runs


@pytest.mark.parametrize("option", ["--validation", "--data"])
@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones(3)}, "must be a .npz file with the labels as y and the inputs as x"),
        ({"y": np.ones(3)}, "must be a .npz file with the labels as y and the inputs as x"),
        ({"x": np.ones(3), "y": np.ones(2)}, "must have equally many examples, got [2, 3]"),
        ({"x": np.ones(0), "y": np.ones(0)}, "got no example"),
    ],
)
def test_examples_are_checked_before_the_rules_run(
    classifier: Path, tmp_path: Path, unmapped: list[str], option: str, arrays: dict[str, np.ndarray], message: str
) -> None:
    pytest.importorskip("optuna")
    np.savez(tmp_path / "wrong.npz", **arrays)
    files = {"--validation": classifier.parent / "validation.npz", option: tmp_path / "wrong.npz"}
    options = ["--profile", "arm64", "--latency-ratio", 0.6, "--method", "optuna", "-o", tmp_path / "recipe.yaml"]
    result = run(classifier, *options, *(part for item in files.items() for part in item))
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert option in result.output
    assert not unmapped


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("jinja2", "it needs Jinja2"),
        ("matplotlib.backends.backend_agg", "needs matplotlib"),
        ("optuna", "it needs Optuna"),
    ],
)
def test_missing_packages_are_said_before_the_rules_run(
    classifier: Path, tmp_path: Path, unmapped: list[str], monkeypatch: pytest.MonkeyPatch, missing: str, message: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    options = ["--profile", "arm64", "--latency-ratio", 0.6, "-o", tmp_path / "recipe.yaml"]
    if missing == "optuna":
        options += ["--method", "optuna", "--validation", classifier.parent / "validation.npz"]
    else:
        options += ["--report", tmp_path / "page.html"]
    result = run(classifier, *options)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert not unmapped
