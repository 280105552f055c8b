# SPDX-License-Identifier: Apache-2.0
"""``fit`` of tf_keras on several devices: after each step every replica holds the same weights, with the same zeros."""

from __future__ import annotations

import pytest

from tests.distributed.processes import check_replicas, run_replicas


@pytest.mark.parametrize(("name", "processes"), [("legacy_mirrored", 1), ("legacy_two_workers", 2)])
def test_replicas_hold_the_same_zeros(name: str, processes: int) -> None:
    check_replicas(run_replicas(name, processes, "tensorflow"))
