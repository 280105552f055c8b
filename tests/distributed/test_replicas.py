# SPDX-License-Identifier: Apache-2.0
"""Several devices: after each step every replica holds the same weights, with the same zeros."""

from __future__ import annotations

import numpy as np
import pytest

from tests.distributed.processes import check_replicas, run_replicas, run_workers


@pytest.mark.parametrize(
    ("name", "processes", "backend"),
    [
        ("mirrored", 1, "tensorflow"),
        ("two_workers", 2, "tensorflow"),
        ("data_parallel", 1, "jax"),
        pytest.param("two_processes_of_torch", 2, "torch", marks=pytest.mark.torch),
    ],
)
def test_replicas_hold_the_same_zeros(name: str, processes: int, backend: str) -> None:
    check_replicas(run_replicas(name, processes, backend))


@pytest.mark.parametrize(
    ("name", "backend"), [("mirrored_penalties", "tensorflow"), ("data_parallel_penalties", "jax")]
)
def test_penalties_act_alike_on_all_replicas(name: str, backend: str) -> None:
    [trainings] = run_workers(name, 1, backend)
    assert sorted(trainings) == ["AdmmPenalty", "PriorMaskPenalty", "ReweightedGroupPenalty"]
    for penalty, steps in trainings.items():
        kernels = np.array(steps)  # [steps, replicas, weights]
        assert kernels.shape == (6, 2, 128), penalty
        np.testing.assert_array_equal(kernels[:, 0], kernels[:, 1], err_msg=penalty)
        weights = np.abs(kernels[:, 0])
        removed = weights[-1] == 0
        assert removed.sum() == 64, penalty
        # The cut is before the last of five steps: until then what it removes gets small, and is all but gone.
        shares = weights[:, removed].sum(axis=1) / weights.sum(axis=1)
        assert (np.diff(shares[:4]) < 0).all(), (penalty, shares)
        assert shares[3] < shares[0] / 3, (penalty, shares)
        assert shares[4:].tolist() == [0, 0], penalty
        assert np.isfinite(kernels).all(), penalty
