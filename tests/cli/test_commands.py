# SPDX-License-Identifier: Apache-2.0
"""The commands through click's runner: output, JSON and exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from click.testing import CliRunner, Result

from tests.models.builder import ModelBuilder, conv_model, pruned
from tfprune import __version__
from tfprune.cli import main
from tfprune.cli.convert import default_output
from tfprune.errors import ConversionError

STEADY_COSTS = Path(__file__).parent.parent / "converter" / "steady_costs.json"


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    # An exception that is no exit would be a traceback for the user.
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def pruned_file(tmp_path: Path) -> Path:
    path = tmp_path / "pruned.tflite"
    bias = np.random.default_rng(1).standard_normal(64).astype(np.float32)
    path.write_bytes(conv_model(pruned((64, 3, 3, 64), 0.9), bias, (1, 16, 16)))
    return path


@pytest.fixture
def full_file(tmp_path: Path) -> Path:
    """A model without a zero in its weights."""
    path = tmp_path / "full.tflite"
    path.write_bytes(conv_model(pruned((64, 3, 3, 64), 0.0), np.zeros(64, np.float32), (1, 16, 16)))
    return path


def convert(model: Path, *options: object) -> Result:
    return run("convert", model, "--device", STEADY_COSTS, *options)


def test_version_and_help() -> None:
    assert run("--version").output == f"tfprune {__version__}\n"
    for command in main.commands:
        assert command in run("--help").output
        assert run(command, "--help").exit_code == 0


def test_the_page_of_the_command_line_is_about_every_command() -> None:
    page = (Path(__file__).parents[2] / "docs/cli.md").read_text("utf-8")
    assert {found.split()[0] for found in re.findall(r"^## `tfprune (.*)`", page, re.MULTILINE)} == set(main.commands)
    words = ("five", "six", "seven", "eight", "nine")
    assert f"`tfprune` has {words[len(main.commands) - 5]} commands" in page


def test_convert_writes_beside_the_model(pruned_file: Path) -> None:
    result = convert(pruned_file)
    assert result.exit_code == 0
    output = pruned_file.with_name("pruned.sparse.tflite")
    assert output.stat().st_size < 0.5 * pruned_file.stat().st_size
    assert "1 of 1 layers became sparse" in result.stdout
    assert f"wrote {output}" in result.stdout


def test_convert_json_is_one_document(pruned_file: Path, tmp_path: Path) -> None:
    output, dense = tmp_path / "out.tflite", tmp_path / "dense.tflite"
    result = convert(pruned_file, "-o", output, "--dense-output", dense, "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["output"] == str(output)
    assert document["dense_output"] == str(dense)
    assert document["report"]["converted_layers"] == 1
    assert dense.read_bytes() == pruned_file.read_bytes()


def test_convert_without_a_layer_to_convert_is_exit_1_and_still_writes(full_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.tflite"
    result = convert(full_file, "-o", output)
    assert result.exit_code == 1
    assert output.read_bytes() == full_file.read_bytes()
    assert "no weight is zero" in result.stdout


def test_convert_back_to_dense(pruned_file: Path, tmp_path: Path) -> None:
    sparse, dense = tmp_path / "sparse.tflite", tmp_path / "dense.tflite"
    assert convert(pruned_file, "-o", sparse).exit_code == 0
    assert convert(sparse, "-o", dense, "--target", "dense").exit_code == 0
    assert run("verify", pruned_file, dense).exit_code == 0


def test_convert_refuses_to_replace_files(pruned_file: Path, tmp_path: Path) -> None:
    before = pruned_file.read_bytes()
    result = convert(pruned_file, "-o", pruned_file)
    assert result.exit_code == 2
    assert "output is the input" in result.stderr
    assert pruned_file.read_bytes() == before
    assert convert(pruned_file, "-o", pruned_file, "--overwrite").exit_code == 0
    assert pruned_file.read_bytes() != before


def test_convert_refuses_one_path_for_both_outputs(pruned_file: Path, tmp_path: Path) -> None:
    result = convert(pruned_file, "-o", tmp_path / "a", "--dense-output", tmp_path / "a")
    assert result.exit_code == 2
    assert "--dense-output: must be another file" in result.stderr
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    "options",
    [
        ("--min-speedup", "-1"),
        ("--min-speedup", "fast"),
        ("--target", "gpu"),
        ("--device", "toaster"),
        ("--output", "/nonexistent/folder/out.tflite"),
        ("--colour", "red"),
    ],
)
def test_convert_bad_options_are_exit_2(pruned_file: Path, options: tuple[str, str]) -> None:
    result = run("convert", pruned_file, "--device", STEADY_COSTS, *options)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error: " in result.stderr
    assert "Traceback" not in result.stderr


def test_bad_models_are_exit_2(tmp_path: Path, pruned_file: Path) -> None:
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(pruned_file.read_bytes()[:1000])
    text = tmp_path / "notes.txt"
    text.write_text("not a model")
    for model in (cut, text, tmp_path / "missing.tflite", tmp_path):
        for command in (("convert", model), ("inspect", model), ("verify", model, model), ("benchmark", model)):
            result = run(*command)
            assert result.exit_code == 2, command
            assert "Error: " in result.stderr
            assert result.stdout == ""


def test_converted_model_is_refused(pruned_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.tflite"
    convert(pruned_file, "-o", output)
    result = convert(output)
    assert result.exit_code == 2
    assert "already holds tfprune's ops" in result.stderr


def test_inspect(pruned_file: Path) -> None:
    result = run("inspect", pruned_file)
    assert result.exit_code == 0
    assert "64x3x3x64" in result.stdout
    document = json.loads(run("inspect", pruned_file, "--json").stdout)
    assert document["action"] == "inspect"
    assert document["layers"][0]["shape"] == [64, 3, 3, 64]
    assert 0.85 < document["layers"][0]["sparsity"] < 0.95


def test_verify_says_equal_and_different(pruned_file: Path, tmp_path: Path) -> None:
    sparse = tmp_path / "sparse.tflite"
    convert(pruned_file, "-o", sparse)
    result = run("verify", pruned_file, sparse)
    assert result.exit_code == 0
    assert "is equal to" in result.stdout
    weights = pruned((64, 3, 3, 64), 0.9)
    place = tuple(np.argwhere(weights)[0])
    weights[place] *= 1.1
    bias = np.random.default_rng(1).standard_normal(64).astype(np.float32)
    pruned_file.write_bytes(conv_model(weights, bias, (1, 16, 16)))
    result = run("verify", pruned_file, sparse, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["ok"] is False


def test_verify_with_inputs_from_files(pruned_file: Path, tmp_path: Path) -> None:
    sparse = tmp_path / "sparse.tflite"
    convert(pruned_file, "-o", sparse)
    images = np.random.default_rng(0).standard_normal((1, 16, 16, 64)).astype(np.float32)
    array, archive = tmp_path / "x.npy", tmp_path / "x.npz"
    np.save(array, images)
    np.savez(archive, x=images)
    for inputs in (array, archive):
        document = json.loads(run("verify", pruned_file, sparse, "--data", inputs, "--json").stdout)
        assert document["ok"] is True
        assert document["examples"] == 1
        assert document["seed"] is None


def test_verify_bad_inputs_are_exit_2(pruned_file: Path, tmp_path: Path) -> None:
    wrong_shape, objects, text = tmp_path / "shape.npy", tmp_path / "objects.npy", tmp_path / "text.npy"
    np.save(wrong_shape, np.zeros((1, 2), np.float32))
    np.save(objects, np.array([{}]), allow_pickle=True)
    text.write_text("hello")
    archive = tmp_path / "cut.npz"
    np.savez(archive, x=np.zeros((1, 2), np.float32))
    archive.write_bytes(archive.read_bytes()[:-30])
    for inputs in (wrong_shape, objects, text, archive, tmp_path / "missing.npy"):
        result = run("verify", pruned_file, pruned_file, "--data", inputs)
        assert result.exit_code == 2
        assert "Error: " in result.stderr
        assert "pickle" not in result.stderr
    for path, reason in ((text, "it is neither"), (archive, "cut off or corrupt"), (objects, "holds Python objects")):
        assert reason in run("verify", pruned_file, pruned_file, "--data", path).stderr


@pytest.mark.parametrize("command", ["inspect", "convert"])
def test_errors_start_with_the_argument(command: str, pruned_file: Path) -> None:
    for options, subject in (
        (("--min-speedup", 0), "min_speedup: "),
        (("--target", "moon"), "target: "),
        (("--precision", "int4"), "precision: "),
    ):
        result = run(command, pruned_file, *options)
        assert result.exit_code == 2
        assert f"Error: {subject}must be" in result.stderr


def test_benchmark(pruned_file: Path, tmp_path: Path) -> None:
    sparse = tmp_path / "sparse.tflite"
    convert(pruned_file, "-o", sparse)
    result = run("benchmark", pruned_file, sparse, "--runs", 2)
    assert result.exit_code == 0
    assert "sparse.tflite" in result.stdout
    document = json.loads(run("benchmark", pruned_file, sparse, "--runs", 2, "--num-threads", 2, "--json").stdout)
    assert document["num_threads"] == 2
    assert [timing["name"] for timing in document["timings"]] == ["pruned.tflite", "sparse.tflite"]


def test_benchmark_with_a_profile_names_every_operator(pruned_file: Path, tmp_path: Path) -> None:
    sparse = tmp_path / "sparse.tflite"
    convert(pruned_file, "-o", sparse)
    command = ("benchmark", pruned_file, sparse, "--runs", 2, "--profile")
    result = run(*command)
    assert result.exit_code == 0
    assert "alone" in result.stdout
    assert "in the model" in result.stdout
    dense, converted = json.loads(run(*command, "--json").stdout)["profiles"]
    assert dense["name"] == "pruned.tflite"
    assert {op["timed"] for op in dense["ops"]} == {"alone"}
    assert any(op["op"] == "TfpruneConv2D" or op["op"] == "TfpruneFullyConnected" for op in converted["ops"])


@pytest.mark.parametrize(
    "options", [("--runs", "0"), ("--num-threads", "0"), ("--num-threads", "999999999999"), ("--runs", "many")]
)
def test_benchmark_bad_options_are_exit_2(pruned_file: Path, options: tuple[str, str]) -> None:
    assert run("benchmark", pruned_file, *options).exit_code == 2
    assert run("benchmark").exit_code == 2


def test_default_output_name(tmp_path: Path) -> None:
    assert default_output(Path("models/a.keras")) == Path("models/a.sparse.tflite")
    assert default_output(Path("a.b.tflite")) == Path("a.b.sparse.tflite")
    folder = tmp_path / "saved.v2"
    folder.mkdir()
    assert default_output(folder) == tmp_path / "saved.v2.sparse.tflite"


def test_a_model_without_layers_is_exit_1(tmp_path: Path) -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 4])
    y = builder.tensor("y", [1, 4])
    # An operator without weights: RELU.
    builder.operator(builder.opcode(tfl.BuiltinOperator.RELU), [x], [y])
    builder.io([x], [y])
    path = tmp_path / "relu.tflite"
    path.write_bytes(builder.build())
    result = convert(path)
    assert result.exit_code == 1
    assert "0 of 0 layers" in result.stdout


def test_a_refused_dense_output_leaves_nothing_behind(pruned_file: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken.tflite"
    taken.write_text("mine")
    for dense in (taken, pruned_file, tmp_path / "missing" / "dense.tflite", f"{tmp_path}/newdir/"):
        result = convert(pruned_file, "-o", tmp_path / "out.tflite", "--dense-output", dense)
        assert result.exit_code == 2
        assert sorted(path.name for path in tmp_path.iterdir()) == ["pruned.tflite", "taken.tflite"]
    assert taken.read_text() == "mine"


def test_remedies_are_those_of_the_command_line(pruned_file: Path, tmp_path: Path) -> None:
    result = convert(pruned_file, "-o", pruned_file)
    assert "pass --overwrite" in result.stderr
    assert "overwrite=True" not in result.stderr
    sparse = tmp_path / "sparse.tflite"
    convert(pruned_file, "-o", sparse)
    assert "--target dense" in convert(sparse).stderr


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "pass it by name, custom_objects={'Doubled': ...}",
            "use the Python interface: tp.convert(..., custom_objects={'Doubled': ...})",
        ),
        ("'int8' needs representative_data, from which", "'int8' needs --representative-data, from which"),
        ("choose backend=auto, with which", "choose --backend auto, with which"),
    ],
)
def test_arguments_are_told_as_options(
    said: str, shown: str, pruned_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConversionError(said)

    monkeypatch.setattr("tfprune.convert", refuse)
    assert shown in " ".join(convert(pruned_file).stderr.split())


def test_inspect_does_not_promise_what_is_done_already(pruned_file: Path, tmp_path: Path) -> None:
    sparse = tmp_path / "sparse.tflite"
    convert(pruned_file, "-o", sparse)
    assert "0 of 0 layers would become sparse, 1 are sparse already" in run("inspect", sparse).stdout


@pytest.mark.parametrize("option", ["--device", "--representative-data"])
@pytest.mark.parametrize("written", ["--output", "--dense-output", "--html"])
def test_convert_overwrites_nothing_that_it_reads_beside_the_model(
    pruned_file: Path, tmp_path: Path, option: str, written: str
) -> None:
    mine = tmp_path / "mine.json"
    mine.write_bytes(STEADY_COSTS.read_bytes())
    result = run("convert", pruned_file, option, mine, written, mine, "--overwrite")
    assert result.exit_code == 2
    assert f"{written}: must be another file than {option}" in " ".join(result.output.split())
    assert mine.read_bytes() == STEADY_COSTS.read_bytes()
    if written == "--html":
        page = run("inspect", pruned_file, option, mine, written, mine, "--overwrite")
        assert page.exit_code == 2
        assert f"--html: must be another file than {option}" in " ".join(page.output.split())
