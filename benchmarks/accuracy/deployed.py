# SPDX-License-Identifier: Apache-2.0
"""What a trained network is worth where it is used: converted, and run by LiteRT on all test images."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import tfprune as tp
from accuracy.counting import Left, left
from accuracy.data_sets import DataSet, load
from accuracy.point import DataSpec
from tfprune.files import write_file

CALIBRATED_ON = 256


@dataclasses.dataclass(frozen=True)
class Deployed:
    """Of one trained network.

    Attributes:
        accuracy: share of test images that the float32 file gets right, in LiteRT with the delegate.
        int8_accuracy: the same of the file with int8 weights and activations.
        size: bytes of the float32 file.
        int8_size: bytes of the int8 one.
        sparse_layers: operators that run sparse in the float32 file.
        layers: operators with weights.
        left: shares of weights and multiply-adds that are left.
    """

    accuracy: float
    int8_accuracy: float
    size: int
    int8_size: int
    sparse_layers: int
    layers: int
    left: Left


def deployed(model: Any, data: DataSet, folder: Path) -> Deployed:
    """Converts a network and runs it.

    Args:
        model: a trained Keras model, pruned or not.
        data: the images to run it on, and to find the ranges of activations.
        folder: where the files stay, to be measured: ``float32.tflite`` and ``int8.tflite``.
    """
    exact = tp.convert(model)
    whole = tp.convert(model, precision="int8", representative_data=data.few(CALIBRATED_ON))
    for name, file in (("float32", exact), ("int8", whole)):
        write_file(folder / f"{name}.tflite", file.tflite, overwrite=True)
    return Deployed(
        accuracy=accuracy(exact.tflite, data),
        int8_accuracy=accuracy(whole.tflite, data),
        size=len(exact.tflite),
        int8_size=len(whole.tflite),
        sparse_layers=sum(layer.converted for layer in exact.report.layers),
        layers=len(exact.report.layers),
        left=left(model),
    )


def deployed_by_tensorflow(model: Any, spec: DataSpec, folder: Path) -> Deployed:
    """As :func:`deployed`, for a model of another back end of Keras: in a process whose back end is TensorFlow.

    Args:
        model: a trained Keras model.
        spec: the images.
        folder: for files.
    """
    path = folder / "model.keras"
    model.save(path)
    code = f"import sys; from {__name__} import print_deployed; print_deployed(*sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), json.dumps(dataclasses.asdict(spec))],
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    path.unlink()
    found = json.loads(done.stdout.splitlines()[-1])
    return Deployed(**{**found, "left": Left(**found["left"])})


def print_deployed(path: str, spec: str) -> None:
    """Prints what a saved model is worth, as one line of JSON.

    Args:
        path: of the ``.keras`` file.
        spec: the images, as JSON.
    """
    import keras

    model = keras.saving.load_model(path, compile=False)
    found = deployed(model, load(DataSpec(**json.loads(spec))), Path(path).parent)
    print(json.dumps(dataclasses.asdict(found)))


def accuracy(content: bytes, data: DataSet) -> float:
    """Share of the test images that a file gets right in LiteRT."""
    interpreter = tp.Interpreter(content)
    right = count = 0
    for images, labels in data.test():
        logits = interpreter.predict(images)
        assert isinstance(logits, np.ndarray)
        right += int(np.count_nonzero(logits.argmax(axis=-1) == labels))
        count += len(labels)
    return right / count
