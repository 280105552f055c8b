# SPDX-License-Identifier: Apache-2.0
"""Chains against LiteRT's own kernels: every kind of node a chain claims, and whether one really ran."""

from __future__ import annotations

import threading

import pytest
from ai_edge_litert.interpreter import Interpreter

import tfprune
from tests.models.builder import NONE, RELU, RELU6, SAME, VALID
from tests.runtime.chain_files import ChainBuilder, check, compare, image, invoke, ours, sparse_file, stock
from tfprune.errors import DelegateError
from tfprune.runtime.layers import delegate_layers
from tfprune.runtime.library import load_library

RELU_N1_TO_1 = 2


@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize("activation", [NONE, RELU, RELU_N1_TO_1, RELU6])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "multiplier"),
    [
        ((3, 3), 1, (1, 1), 1),
        ((3, 3), 2, (1, 1), 1),
        ((5, 5), 1, (1, 1), 1),
        ((5, 5), 2, (1, 1), 1),
        ((3, 3), 1, (2, 3), 1),
        ((1, 4), 3, (1, 1), 1),
        ((3, 3), 1, (1, 1), 2),
        ((3, 3), 2, (1, 1), 3),
    ],
)
def test_depthwise(
    kernel: tuple[int, int], stride: int, dilation: tuple[int, int], multiplier: int, activation: int, padding: int
) -> None:
    b = ChainBuilder()
    y = b.depthwise(
        b.sparse(b.x),
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        multiplier=multiplier,
        activation=activation,
        padding=padding,
    )
    run = check(b.finish(b.sparse(y)))
    assert run.kernels(1)[0].startswith("depthwise_")
    assert run.chained == {0, 1, 2}


@pytest.mark.parametrize("activation", [NONE, RELU, RELU_N1_TO_1, RELU6])
@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize("which", ["AVERAGE", "MAX"])
def test_pooling(which: str, padding: int, activation: int) -> None:
    b = ChainBuilder()
    y = b.pool(b.sparse(b.x), which, padding=padding, activation=activation)
    run = check(b.finish(b.sparse(y)))
    assert run.kernels(1) == [f"{which.lower()}_pool"]
    assert run.chained == {0, 1, 2}


@pytest.mark.parametrize("activation", [NONE, RELU, RELU_N1_TO_1, RELU6])
def test_addition(activation: int) -> None:
    b = ChainBuilder()
    a = b.sparse(b.x)
    run = check(b.finish(b.sparse(b.add(b.depthwise(a), a, activation))))
    assert run.kernels(2) == ["add"]
    assert run.chained == {0, 1, 2, 3}


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("activation", [NONE, RELU, RELU_N1_TO_1, RELU6])
def test_an_addition_that_the_convolution_before_it_does(activation: int, swapped: bool) -> None:
    b = ChainBuilder()
    a = b.sparse(b.x)
    branches = [b.sparse(b.depthwise(a)), a]
    run = check(b.finish(b.sparse(b.add(*(reversed(branches) if swapped else branches), activation))))
    assert run.kernels(3) == ["add_in_convolution"]
    assert run.chained == {0, 1, 2, 3, 4}


def test_additions_that_stay_on_their_own() -> None:
    b = ChainBuilder()
    a = b.sparse(b.x)
    y = b.sparse(b.depthwise(a), activation=RELU)  # clamped before the sum
    run = check(b.finish(b.sparse(b.add(y, a))))
    assert run.kernels(3) == ["add"]
    b = ChainBuilder()
    a = b.sparse(b.x)
    y = b.sparse(b.depthwise(a))
    run = check(b.finish(b.sparse(b.add(y, a)), y))  # the convolution itself is an output
    assert run.kernels(3) == ["add"]
    b = ChainBuilder()
    a = b.sparse(b.x)
    y = b.sparse(b.depthwise(a))
    run = check(b.finish(b.sparse(b.add(b.add(y, a), b.pool(y, "MAX", stride=(1, 1))))))  # another layer reads it
    assert run.kernels(3) == ["add"]
    assert run.kernels(5) == ["add"]


def test_addition_of_a_tensor_to_itself_and_to_the_input() -> None:
    b = ChainBuilder()
    a = b.sparse(b.x)
    run = check(b.finish(b.sparse(b.add(b.add(a, a), b.x))))
    assert run.chained == {0, 1, 2, 3}


@pytest.mark.parametrize("keep_dims", [False, True])
@pytest.mark.parametrize("axes", [(1, 2), (2, 1), (-3, -2)])
def test_mean(axes: tuple[int, int], keep_dims: bool) -> None:
    b = ChainBuilder()
    y = b.sparse(b.depthwise(b.sparse(b.x)))
    run = check(b.finish(b.mean(y, axes, keep_dims)))
    assert run.kernels(3) == ["mean"]
    assert run.chained == {0, 1, 2, 3}


@pytest.mark.parametrize("axes", [(1,), (1, 2, 3), (0, 1)])
def test_a_mean_over_other_axes_stays_with_litert(axes: tuple[int, ...]) -> None:
    b = ChainBuilder()
    y = b.sparse(b.depthwise(b.sparse(b.x)))
    run = check(b.finish(b.mean(y, axes)), image(b.finish(y), batch=2))
    assert run.chained == {0, 1, 2}


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(1, 2, SAME), (3, 1, SAME), (3, 2, VALID), (5, 2, SAME)])
def test_sparse_convolution_with_a_window(kernel: int, stride: int, padding: int) -> None:
    b = ChainBuilder()
    y = b.sparse(b.sparse(b.x, 12), 9, kernel, stride=(stride, stride), padding=padding, activation=RELU6)
    run = check(b.finish(b.sparse(y)))
    assert run.chained == {0, 1, 2}


def test_sparse_convolution_with_dilation() -> None:
    b = ChainBuilder()
    y = b.sparse(b.sparse(b.x, 12), 9, 3, dilation=(2, 3), padding=SAME)
    assert check(b.finish(b.sparse(y))).chained == {0, 1, 2}


@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize("pads", [[[1, 1], [1, 1]], [[0, 1], [0, 1]], [[3, 0], [2, 5]]])
def test_a_pad_is_folded_into_the_window_behind_it(pads: list[list[int]], padding: int) -> None:
    for depthwise in (True, False):
        b = ChainBuilder()
        padded = b.pad(b.sparse(b.x), pads)
        if depthwise:
            y = b.depthwise(padded, stride=2, padding=padding)
        else:
            y = b.sparse(padded, 8, 3, stride=(2, 2), padding=padding)
        run = check(b.finish(b.sparse(y)))
        assert run.chained == {0, 2, 3}
        assert run.kernels(1) == []


def test_pads_that_cannot_be_folded_stay_with_litert() -> None:
    b = ChainBuilder()
    padded = b.pad(b.sparse(b.sparse(b.x)), [[1, 1], [1, 1]])
    run = check(b.finish(b.sparse(b.sparse(padded))))
    assert run.chained == {0, 1, 3, 4}  # a 1x1 layer has no window to pad

    b = ChainBuilder()
    padded = b.pad(b.sparse(b.x), [[1, 1], [1, 1]])
    two = b.add(b.depthwise(padded, padding=VALID), b.sparse(padded, 8, 3, padding=VALID))
    run = check(b.finish(b.sparse(two)))
    assert 1 not in run.chained  # two layers read it
    assert run.kernels(1) == []

    b = ChainBuilder()
    padded = b.pad(b.sparse(b.sparse(b.x)), [[0, 0], [1, 1], [1, 1], [0, 2]])
    run = check(b.finish(b.sparse(b.depthwise(padded))))
    assert 2 not in run.chained  # channels are padded

    b = ChainBuilder()
    padded = b.pad(b.sparse(b.sparse(b.x)), [[1, 1], [1, 1]])
    run = check(b.finish(b.sparse(b.depthwise(padded, padding=VALID)), padded))
    assert 2 not in run.chained  # it is an output of the file


def test_outputs_in_the_middle_and_readers_outside() -> None:
    b = ChainBuilder()
    first = b.sparse(b.x, 10)
    middle = b.depthwise(first)
    last = b.sparse(middle, 12)
    run = check(b.finish(last, middle, b.unary(first)))
    assert run.chained == {0, 1, 2}
    assert sum(layer.kernel == "export" for layer in run.layers) == 3


def test_a_foreign_op_cuts_a_chain() -> None:
    b = ChainBuilder()
    y = b.unary(b.sparse(b.sparse(b.x)))
    run = check(b.finish(b.sparse(b.depthwise(b.sparse(y)))))
    chains = {layer.op: set() for layer in run.layers}
    for layer in run.layers:
        chains[layer.op].add(layer.node)
    assert sorted(map(sorted, chains.values())) == [[0, 1], [3, 4, 5]]


def test_two_inputs_of_two_images_in_one_chain() -> None:
    b = ChainBuilder()
    left = b.unary(b.x)
    right = b.unary(left, "TANH")
    run = check(b.finish(b.sparse(b.add(b.sparse(left), right))))
    assert run.chained == {2, 3, 4}
    assert sum(layer.kernel == "import" for layer in run.layers) == 2


def test_layers_with_little_to_gain_stay_alone() -> None:
    b = ChainBuilder()
    run = check(b.finish(b.unary(b.sparse(b.x))))
    assert run.chained == set()
    assert [layer.node for layer in run.layers] == [0]
    b = ChainBuilder()
    run = check(b.finish(b.unary(b.depthwise(b.depthwise(b.x)))))
    assert run.layers == []  # nothing sparse


def test_chains_can_be_switched_off() -> None:
    dense = mobile_network()
    run = check(dense, chains="0")
    assert run.chained == set()
    assert check(dense, chains="1").chained


@pytest.mark.parametrize("arch", ["reference", "auto"])
def test_the_asked_kernels_run(arch: str) -> None:
    run = check(mobile_network(), arch=arch)
    if arch == "reference":
        assert run.chained == set()
        assert {layer.kernel for layer in run.layers} == {"reference"}
    else:
        simd = load_library().detected_arch.split("_")[0]  # float kernels gain nothing from VNNI or the dot product
        assert all(simd in layer.kernel for layer in run.layers if "/" in layer.kernel)


class _Network(ChainBuilder):
    """Two blocks of a mobile network and a head."""

    def finish_all(self) -> bytes:
        x = self.sparse(self.pad(self.sparse(self.x, 6), [[0, 1], [0, 1]]), 6, 3, stride=(2, 2), padding=VALID)
        for stride in (1, 2):
            wide = self.sparse(x, 18, activation=RELU6)
            y = self.sparse(self.depthwise(wide, stride=stride, activation=RELU6), 6)
            x = self.add(x, y) if stride == 1 else y
        return self.finish(self.mean(self.sparse(x, 30)))


def mobile_network() -> bytes:
    """A dense file of twelve layers, all of which fit into one chain."""
    return _Network((24, 27, 3)).finish_all()


def test_batch_and_size_change_between_runs() -> None:
    dense = mobile_network()
    sparse = sparse_file(dense)
    delegate = tfprune.delegate()
    interpreter = Interpreter(model_content=sparse, experimental_delegates=[delegate])
    for seed, (batch, size) in enumerate([(1, (24, 27)), (3, (24, 27)), (2, (40, 9)), (1, (5, 5)), (1, (24, 27))]):
        x = image(dense, seed, batch, size)
        compare(invoke(interpreter, x), stock(dense, x))
    assert any(layer.chained for layer in delegate_layers(delegate))


def test_a_size_that_does_not_fit_is_refused_and_forgotten() -> None:
    b = ChainBuilder()
    dense = b.finish(b.sparse(b.depthwise(b.sparse(b.x), padding=VALID)))
    delegate = tfprune.delegate()
    interpreter = Interpreter(model_content=sparse_file(dense), experimental_delegates=[delegate])
    interpreter.resize_tensor_input(0, [1, 2, 2, 8])
    with pytest.raises(RuntimeError, match="reaches over 3"):
        interpreter.allocate_tensors()
    assert delegate_layers(delegate) == []
    x = image(dense)
    interpreter.resize_tensor_input(0, x.shape)
    compare(invoke(interpreter, x), stock(dense, x))


@pytest.mark.parametrize("num_threads", [2, 3, 8])
def test_threads_change_no_bit(num_threads: int) -> None:
    dense = mobile_network()
    x = image(dense, batch=2)
    sparse = sparse_file(dense)
    one = ours(sparse, x)
    assert one.chained
    many = ours(sparse, x, num_threads=num_threads)
    assert one.outputs[0].tobytes() == many.outputs[0].tobytes()


def test_interpreters_on_one_delegate_at_the_same_time() -> None:
    delegate = tfprune.delegate()
    dense = mobile_network()
    sparse = sparse_file(dense)
    inputs = [image(dense, seed) for seed in range(4)]
    expected = [stock(dense, x) for x in inputs]
    interpreters = [Interpreter(model_content=sparse, num_threads=2, experimental_delegates=[delegate]) for _ in inputs]
    problems: list[BaseException] = []

    def work(place: int) -> None:
        try:
            for _ in range(20):
                compare(invoke(interpreters[place], inputs[place]), expected[place])
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    layers = delegate_layers(delegate)
    assert len({layer.op for layer in layers}) == 4
    del interpreters[1:]
    assert len({layer.op for layer in delegate_layers(delegate)}) == 1


def test_a_profile_counts_time_and_runs() -> None:
    dense = mobile_network()
    sparse = sparse_file(dense)
    delegate = tfprune.delegate(profile="1")
    interpreter = Interpreter(model_content=sparse, experimental_delegates=[delegate])
    x = image(dense)
    for _ in range(3):
        invoke(interpreter, x)
    layers = delegate_layers(delegate)
    assert all(layer.runs == 3 for layer in layers if layer.chained)
    assert sum(layer.seconds for layer in layers) > 0
    assert all(layer.seconds == 0 and layer.runs == 0 for layer in ours(sparse, x).layers)


def test_layers_of_something_else_are_refused() -> None:
    with pytest.raises(DelegateError, match=r"got object"):
        delegate_layers(object())


@pytest.mark.parametrize(("size", "channels"), [((1, 1), 3), ((1, 40), 17), ((33, 2), 16), ((7, 7), 65)])
def test_small_and_odd_sizes(size: tuple[int, int], channels: int) -> None:
    b = ChainBuilder((*size, channels))
    y = b.depthwise(b.sparse(b.x, 2 * channels), activation=RELU)
    dense = b.finish(b.sparse(b.add(b.sparse(y, channels), b.x), channels))
    assert check(dense, image(dense, batch=3)).chained == {0, 1, 2, 3, 4}
