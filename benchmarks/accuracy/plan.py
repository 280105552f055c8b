# SPDX-License-Identifier: Apache-2.0
"""Plans of studies, read from YAML; what is wrong is said with its line."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from accuracy.data_sets import DATA_SETS
from accuracy.networks import MULTIPLIERS, NETWORKS, WIDTHS
from accuracy.point import DENSE, LARGEST_SEED, DataSpec, Group, Point, Training
from tfprune.recipe import Recipe
from tfprune.recipe.document import Node, read_document
from tfprune.recipe.reading import check_mapping, located, read_object
from tfprune.sparsity.layouts import MatrixShape

_PLAN_KEYS = ("name", "data", "dense", "trainings", "studies")
_STUDY_KEYS = (
    *("name", "question", "networks", "trainings", "sparsities", "seeds", "min_weights"),
    *("methods", "compare", "figure"),
)
_METHOD_KEYS = ("name", "pattern", "layers", "scores", "recipe", "width", "seeds", "sparsities", "trainings", "costs")
_PHASE_KEYS = ("epochs", "rate", "batch", "schedule", "penalty", "scores")
#: What the figure of a study shows accuracy over: zeros, or a list of methods, with multiply-adds, the first of their
#: costs or nothing beside it.
FIGURES = ("zeros", "macs", "costs", "methods")
#: How many methods are compared where two of them make a line.
OF_LINE = 3
#: A kernel that every pattern can have: it says whether one fixes its rate.
_SOME_KERNEL = MatrixShape(64, 9, 64)


@dataclasses.dataclass(frozen=True)
class Phase:
    """A training that follows the dense checkpoint.

    Attributes:
        training: epochs, rate and batch.
        rule: what it adds to each rule: schedule, penalty, scores; as a recipe writes them.
    """

    training: Training
    rule: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Study:
    """One question and its points.

    Attributes:
        name: short, for files and tables.
        question: what is asked.
        points: what is trained for it.
        compare: pairs of methods, or of trainings, whose difference is tested, and methods with two others, against
            whose line they are.
        figure: what accuracy is drawn over, one of :data:`FIGURES`; by default over the zeros, where all pruned methods
            have a rate, else beside multiply-adds.
    """

    name: str
    question: str
    points: tuple[Point, ...]
    compare: tuple[tuple[str, ...], ...]
    figure: str


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be run.

    Attributes:
        name: of the plan.
        studies: in the order of the file.
    """

    name: str
    studies: tuple[Study, ...]

    @property
    def points(self) -> list[Point]:
        """Every point once, checkpoints of one network and seed together; those that several studies share first."""
        return list({point.key: point for study in self.studies for point in study.points}.values())


def read_plan(path: str | os.PathLike[str], data_folder: str = "") -> Plan:
    """Reads a plan.

    Args:
        path: a YAML file.
        data_folder: where the images lie, in place of what the file says.

    Raises:
        RecipeError: what is wrong in the file, with its line and column.
    """
    document = read_document(path, "plan")
    check_mapping(document, "a plan", _PLAN_KEYS)
    for key in _PLAN_KEYS:
        if key not in document.value:
            document.place.refuse(f"a plan must have the key `{key}`.")
    data = _data(document.value["data"], data_folder)
    dense = _training(document.value["dense"], "`dense`", ("epochs", "rate", "batch"))
    phases = {name: _phase(node) for name, node in _mapping(document.value["trainings"], "trainings").items()}
    reader = _StudyReader(data, dense, phases, Path(os.fspath(path)).parent)
    studies = tuple(reader.read(node) for node in _some(document, "studies"))
    names = [study.name for study in studies]
    for name in names:
        if names.count(name) > 1:
            document.value["studies"].place.refuse(f"`studies` must have names of their own. Received: {name!r} twice.")
    return Plan(_text(document, "name"), studies)


class _StudyReader:
    """Reads studies, given what all of them share."""

    def __init__(self, data: DataSpec, dense: Training, phases: dict[str, Phase], folder: Path) -> None:
        self._data = data
        self._dense = dense
        self._phases = phases
        self._folder = folder

    def read(self, node: Node) -> Study:
        """One study."""
        check_mapping(node, "a study", _STUDY_KEYS)
        methods = _some(node, "methods")
        networks = [self._network(each) for each in _some(node, "networks")]
        # By what tables and figures call them: two of one name would be taken for each other.
        points: dict[tuple[Group, int], Point] = {}
        for method in methods:
            _check_method(method)
            for name, width in networks:
                for point in self._of_method(node, method, name, width):
                    if (point.group, point.seed) in points:
                        method.place.refuse(f"a study must have a point once. Received: {point} twice.")
                    points[point.group, point.seed] = point
        found = tuple(points.values())
        return Study(_text(node, "name"), _text(node, "question"), found, _compared(node, found), _figure(node, found))

    def _network(self, node: Node) -> tuple[str, float]:
        check_mapping(node, "a network", ("name", "width"))
        name = _text(node, "name")
        if name not in NETWORKS:
            node.value["name"].place.refuse(f"`name` must be one of {', '.join(NETWORKS)}. Received: {name!r}.")
        return name, _number(node, "width", MULTIPLIERS.get(name), *WIDTHS[name])

    def _of_method(self, study: Node, method: Node, network: str, width: float) -> list[Point]:
        """The points of a method: its own seeds, rates and trainings go before the study's."""
        label = _text(method, "name")
        given = [key for key in ("pattern", "recipe") if key in method.value]
        width = _number(method, "width", width, *WIDTHS[network])
        rates: list[float | None] = [None]
        if given == ["pattern"] and not _fixes_its_rate(method):
            rates = list(_rates(method if "sparsities" in method.value else study))
        seeds = _seeds(method if "seeds" in method.value else study)
        costs = _costs(method)
        found = []
        for phase in self._named_phases(method if "trainings" in method.value else study):
            for rate in rates:
                recipe = self._recipe(study, method, given, rate, self._phases[phase])
                for seed in seeds:
                    found.append(
                        Point(
                            data=self._data,
                            network=network,
                            width=width,
                            dense=self._dense,
                            method=label,
                            phase=phase,
                            training=self._phases[phase].training,
                            recipe=recipe,
                            sparsity=rate,
                            seed=seed,
                            costs=costs,
                        )
                    )
        return found

    def _named_phases(self, node: Node) -> list[str]:
        found = _some(node, "trainings")
        for each in found:
            if not isinstance(each.value, str) or each.value not in self._phases:
                each.place.refuse(
                    f"`trainings` must name those of the plan, {', '.join(self._phases)}. Received: {each.plain()!r}."
                )
        return [str(each.value) for each in found]

    def _recipe(self, study: Node, method: Node, given: list[str], rate: float | None, phase: Phase) -> str:
        """The recipe as canonical JSON; ``""`` for a dense method."""
        if not given:
            return ""
        if given == ["recipe"]:
            path = self._folder / _text(method, "recipe")
            loaded = located(method, lambda: Recipe.load(path)).to_dict()
            rules = [rule if rule.get("skip") else {**rule, **phase.rule} for rule in loaded["rules"]]
            return _canonical({**loaded, "rules": rules})
        rule = {"layers": None, **phase.rule}
        for node, keys in ((study, ("min_weights",)), (method, ("pattern", "layers", "scores"))):
            rule.update({key: node.value[key].plain() for key in keys if key in node.value})
        if rate is not None:
            rule["sparsity"] = rate
        # Read and written again: one spelling of each, and what is wrong is said here.
        made = located(method, lambda: Recipe.from_dict({"rules": [rule]}))
        return _canonical(made.to_dict())


def _check_method(node: Node) -> None:
    """Refuses a method whose keys do not go together."""
    check_mapping(node, "a method", _METHOD_KEYS)
    pruned = [key for key in ("pattern", "recipe") if key in node.value]
    if len(pruned) > 1:
        node.keys["recipe"].refuse("a method must have `pattern` or `recipe`, not both.")
    if pruned and _text(node, "name") == DENSE:
        node.value["name"].place.refuse(f"{DENSE!r} must be the name of a method that prunes nothing. Give another.")
    if pruned == ["pattern"]:
        if _fixes_its_rate(node) and "sparsities" in node.value:
            node.keys["sparsities"].refuse("a pattern that fixes its rate must have no `sparsities`. Leave them out.")
        return
    for key in ("layers", "scores", "sparsities"):
        if key in node.value:
            node.keys[key].refuse(f"`{key}` must stand beside a `pattern`. Leave it out.")


def _fixes_its_rate(method: Node) -> bool:
    pattern = read_object(method.value["pattern"], "pattern")
    return pattern.own_sparsity(_SOME_KERNEL) is not None


def _phase(node: Node) -> Phase:
    check_mapping(node, "a training", _PHASE_KEYS)
    for key in ("schedule", "penalty"):
        if key in node.value:
            read_object(node.value[key], key)
    if "scores" in node.value:
        rule = {"layers": None, "pattern": "Unstructured", "sparsity": 0.5, "scores": node.value["scores"].plain()}
        located(node, lambda: Recipe.from_dict({"rules": [rule]}))
    rule = {key: node.value[key].plain() for key in ("schedule", "penalty", "scores") if key in node.value}
    return Phase(_training(node, "a training", _PHASE_KEYS), rule)


def _training(node: Node, subject: str, keys: tuple[str, ...]) -> Training:
    check_mapping(node, subject, keys)
    epochs = _number(node, "epochs", None, lambda value: value >= 1 and value == int(value), "a whole number >= 1")
    rate = _number(node, "rate", None, lambda value: value > 0, "above 0")
    batch = _number(node, "batch", 128, lambda value: value >= 1 and value == int(value), "a whole number >= 1")
    return Training(int(epochs), rate, int(batch))


def _data(node: Node, folder: str) -> DataSpec:
    check_mapping(node, "`data`", [field.name for field in dataclasses.fields(DataSpec)])
    name = _text(node, "name")
    if name not in DATA_SETS:
        node.value["name"].place.refuse(f"`name` must be one of {', '.join(DATA_SETS)}. Received: {name!r}.")
    if "size" in node.value and name != "imagenet":
        node.keys["size"].refuse(f"`size` must stand beside imagenet only: images of {name} have a size. Leave it out.")
    counts = {
        key: int(_number(node, key, 0, lambda value: value >= 0 and value == int(value), "a whole number >= 0"))
        for key in ("train", "test", "size")
    }
    return DataSpec(name, folder or (_text(node, "folder") if "folder" in node.value else ""), **counts)


def first_costs(points: Iterable[Point]) -> dict[str, tuple[str, float]]:
    """By method the first of its costs, with its name; of those that have any."""
    return {point.method: point.costs[0] for point in points if point.costs}


def _compared(node: Node, points: tuple[Point, ...]) -> tuple[tuple[str, ...], ...]:
    """Pairs of methods, or of trainings, and methods with two others that make a line."""
    methods, phases = {point.method for point in points}, {point.phase for point in points}
    costs = first_costs(points)
    found = []
    for entry in _listed(node.value.get("compare", Node([], node.place)), "compare"):
        listed = _listed(entry, "compare")
        for each in listed:
            if not isinstance(each.value, str) or each.value not in methods | phases:
                each.place.refuse(f"`compare` must name methods or trainings of the study. Received: {each.plain()!r}.")
        names = tuple(str(each.value) for each in listed)
        pair = len(names) == 2 and any(set(names) <= known for known in (methods, phases))
        if len(set(names)) < len(names) or not (pair or _has_line(names, costs)):
            entry.place.refuse(
                "`compare` must hold pairs of methods, or of trainings, or three methods, the first of whose `costs` "
                f"lies between those of the two others, which differ. Received: {entry.plain()!r}."
            )
        found.append(names)
    return tuple(found)


def _has_line(names: tuple[str, ...], costs: dict[str, tuple[str, float]]) -> bool:
    if len(names) != OF_LINE or not set(names) <= set(costs):
        return False
    own, *ends = (costs[name][1] for name in names)
    low, high = sorted(ends)
    return len({costs[name][0] for name in names}) == 1 and low <= own <= high and low < high


def _figure(node: Node, points: tuple[Point, ...]) -> str:
    free = sorted({point.method for point in points if point.recipe and point.sparsity is None})
    if "figure" not in node.value:
        return "macs" if free else "zeros"
    found = _text(node, "figure")
    if found not in FIGURES:
        node.value["figure"].place.refuse(f"`figure` must be one of {', '.join(FIGURES)}. Received: {found!r}.")
    if found == "zeros" and free:
        node.value["figure"].place.refuse(
            f"`figure: zeros` must stand where all pruned methods have one of `sparsities`. Without: {', '.join(free)}."
        )
    costly = {point.costs[0][0] if point.costs else "" for point in points}
    if found == "costs" and (len(costly) > 1 or "" in costly):
        node.value["figure"].place.refuse(
            "`figure: costs` must stand where all methods have the same first of `costs`."
        )
    return found


def _costs(node: Node) -> tuple[tuple[str, float], ...]:
    if "costs" not in node.value:
        return ()
    listed = _mapping(node.value["costs"], "costs")
    return tuple(
        (name, _number(node.value["costs"], name, None, lambda value: value > 0, "above 0")) for name in listed
    )


def _rates(node: Node) -> list[float]:
    listed = _some(node, "sparsities")
    for each in listed:
        if isinstance(each.value, bool) or not isinstance(each.value, int | float) or not 0 < each.value < 1:
            each.place.refuse(f"`sparsities` must be numbers in (0, 1). Received: {each.plain()!r}.")
    return [float(each.value) for each in listed]


def _seeds(node: Node) -> list[int]:
    listed = _some(node, "seeds")
    for each in listed:
        if type(each.value) is not int or not 0 <= each.value <= LARGEST_SEED:
            each.place.refuse(f"`seeds` must be whole numbers from 0 to {LARGEST_SEED}. Received: {each.plain()!r}.")
    return [int(each.value) for each in listed]


def _number(node: Node, key: str, default: float | None, fits: Callable[[float], bool], wanted: str) -> float:
    if key not in node.value:
        if default is None:
            node.place.refuse(f"`{key}` must be given.")
        return default
    value = node.value[key].value
    number = not isinstance(value, bool) and isinstance(value, int | float) and abs(value) <= sys.float_info.max
    if not number or not fits(value):
        node.value[key].place.refuse(f"`{key}` must be {wanted}. Received: {node.value[key].plain()!r}.")
    return float(value)


def _text(node: Node, key: str) -> str:
    value = _needed(node, key).value
    if not isinstance(value, str) or not value.strip():
        node.value[key].place.refuse(f"`{key}` must be text. Received: {node.value[key].plain()!r}.")
    return str(value).strip()


def _needed(node: Node, key: str) -> Node:
    if key not in node.value:
        node.place.refuse(f"`{key}` must be given.")
    found: Node = node.value[key]
    return found


def _listed(node: Node, key: str) -> list[Node]:
    if not isinstance(node.value, list):
        node.place.refuse(f"`{key}` must be a list. Received: {node.plain()!r}.")
    return list(node.value)


def _some(node: Node, key: str) -> list[Node]:
    """A list that must be there, of at least one value, none of them twice."""
    found = _listed(_needed(node, key), key)
    if not found:
        node.value[key].place.refuse(f"`{key}` must be a list of at least one. Received: [].")
    plain = [each.plain() for each in found]
    for place, each in enumerate(plain):
        if each in plain[:place]:
            found[place].place.refuse(f"`{key}` must hold each value once. Received: {each!r} twice.")
    return found


def _mapping(node: Node, key: str) -> dict[str, Node]:
    if not isinstance(node.value, dict) or not node.value:
        node.place.refuse(f"`{key}` must be a mapping with at least one entry. Received: {node.plain()!r}.")
    return dict(node.value)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
