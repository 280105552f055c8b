# SPDX-License-Identifier: Apache-2.0
"""The tests marked `backends`, on the back ends that Keras does not run on by default: a process has only one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EVERYWHERE = ("tests/contract", "tests/keras", "tests/one_shot")


def run_on(backend: str, *arguments: str) -> None:
    """Runs marked tests in a process of their own.

    Args:
        backend: Back end of Keras.
        arguments: Files, and options of pytest.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *arguments]
    # The tests look at values, not at speed.
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_jax() -> None:
    """All kinds of layers, and what is particular to JAX; the slow test has the rest."""
    chosen = "all_layers or subclassed or no_other_callback or trains_on_afterwards or many_steps or own_"
    run_on("jax", "tests/contract", "-m", "backends and not slow", "-k", chosen)


@pytest.mark.slow
def test_all_of_it_on_jax() -> None:
    run_on("jax", *EVERYWHERE, "-m", "backends")


@pytest.mark.torch
def test_all_of_it_on_torch() -> None:
    run_on("torch", *EVERYWHERE, "-m", "backends")
