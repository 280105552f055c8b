# SPDX-License-Identifier: Apache-2.0
"""The parts of the example, and as a slow test the example itself."""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(autouse=True)
def _examples_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))


def _write_idx(path: Path, values: np.ndarray) -> None:
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    path.write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes()))


def test_idx_files_are_read_and_checked(tmp_path: Path) -> None:
    from fashion import data

    values = np.arange(24).reshape(2, 3, 4)
    _write_idx(tmp_path / "good.gz", values)
    np.testing.assert_array_equal(data.read_idx(tmp_path / "good.gz"), values)
    (tmp_path / "long.gz").write_bytes(gzip.compress(struct.pack(">HBBI", 0, 8, 1, 9) + b"12345678"))
    with pytest.raises(ValueError, match=r"promises \(9,\)"):
        data.read_idx(tmp_path / "long.gz")
    (tmp_path / "floats.gz").write_bytes(gzip.compress(struct.pack(">HBBI", 0, 13, 1, 1) + b"1234"))
    with pytest.raises(ValueError, match="IDX file of bytes"):
        data.read_idx(tmp_path / "floats.gz")


def test_images_are_standardised_by_the_training_split(tmp_path: Path) -> None:
    from fashion import data

    rng = np.random.default_rng(0)
    for part, count, level in (("train", 20, 100), ("t10k", 10, 200)):
        _write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", rng.integers(0, level, (count, 28, 28)))
        _write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", rng.integers(0, 10, count))
    loaded = data.load(tmp_path)
    assert loaded.train.images.shape == (20, 28, 28, 1)
    assert loaded.train.images.mean() == pytest.approx(0.0, abs=1e-5)
    assert loaded.train.images.std() == pytest.approx(1.0, abs=1e-5)
    assert loaded.test.images.mean() > 1.0


def test_network_is_a_resnet_20() -> None:
    from fashion import network

    model = network.resnet20(16)
    convolutions = [layer for layer in model.layers if type(layer).__name__ == "Conv2D"]
    # 19 convolutions and the Dense layer are the 20; the two 1x1 shortcuts are counted apart.
    assert sum("shortcut" not in layer.name for layer in convolutions) == 19
    assert model.output_shape == (None, 10)
    assert 2.6e5 < model.count_params() < 2.9e5


def test_comparison_counts_images() -> None:
    from fashion import evaluation

    dense = np.array([[1.0, 2.0], [3.0, -4.0], [0.5, 0.25]], np.float32)
    sparse = dense.copy()
    sparse[1, 0] = -5.0
    sparse[2, 0] *= 1 + 1e-5
    found = evaluation.compare(dense, sparse)
    assert (found.images, found.equal, found.same_class) == (3, 2, 2)
    assert found.worst == pytest.approx(2.0)
    assert not found.ok


def test_layer_names() -> None:
    from fashion.results import short_name

    assert short_name("net_1/a_relu_1/Relu;net_1/a_conv2_bn_1/batchnorm/sub;net_1/a_conv2_1/convolution;x") == "a_conv2"
    assert short_name("StatefulPartitionedCall_1:0") == "output layer"


@pytest.mark.slow
def test_the_example_itself(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "fashion_mnist.py"), "--quick", "--width", "8", "--output-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    assert "10,000 of 10,000 test images: sparse equals dense" in done.stdout
    html = (tmp_path / "report.html").read_text()
    assert html.count("data:image/") == 3
    assert "http" not in html.replace("http://www.w3.org", "")
