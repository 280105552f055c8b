# SPDX-License-Identifier: Apache-2.0
"""Recipes as text: what is read, what is written, and where an error is said to be."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from tfprune.errors import PruningError, RecipeError, TfpruneError
from tfprune.recipe import Recipe, Rule
from tfprune.sparsity import patterns, schedules
from tfprune.sparsity.patterns.base import _REGISTRY
from tfprune.sparsity.penalties import PriorMaskPenalty
from tfprune.sparsity.schedules import ConstantSparsity, PolynomialDecay, StrengthRamp

EVERYTHING = Recipe(
    [
        Rule("stem", skip=True),
        Rule(
            ["block?_*", "SeparableConv2D"],
            patterns.Groups(rows=8, aligned=True),
            0.75,
            PolynomialDecay(0.1, end_step=500, frequency=20),
            scores="squared",
            penalty=PriorMaskPenalty(StrengthRamp(100.0, begin_step=5), refresh=50),
            min_weights=512,
        ),
        Rule("head", patterns.NofM(2, 4)),
        Rule(None, patterns.KernelPatterns(keep=4), schedule=ConstantSparsity(0.5)),
    ],
    scope="global",
)
ALL_PATTERNS = [
    patterns.Unstructured(),
    patterns.Groups(rows=4, cols=2),
    patterns.BlockPunched(8, 4),
    patterns.BlockRowsColumns(16, 16),
    patterns.KernelPatterns(keep=4),
    patterns.KernelElements(keep=4, share="filter"),
    patterns.NofM(2, 4),
    patterns.Filters(),
    patterns.Channels(),
]

TEXT = """\
rules:
  - layers: stem
    skip: true
  - layers: ["block?_*", SeparableConv2D]
    pattern: {Groups: {rows: 8, aligned: true}}
    sparsity: 0.75
    schedule:
      PolynomialDecay:
        initial_sparsity: 0.1
        end_step: 500
        frequency: 20
    scores: squared
    penalty: {PriorMaskPenalty: {strength: {final: 100.0, begin_step: 5}, refresh: 50}}
    min_weights: 512
  - layers: head
    pattern: NofM
  - pattern: {KernelPatterns: {keep: 4}}
    schedule: {ConstantSparsity: {target_sparsity: 0.5}}
scope: global
"""


def test_a_file_says_what_python_says(tmp_path: Path) -> None:
    assert Recipe.from_yaml(TEXT) == EVERYTHING
    path = tmp_path / "recipe.yaml"
    path.write_text(TEXT, encoding="utf-8")
    assert Recipe.load(path) == Recipe.load(str(path)) == EVERYTHING


def test_round_trips(tmp_path: Path) -> None:
    data = EVERYTHING.to_dict()
    assert Recipe.from_dict(data) == EVERYTHING
    assert Recipe.from_dict(data).to_dict() == data
    assert Recipe.from_json(json.dumps(data)) == EVERYTHING
    assert Recipe.from_json(json.dumps(data, indent="\t")) == EVERYTHING
    assert Recipe.from_yaml(yaml.safe_dump(data)) == EVERYTHING
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    assert Recipe.load(path).to_dict() == data


@pytest.mark.parametrize("pattern", ALL_PATTERNS, ids=lambda pattern: type(pattern).__name__)
def test_every_pattern_is_written_and_read(pattern: patterns.Pattern) -> None:
    recipe = Recipe(Rule(None, pattern, 0.5))
    assert Recipe.from_yaml(yaml.safe_dump(recipe.to_dict())) == recipe


def test_the_list_of_patterns_is_whole() -> None:
    names = {type(pattern).__name__ for pattern in ALL_PATTERNS}
    assert names == set(patterns.__all__) - {"Pattern", "deserialize", "find", "register", "serialize"}


def test_a_pattern_of_ones_own_is_known_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Other tests want every registered pattern to have its place.
    monkeypatch.setattr(_REGISTRY, "_classes", dict(_REGISTRY._classes))

    @patterns.register
    @dataclass(frozen=True)
    class RecipeTestPattern(patterns.Unstructured):
        """Registered here only."""

    recipe = Recipe(Rule("a", RecipeTestPattern(), 0.5))
    assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_parts_are_shared_by_anchors_and_merge_keys() -> None:
    recipe = Recipe.from_yaml(
        """
rules:
  - &usual
    layers: a
    pattern: Groups
    schedule: &slow {PolynomialDecay: {final_sparsity: 0.8, end_step: 9}}
  - <<: *usual
    layers: b
    sparsity: 0.5
  - {layers: c, pattern: Unstructured, schedule: *slow}
"""
    )
    slow = PolynomialDecay(final_sparsity=0.8, end_step=9)
    assert recipe.rules == (
        Rule("a", patterns.Groups(), schedule=slow),
        Rule("b", patterns.Groups(), 0.5, slow),
        Rule("c", patterns.Unstructured(), schedule=slow),
    )


def test_numbers_of_yaml_are_those_of_json_too() -> None:
    for number in ("5e-1", "+5E-1", ".5e0", "5.e-1", "5.0e-1"):
        recipe = Recipe.from_yaml(f"rules: [{{layers: [2e_conv, e5], pattern: Groups, sparsity: {number}}}]")
        assert recipe.rules == (Rule(["2e_conv", "e5"], patterns.Groups(), 0.5),)


def test_characters_that_only_json_has(tmp_path: Path) -> None:
    text = '{"rules": [{"layers": "a\x7f", "skip": true}]}'
    assert Recipe.from_json(text).rules == (Rule("a\x7f", skip=True),)
    for suffix, write in ((".json", "\ufeff" + text), (".yaml", "\ufeffrules: [{layers: a, skip: true}]")):
        (tmp_path / "recipe").with_suffix(suffix).write_text(write, encoding="utf-8")
        assert Recipe.load((tmp_path / "recipe").with_suffix(suffix)).rules[0].skip


def test_suffixes_are_of_any_case(tmp_path: Path) -> None:
    for name in ("a.YAML", "a.Yml"):
        (tmp_path / name).write_text(TEXT, encoding="utf-8")
        assert Recipe.load(tmp_path / name) == EVERYTHING
    (tmp_path / "a.JSON").write_text(json.dumps(EVERYTHING.to_dict()), encoding="utf-8")
    assert Recipe.load(str(tmp_path / "a.JSON")) == EVERYTHING


@pytest.mark.parametrize("strength", ["100", "{final: 100}", "{StrengthRamp: {final: 100}}"])
def test_a_strength_has_three_spellings(strength: str) -> None:
    text = f"rules: [{{pattern: Groups, sparsity: 0.5, penalty: {{PriorMaskPenalty: {{strength: {strength}}}}}}}]"
    recipe = Recipe.from_yaml(text)
    assert recipe.rules[0].penalty == PriorMaskPenalty(StrengthRamp(100.0))
    assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_json_numbers_are_those_of_json() -> None:
    text = '{"rules": [{"layers": "a", "pattern": "Groups", "sparsity": 5e-1}]}'  # YAML 1.1 reads 5e-1 as text
    assert Recipe.from_json(text).rules[0].sparsity == 0.5


YAML_ERRORS = {
    "unknown key": ("rules:\n- layers: a\n  patern: Groups\n", 3, 3, "no key 'patern'.*Did you mean 'pattern'"),
    "unknown key at the top": ("rule: []\n", 1, 1, "no key 'rule'.*Did you mean 'rules'"),
    "no rules": ("scope: layer\n", 1, 1, "must have the key `rules`"),
    "empty list": ("rules: []\n", 1, 1, "at least one `Rule`"),
    "rules of a wrong type": ("rules: 3\n", 1, 8, "must be a list"),
    "rule of a wrong type": ("rules:\n- Groups\n", 2, 3, "a rule must be a mapping"),
    "sparsity out of range": ("rules:\n- {pattern: Groups, sparsity: 80}\n", 2, 31, r"\[0, 1\).*0\.8 for 80 %"),
    "sparsity of a wrong type": ("rules:\n- pattern: Groups\n  sparsity: much\n", 3, 13, "sparsity='much'"),
    "no sparsity": ("rules:\n- layers: a\n  pattern: Groups\n", 2, 3, "needs a final sparsity"),
    "unknown pattern": ("rules:\n- pattern: Group\n  sparsity: 0.5\n", 2, 12, "Unknown pattern 'Group'.*'Groups'"),
    "two patterns": ("rules:\n- pattern: {Groups: {}, NofM: {}}\n", 2, 12, "one name with its arguments"),
    "unknown argument": ("rules:\n- pattern: {Groups: {row: 4}}\n", 2, 22, "`Groups` has no key 'row'.*'rows'"),
    "wrong argument": ("rules:\n- pattern:\n    Groups:\n      cols: 2\n      rows: 0\n", 5, 13, "`rows` of `Groups`"),
    "unknown schedule": ("rules:\n- schedule: {Cubic: {}}\n", 2, 13, "Unknown schedule 'Cubic'"),
    "schedule that ends before it begins": (
        "rules:\n- pattern: Groups\n  schedule:\n    PolynomialDecay: {begin_step: 9, end_step: 4}\n",
        4,
        48,
        "must come after",
    ),
    "wrong scores": ("rules:\n- {pattern: Groups, sparsity: 0.5, scores: l7}\n", 2, 44, "`scores` must be one of"),
    "scores of a wrong type": ("rules:\n- {scores: [l1]}\n", 2, 12, "must be a name"),
    "wrong penalty": (
        "rules:\n- pattern: Groups\n  sparsity: 0.5\n  penalty: {PriorMaskPenalty: {strength: much}}\n",
        4,
        42,
        "must be a number, or a `StrengthRamp`",
    ),
    "no strength": (
        "rules:\n- pattern: Groups\n  sparsity: 0.5\n  penalty: PriorMaskPenalty\n",
        4,
        12,
        r"must be given `strength`, as in \{PriorMaskPenalty: \{strength: \.\.\.\}\}",
    ),
    "wrong ramp": (
        "rules:\n- pattern: Groups\n  sparsity: 0.5\n  penalty: {AdmmPenalty: {strength: {StrengthRamp: {end: 3}}}}\n",
        4,
        27,
        "`StrengthRamp` has no argument 'end'",
    ),
    "two penalties": (
        "rules:\n- penalty: [AdmmPenalty]\n",
        2,
        12,
        r"such as \{PriorMaskPenalty: \{strength: 100\}\}",
    ),
    "min_weights": ("rules:\n- pattern: Groups\n  sparsity: 0.5\n  min_weights: -1\n", 4, 16, "whole number"),
    "skip": ("rules:\n- {layers: a, skip: 1}\n", 2, 21, "true or false"),
    "skip of everything": ("rules:\n- skip: true\n", 2, 9, "must name the layers"),
    "skip with a pattern": ("rules:\n- {layers: a, skip: true, pattern: Groups}\n", 2, 36, "must not be given"),
    "layers that YAML reads as a truth": ("rules:\n- layers: [on]\n", 2, 11, r"quote.*\[True\]"),
    "no layers": ("rules:\n- {layers: [], pattern: Groups, sparsity: 0.5}\n", 2, 4, "is empty"),
    "scope": ("scope: model\nrules:\n- {layers: a, skip: true}\n", 1, 8, "`scope` must be one of"),
    "key twice": ("rules:\n- layers: a\n  skip: true\n  layers: b\n", 4, 3, "'layers' stands twice"),
    "a star": ("rules:\n- layers: *_conv\n  skip: true\n", 2, 11, "must be quoted"),
    "a question mark": ("rules:\n- layers: [block?_b]\n  skip: true\n", 2, 17, "must be quoted"),
    "a bare star": ("rules:\n- layers: *\n  skip: true\n", 2, 12, "must be quoted"),
    "syntax": ("rules: [\n", 2, 1, "not valid YAML"),
    "an object": ("rules: !!python/object:os.system {}\n", 1, 8, ""),
    "a tag": (
        "rules:\n- layers: !!python/object/apply:os.system ['a']\n",
        2,
        11,
        r"tags.*!!python/object/apply",
    ),
    "a tag of one's own": ("rules:\n- !rule {layers: a, skip: true}\n", 2, 3, r"tags\. Received: !rule\. Leave"),
    "a set": ("rules:\n- layers: !!set {a, b}\n", 2, 11, r"tags\. Received: !!set\. Leave"),
    "a control character": ("rules:\n- layers: \x07a\n", 2, 11, r"character '\\x07' is not allowed"),
    "many digits": (f"rules:\n- {{min_weights: {'9' * 5000}}}\n", 2, 17, r"can be read\. Received: '9{9,20}\.\.\.9+'"),
    "no such day": ("rules:\n- layers: 2020-13-45\n", 2, 11, r"can be read\. Received: '2020-13-45'"),
    "an absurd size": ("rules:\n- pattern: {Groups: {rows: 2147483648}}\n", 2, 28, "`rows` .* at most 2147483647"),
    "a nesting": ("rules:\n- " + "[" * 40 + "]" * 40 + "\n", 2, 34, "more than 32 deep"),
    "an alias of itself": ("rules: &a [*a]\n", 1, 8, "inside of what it repeats"),
    "a key that is no name": ("[a]: 3\n", 1, 1, "a key must be a name"),
}


@pytest.mark.parametrize(("text", "line", "column", "message"), YAML_ERRORS.values(), ids=YAML_ERRORS)
def test_errors_of_yaml_say_where(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(RecipeError, match=f"^recipe, line {line}, column {column}: .*{message}") as caught:
        Recipe.from_yaml(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert isinstance(caught.value, PruningError | TfpruneError)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ('{"rules": [{"layers": "a",\n\t"sparsity": 2, "pattern": "Groups"}]}', "line 2, column 14", "sparsity=2"),
        ('{"rules": [{"layers": "a"}]', "line 1, column 28", "not valid JSON"),
        ("rules: []", "line 1, column 1", "not valid JSON"),
        ('{"rules": [],\n "rules": []}', "line 2, column 2", "stands twice"),
        ('{"rules": [\n{"min_weights": ' + "9" * 5000 + "}]}", "line 2, column 17", r"can be read\. Received: '999"),
        ('{"rules":\n' + "[" * 40 + "]" * 40 + "}", "line 2, column 33", "more than 32 deep"),
    ],
)
def test_errors_of_json_say_where(text: str, place: str, message: str) -> None:
    with pytest.raises(RecipeError, match=f"{place}: .*{message}"):
        Recipe.from_json(text)


def test_errors_of_dictionaries_say_what() -> None:
    with pytest.raises(RecipeError, match=r"^recipe: `sparsity` must be a number in \[0, 1\)") as caught:
        Recipe.from_dict({"rules": [{"pattern": "Groups", "sparsity": 1}]})
    assert caught.value.line is None
    for wrong in (None, [], 3):
        with pytest.raises(RecipeError, match="a recipe must be a mapping"):
            Recipe.from_dict(wrong)  # type: ignore[arg-type]
    itself: dict[str, Any] = {}
    itself["rules"] = [itself]
    with pytest.raises(RecipeError, match="more than 32 deep"):
        Recipe.from_dict(itself)


@pytest.mark.parametrize("read", [Recipe.from_json, Recipe.from_yaml])
def test_nesting_that_no_reader_follows_is_told(read: Any) -> None:
    with pytest.raises(RecipeError, match="more than 32 deep"):
        read('{"rules": ' + "[" * 100_000 + "]" * 100_000 + "}")


def test_what_is_no_rule_is_told() -> None:
    for wrong, received in ((None, "None"), (3, "3"), ("x", "'x'"), ([], "none"), ([3], "3")):
        with pytest.raises(RecipeError, match=rf"at least one `Rule`\. Received: {received}\."):
            Recipe(wrong)  # type: ignore[arg-type]
    assert len(Recipe(iter(EVERYTHING.rules)).rules) == 4  # type: ignore[arg-type]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"ends in \.json, \.yaml, \.yml\. Received: .*recipe\.txt"):
        Recipe.load(tmp_path / "recipe.txt")
    with pytest.raises(RecipeError, match=r"ends in .* Received: None\."):
        Recipe.load(None)  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="cannot be read"):
        Recipe.load(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="cannot be read"):
        Recipe.load(tmp_path / "bytes.yaml")
    (tmp_path / "empty.yml").write_text("# nothing\n")
    with pytest.raises(RecipeError, match=r"empty\.yml is empty"):
        Recipe.load(tmp_path / "empty.yml")


def test_errors_name_the_file(tmp_path: Path) -> None:
    path: Any = tmp_path / "mine.yaml"
    path.write_text("rules:\n- sparsity: 2\n")
    with pytest.raises(RecipeError, match=r"^mine\.yaml, line 2, "):
        Recipe.load(path)


def test_functions_and_classes_cannot_be_written() -> None:
    for rule in (Rule(dict, patterns.Groups(), 0.5), Rule("a", patterns.Groups(), 0.5, scores=abs)):
        with pytest.raises(RecipeError, match="cannot be written into a recipe"):
            Recipe(rule).to_dict()


def test_schedules_without_a_list_of_their_own() -> None:
    for name in set(schedules.__all__) - {"Schedule", "StrengthRamp", "deserialize", "find", "register", "serialize"}:
        recipe = Recipe.from_dict({"rules": [{"pattern": "NofM", "schedule": name}]})
        assert type(recipe.rules[0].schedule).__name__ == name


JUNK: list[Any] = [None, True, -1, 1e30, "", "*", [], {}, [1], {"a": 1}, {"<<": {"a": 1}}, [[["q"]]], {"Groups": None}]


def _damaged(value: Any, random: Random) -> Any:
    """A recipe's dictionary with some parts replaced or added."""
    if random.random() < 0.08:
        return random.choice(JUNK)
    if isinstance(value, dict):
        parts = {key: _damaged(each, random) for key, each in value.items()}
        return parts | ({random.choice(["<<", "rows", "\U0001f600"]): 1} if random.random() < 0.03 else {})
    return [_damaged(each, random) for each in value] if isinstance(value, list) else value


def _overwritten(text: str, random: Random) -> str:
    """A text with some characters replaced."""
    letters = list(text)
    for _ in range(random.randint(1, 4)):
        letters[random.randrange(len(letters))] = random.choice("{}[]:,&*!|>'\"%@`\t\n -#?<=~x0\\\x00")
    return "".join(letters)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_wrong_the_error_is_ours(seed: int) -> None:
    random = Random(seed)
    for _ in range(5):
        data = _damaged(EVERYTHING.to_dict(), random)
        text = _overwritten(TEXT, random)
        for read, argument in (
            (Recipe.from_dict, data),
            (Recipe.from_json, json.dumps(data)),
            (Recipe.from_yaml, yaml.safe_dump(data)),
            (Recipe.from_yaml, text),
        ):
            with contextlib.suppress(RecipeError):
                read(argument)
