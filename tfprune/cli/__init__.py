# SPDX-License-Identifier: Apache-2.0
"""The command ``tfprune``: the verbs of the Python interface for the shell."""

from tfprune.cli.app import main

__all__ = ["main"]
