# SPDX-License-Identifier: Apache-2.0
"""Loading: which weights the delegate reads where they lie in the file, and which it makes anew, once."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import tfprune
from tests.runtime.chain_files import ChainBuilder, image, invoke, sparse_file
from tests.runtime.test_chains import mobile_network
from tests.runtime.test_chains_of_narrow_weights import repacked
from tests.runtime.tiny_models import TinyLayer, conv_layer, dense_layer
from tfprune.converter.profile import profile_model
from tfprune.errors import DelegateError
from tfprune.formats import Encoding, ValueType, encode, read
from tfprune.runtime import layers as layers_module
from tfprune.runtime.layers import DelegateLayer, delegate_layers
from tfprune.runtime.library import load_library

HALVES_IN_PLACE = load_library().detected_arch != "sse2"


def load(model: bytes, num_threads: int = 1, **options: str) -> tuple[list[DelegateLayer], bytes]:
    """Layers and the bytes of the outputs of one run."""
    used = tfprune.delegate(**options)
    interpreter = Interpreter(model_content=model, num_threads=num_threads, experimental_delegates=[used])
    details = interpreter.get_input_details()[0]
    x = np.random.default_rng(0).standard_normal(details["shape"]).astype(np.float32)
    return delegate_layers_after(interpreter, used, x)


def delegate_layers_after(interpreter: Interpreter, used: object, x: np.ndarray) -> tuple[list[DelegateLayer], bytes]:
    outputs = invoke(interpreter, x)
    return delegate_layers(used), b"".join(np.ascontiguousarray(y).tobytes() for y in outputs)


def value_bytes(packed: np.ndarray) -> int:
    """Bytes of the values section."""
    header = read(packed).header
    return header.value_count * ValueType(header.value_type).size


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("layer", [conv_layer(), conv_layer(kernel=1), dense_layer()])
def test_float32_weights_are_read_in_place(layer: TinyLayer, encoding: Encoding) -> None:
    packed = layer.packed(encoding, 1 if encoding == Encoding.BLOCK_COLUMNS else 4)
    (found,), _ = load(layer.sparse(packed))
    assert found.weights_in_place == value_bytes(packed)
    assert found.weights_repacked == 0
    steps = not encoding.in_blocks and read(packed).header.column_bytes > 0
    assert (found.offset_bytes == 0) == (len(layer.input_shape) == 2 and steps)


@pytest.mark.parametrize("rows", [4, 8, 16])
def test_float16_weights_of_one_row_of_inputs_are_read_in_place(rows: int) -> None:
    layer = dense_layer(out_channels=40, in_channels=50)
    halves = encode(layer.matrix.astype(np.float16), layer.spec, Encoding.ROW_BAND, rows)
    (found,), output = load(layer.sparse(halves))
    assert found.weights_in_place == (value_bytes(halves) if HALVES_IN_PLACE else 0)
    assert found.weights_repacked == (0 if HALVES_IN_PLACE else 2 * value_bytes(halves))
    assert load(layer.sparse(halves), arch="reference")[0][0].weights_repacked == 2 * value_bytes(halves)
    rounded = layer.matrix.astype(np.float16).astype(np.float32)
    assert output == load(layer.sparse(encode(rounded, layer.spec, Encoding.ROW_BAND, rows)))[1]


def test_float16_weights_are_widened_when_a_larger_batch_asks_for_it() -> None:
    layer = dense_layer(out_channels=16, in_channels=50)
    halves = encode(layer.matrix.astype(np.float16), layer.spec, Encoding.ROW_BAND, 4)
    used = tfprune.delegate()
    interpreter = Interpreter(model_content=layer.sparse(halves), experimental_delegates=[used])
    x = np.random.default_rng(0).standard_normal((40, 50)).astype(np.float32)
    one, _ = delegate_layers_after(interpreter, used, x[:1])
    many, _ = delegate_layers_after(interpreter, used, x)
    again, _ = delegate_layers_after(interpreter, used, x[:20])
    assert one[0].weights_repacked == (0 if HALVES_IN_PLACE else 2 * value_bytes(halves))
    assert many[0].weights_repacked == again[0].weights_repacked == 2 * value_bytes(halves)
    assert many[0].weights_in_place == 0


@pytest.mark.parametrize("num_threads", [1, 3])
def test_a_chain_repacks_float16_and_depthwise_weights(num_threads: int) -> None:
    sparse = sparse_file(mobile_network())
    wide, expected = load(sparse, num_threads)
    assert any(layer.chained for layer in wide)
    for layer in wide:
        depthwise = layer.kernel.startswith("depthwise")
        assert (layer.weights_repacked > 0) == depthwise
        assert (layer.weights_in_place > 0) == layer.kernel.startswith("row_band")
    narrow, _ = load(repacked(sparse, "float16"), num_threads)
    for one, other in zip(wide, narrow, strict=True):
        assert other.weights_in_place == 0
        assert other.weights_repacked == one.weights_in_place + one.weights_repacked
    same, output = load(repacked(sparse, "rounded"), num_threads)
    assert [layer.offset_bytes for layer in same] == [layer.offset_bytes for layer in narrow]
    assert len(output) == len(expected)


def test_the_same_repacked_bytes_after_other_sizes() -> None:
    b = ChainBuilder((24, 24, 8))
    dense = b.finish(b.sparse(b.depthwise(b.sparse(b.x))))
    used = tfprune.delegate()
    interpreter = Interpreter(model_content=sparse_file(dense), experimental_delegates=[used])
    counts = []
    answers = []
    for size in ((24, 24), (9, 30), (24, 24)):
        found, output = delegate_layers_after(interpreter, used, image(dense, 1, 1, size))
        counts.append([(layer.weights_in_place, layer.weights_repacked) for layer in found])
        answers.append(output)
    assert counts[0] == counts[1] == counts[2]
    assert answers[0] == answers[2] != answers[1]


def test_a_profile_says_what_was_read_in_place() -> None:
    layer = conv_layer()
    profile = profile_model(layer.sparse(open_batch=False), runs=1)
    (op,) = profile.ops
    assert op.weights_in_place == value_bytes(layer.packed())
    assert f"{op.weights_in_place / 1e3:.1f} kB in place" in str(profile)
    assert "0.0 kB repacked" in profile.caption()
    dense = profile_model(layer.dense(open_batch=False), runs=1)
    assert dense.rows()[0][-1] == "-"


def test_the_description_of_an_older_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    used = tfprune.delegate()
    monkeypatch.setattr(layers_module, "_described", lambda _: [["0", "1", "row_band/neon", "0", "0", ""]])
    with pytest.raises(DelegateError, match="another form"):
        delegate_layers(used)
