# SPDX-License-Identifier: Apache-2.0
"""Several devices: after each step every replica holds the same weights, with the same zeros."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Zeros of 128 weights after each of four steps and at the end: a quarter, then half.
ZEROS = [32, 64, 64, 64, 64]


def free_ports() -> int:
    """The first of two ports that follow each other and are free."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def run_workers(name: str, processes: int, backend: str) -> list[list[tuple[str, int]]]:
    """What all replicas of all processes held, step by step."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2" if backend == "jax" else "",
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    port = free_ports()
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.distributed.workers", name, str(rank), str(port)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    try:
        done = [worker.communicate(timeout=300) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert all(worker.returncode == 0 for worker in workers), "\n".join(error[-3000:] for _, error in done)
    found = [json.loads(output.splitlines()[-1]) for output, _ in done]
    return [[(digest, zeros) for each in replicas for digest, zeros in each] for replicas in zip(*found, strict=True)]


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
    steps = run_workers(name, processes, backend)
    trainings = len(steps) // len(ZEROS)
    assert [[zeros for _, zeros in replicas] for replicas in steps] == [[zeros] * 2 for zeros in ZEROS * trainings]
    assert all(first == second for first, second in steps)
    # The weights move at each step.
    assert len({replicas[0] for replicas in steps}) >= trainings * (len(ZEROS) - 1)
