# SPDX-License-Identifier: Apache-2.0
"""Training on several devices, each set-up in processes of its own.

``python -m tests.distributed.workers NAME RANK PORT`` runs one of them. Devices are counted before a framework starts,
so no test can set them up in the process that runs all others. A worker prints one line of JSON: mostly digest and
zeros of the masked kernel on each replica, after each step and after the training. A worker may train several times.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any

STEPS, BATCH = 4, 8


def small_model() -> Any:
    import keras

    return keras.Sequential(
        [keras.Input((16,)), keras.layers.Dense(8, name="hidden"), keras.layers.Dense(1, name="head")]
    )


def recipe() -> Any:
    """A quarter of the hidden kernel goes at the first step, half of it at the second; no mask moves later."""
    from tfprune.recipe import Recipe, Rule
    from tfprune.sparsity.patterns import Groups
    from tfprune.sparsity.schedules import PolynomialDecay

    schedule = PolynomialDecay(0.25, 0.5, begin_step=0, end_step=1, power=1, frequency=1)
    return Recipe(Rule("hidden", Groups(rows=4), schedule=schedule, min_weights=1))


def data(rank: int) -> tuple[Any, Any]:
    """Other data for each process: equal weights can come only from an exchange of gradients."""
    import numpy as np

    random = np.random.default_rng(rank)
    return random.standard_normal((STEPS * BATCH, 16)).astype("float32"), random.random((STEPS * BATCH, 1), "float32")


def seen(values: list[Any]) -> list[tuple[str, int]]:
    """Digest and zeros of a kernel on each replica."""
    return [(hashlib.sha256(value.tobytes()).hexdigest(), int((value == 0).sum())) for value in values]


def fit(model: Any, replicas: Callable[[Any], list[Any]]) -> list[Any]:
    """Trains with the callback and looks at every replica after each step."""
    import keras

    from tfprune.keras.callback import PruningCallback

    steps = []

    class Look(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no type information
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            steps.append(seen(replicas(self.model.get_layer("hidden").kernel)))

    x, y = data(0)
    model.fit(x, y, batch_size=BATCH, verbose=0, callbacks=[PruningCallback(recipe=recipe()), Look()])
    steps.append(seen(replicas(model.get_layer("hidden").kernel)))
    return steps


def two_devices() -> Any:
    """A mirrored strategy over two virtual processors."""
    import tensorflow as tf

    device = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def mirrored_values(variable: Any) -> list[Any]:
    return [each.numpy() for each in variable.value.values]


def loop(strategy: Any, rank: int, replicas: Callable[[Any], list[Any]]) -> list[Any]:
    """A training loop of one's own under a `tf.distribute` strategy."""
    import keras
    import tensorflow as tf

    from tfprune.keras.pruner import Pruner

    with strategy.scope():
        model, optimizer = small_model(), keras.optimizers.Adam(0.01, weight_decay=0.1)
    pruner = Pruner(model, recipe(), optimizer=optimizer)
    pruner.start(total_steps=STEPS)

    def one_replica(x: Any, y: Any) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
        # Keras adds up the gradients of the replicas.
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    step = tf.function(lambda x, y: strategy.run(one_replica, args=(x, y)))
    x, y = data(rank)
    steps = []
    for begin in range(0, len(x), BATCH):
        step(x[begin : begin + BATCH], y[begin : begin + BATCH])
        steps.append(seen(replicas(model.get_layer("hidden").kernel)))
        pruner.step()
    pruner.finalize()
    return [*steps, seen(replicas(model.get_layer("hidden").kernel))]


def mirrored(rank: int, port: int) -> list[Any]:
    """``fit`` under `MirroredStrategy`, with float16, weight averaging and decay; then a loop of one's own."""
    import keras

    strategy = two_devices()
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("mixed_float16")
    with strategy.scope():
        model = small_model()
        optimizer = keras.optimizers.Adam(0.01, use_ema=True, weight_decay=0.1)
        # So small that no step overflows and is skipped.
        model.compile(keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=256.0), "mse")
    steps = fit(model, mirrored_values)
    keras.config.set_dtype_policy("float32")
    return [*steps, *loop(strategy, rank, mirrored_values)]


def two_workers(rank: int, port: int) -> list[Any]:
    """A loop of one's own under `MultiWorkerMirroredStrategy`: two processes."""
    from tfprune.keras.layers import to_numpy

    return loop(strategy_of_two_workers(rank, port), rank, lambda variable: [to_numpy(variable)])


def strategy_of_two_workers(rank: int, port: int) -> Any:
    """`MultiWorkerMirroredStrategy` over this process and another one."""
    cluster = {"worker": [f"127.0.0.1:{port}", f"127.0.0.1:{port + 1}"]}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": rank}})
    import tensorflow as tf

    return tf.distribute.MultiWorkerMirroredStrategy()


def data_parallel(rank: int, port: int) -> list[Any]:
    """`keras.distribution.DataParallel` over two virtual devices of JAX."""
    import keras

    keras.distribution.set_distribution(keras.distribution.DataParallel())
    model = small_model()
    model.compile(keras.optimizers.Adam(0.01, use_ema=True, weight_decay=0.1), "mse")
    return fit(model, shards)


def shards(variable: Any) -> list[Any]:
    """What each device of JAX holds of a variable."""
    import numpy as np

    return [np.asarray(shard.data) for shard in variable.value.addressable_shards]


def penalised(compiled: Callable[[], Any], replicas: Callable[[Any], list[Any]]) -> dict[str, Any]:
    """For each penalty the hidden kernel of every replica after each of five steps, and after training.

    The penalty acts in four of them; then half of the kernel is cut.
    """
    import keras
    import numpy as np

    from tfprune.keras.callback import PruningCallback
    from tfprune.sparsity.patterns import Groups
    from tfprune.sparsity.penalties import AdmmPenalty, PriorMaskPenalty, ReweightedGroupPenalty
    from tfprune.sparsity.schedules import ConstantSparsity, StrengthRamp

    # With the small learning rate, gradients move the weights far less than the penalty does.
    strong = StrengthRamp(100.0, end_step=0)
    random, found = np.random.default_rng(0), {}
    x, y = random.standard_normal((5 * BATCH, 16)).astype("float32"), random.random((5 * BATCH, 1), "float32")
    for penalty in (PriorMaskPenalty(strong), AdmmPenalty(strong), ReweightedGroupPenalty(strong, eps=5.0)):
        keras.utils.set_random_seed(1)
        model, steps = compiled(), []

        class Look(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no type information
            def on_train_batch_end(self, batch: int, logs: Any = None, steps: list[Any] = steps) -> None:
                steps.append([each.ravel().tolist() for each in replicas(self.model.get_layer("hidden").kernel)])

        pruning = PruningCallback(
            Groups(rows=4), ConstantSparsity(0.5, begin_step=4), penalty=penalty, filters="hidden", min_weights=1
        )
        model.fit(x, y, batch_size=BATCH, verbose=0, callbacks=[pruning, Look()])
        steps.append([each.ravel().tolist() for each in replicas(model.get_layer("hidden").kernel)])
        found[type(penalty).__name__] = steps
    return found


def mirrored_penalties(rank: int, port: int) -> dict[str, Any]:
    """Penalties in ``fit`` under `MirroredStrategy`."""
    import keras

    strategy = two_devices()

    def compiled() -> Any:
        with strategy.scope():
            model = small_model()
            model.compile(keras.optimizers.SGD(0.01, momentum=0.5), "mse")
        return model

    return penalised(compiled, mirrored_values)


def data_parallel_penalties(rank: int, port: int) -> dict[str, Any]:
    """Penalties in ``fit`` under `DataParallel`."""
    import keras

    keras.distribution.set_distribution(keras.distribution.DataParallel())

    def compiled() -> Any:
        model = small_model()
        model.compile(keras.optimizers.SGD(0.01, momentum=0.5), "mse")
        return model

    return penalised(compiled, shards)


def legacy_model() -> Any:
    """The small model, of tf_keras."""
    import tf_keras

    given = tf_keras.Input((16,))
    hidden = tf_keras.layers.Dense(8, name="hidden")(given)
    model = tf_keras.Model(given, tf_keras.layers.Dense(1, name="head")(hidden))
    model.compile(tf_keras.optimizers.Adam(0.01, weight_decay=0.1), "mse")
    return model


def legacy_fit(strategy: Any, rank: int, replicas: Callable[[Any], list[Any]]) -> list[Any]:
    """``fit`` of tf_keras under a `tf.distribute` strategy."""
    import tensorflow as tf
    import tf_keras

    from tfprune.bridge.tf_keras import PruningCallback

    with strategy.scope():
        model = legacy_model()
    steps = []

    class Look(tf_keras.callbacks.Callback):  # type: ignore[misc]  # tf_keras has no type information
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            steps.append(seen(replicas(self.model.get_layer("hidden").kernel)))

    # Each process has data of its own, and all of it.
    batches, options = tf.data.Dataset.from_tensor_slices(data(rank)).batch(BATCH), tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    model.fit(batches.with_options(options), verbose=0, callbacks=[PruningCallback(recipe=recipe()), Look()])
    return [*steps, seen(replicas(model.get_layer("hidden").kernel))]


def legacy_mirrored(rank: int, port: int) -> list[Any]:
    """``fit`` of tf_keras under `MirroredStrategy`."""
    return legacy_fit(two_devices(), rank, lambda variable: [each.numpy() for each in variable.values])


def legacy_two_workers(rank: int, port: int) -> list[Any]:
    """``fit`` of tf_keras under `MultiWorkerMirroredStrategy`: two processes."""
    return legacy_fit(strategy_of_two_workers(rank, port), rank, lambda variable: [variable.numpy()])


def two_processes_of_torch(rank: int, port: int) -> list[Any]:
    """`DistributedDataParallel` over gloo: two processes."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    import keras
    import torch

    from tfprune.keras.layers import to_numpy
    from tfprune.keras.pruner import Pruner

    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    model, optimizer = small_model(), keras.optimizers.Adam(0.01, weight_decay=0.1)
    parallel = torch.nn.parallel.DistributedDataParallel(model)
    pruner = Pruner(model, recipe(), optimizer=optimizer)
    pruner.start(total_steps=STEPS)
    steps = []
    for x, y in zip(*(torch.tensor(part).split(BATCH) for part in data(rank)), strict=True):
        model.zero_grad()
        ((parallel(x) - y) ** 2).mean().backward()
        with torch.no_grad():
            optimizer.apply([each.value.grad for each in model.trainable_variables], model.trainable_variables)
        steps.append(seen([to_numpy(model.get_layer("hidden").kernel)]))
        pruner.step()
    pruner.finalize()
    steps.append(seen([to_numpy(model.get_layer("hidden").kernel)]))
    torch.distributed.destroy_process_group()
    return steps


SET_UPS = (
    mirrored,
    two_workers,
    data_parallel,
    mirrored_penalties,
    data_parallel_penalties,
    legacy_mirrored,
    legacy_two_workers,
    two_processes_of_torch,
)

if __name__ == "__main__":
    run = {each.__name__: each for each in SET_UPS}
    print(json.dumps(run[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]))))
