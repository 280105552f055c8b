# SPDX-License-Identifier: Apache-2.0
"""Fuzzing of ``convert``, ``inspect`` and ``Interpreter``; ``python -m tests.fuzz --help``."""
